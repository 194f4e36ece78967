"""`read_cohort`: from a csv file or a DataFrame to a cohort, or to every defect of the file at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.build import build_table
from pkpd.data.checks import check_table
from pkpd.data.codes import ALLOWABLE
from pkpd.data.cohort import Cohort
from pkpd.data.columns import match_columns
from pkpd.data.convert import convert
from pkpd.data.expand import expand_doses
from pkpd.data.notes import notes_on
from pkpd.data.scales import declared_units
from pkpd.data.source import Cells, read_cells
from pkpd.data.table import Table
from pkpd.data.vocabulary import vocabulary_of
from pkpd.errors import DataError, Defect, PkpdError

RECORDS = ["row", "subject", "TIME", "EVID", "AMT", "DUR", "ADDL", "II", "CMT", "DVID", "DV", "MDV", "CENS", "LIMIT"]
Units = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class _Reading:
    cells: Cells
    defects: tuple[Defect, ...]
    table: Table | None = None
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def read_cohort(
    source: Any,
    model: Any,
    *,
    units: Units | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    name: str | None = None,
    allow: Collection[str] = (),
) -> Cohort:
    """Read NONMEM-style records into a validated cohort in the model's units.

    `source` is a csv path or a DataFrame; `model` is anything with a `.vocabulary`, a `Vocabulary`, or None (names and units are then
    taken as they are). `units` maps columns and observables to units (`{"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}}`); a header
    may carry them as well (`TIME [h]`). `columns` maps standard names to the file's (`{"DV": "CONC"}`), `covariates` names further columns
    to carry, `name` names the cohort, and `allow` lists codes of defects that are fine here (only PK065, repeated rows).
    Returns a `Cohort`. Raises `DataError` with every defect at once: code, row (line of the file; the header is line 1; rows of a DataFrame
    count from 1), subject, column, cure. Source: the record columns of NONMEM, CENS and LIMIT as in Monolix.

    >>> import pandas as pd
    >>> from pkpd.data import Field, Vocabulary
    >>> words = Vocabulary((Field("depot", "mg"),), ("depot", "central"), (Field("cp", "mg/L"),))
    >>> rows = pd.DataFrame({"ID": [1, 1], "TIME [h]": [0, 2], "AMT [mg]": [320, 0], "DV [ug/mL]": [None, 8.5]})
    >>> read_cohort(rows, words, name="one")
    Cohort('one', 1 subject, 1 dose, 1 scored observation)
    """
    reading = _read(source, model, units or {}, columns or {}, tuple(covariates), allow)
    if reading.defects or reading.table is None or reading.frame is None:
        raise DataError(reading.cells.label, reading.defects)
    return _cohort(reading.cells, reading.table, reading.frame, name, reading.notes)


def check_records(
    source: Any,
    model: Any = None,
    *,
    units: Units | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    allow: Collection[str] = (),
) -> tuple[Defect, ...]:
    """Every defect of a file, without raising; the arguments are those of `read_cohort`.

    >>> import pandas as pd
    >>> for found in check_records(pd.DataFrame({"ID": [1], "TIME": [0], "AMT": [-5], "EVID": [1]})):
    ...     str(found)
    'PK037 row 1, subject 1, column AMT: AMT is -5, below zero. Write the amount given, or correct the sign.'
    """
    return _read(source, model, units or {}, columns or {}, tuple(covariates), allow).defects


def _read(source: Any, model: Any, units: Units, renamed: Mapping[str, str], extra: tuple[str, ...], allow: Collection[str]) -> _Reading:
    _check_allow(allow)
    words, cells = vocabulary_of(model), read_cells(source)
    if not len(cells.frame):
        return _Reading(cells, cells.defects)
    wanted = tuple(dict.fromkeys([*(words.covariates if words else ()), *extra]))
    columns = match_columns(cells.header, renamed, wanted)
    declared, unit_defects = declared_units(columns.units, units, words, (*wanted, *columns.unused))
    table, cell_defects = build_table(cells, columns, words, wanted)
    defects = [*cells.defects, *columns.defects, *unit_defects, *cell_defects, *check_table(table)]
    frame, convert_defects = convert(table, declared)
    kept = [d for d in [*defects, *convert_defects] if d.code not in allow]
    if kept:
        return _Reading(cells, tuple(sorted(kept, key=lambda d: (d.row or 0, d.code))))
    return _Reading(cells, (), table, frame, cells.notes + notes_on(table, columns, declared))


def _check_allow(allow: Collection[str]) -> None:
    wrong = sorted(set(allow) - set(ALLOWABLE))
    if wrong:
        raise PkpdError(f"allow= cannot let {', '.join(wrong)} pass. It may hold: {', '.join(ALLOWABLE)}.")


def _cohort(cells: Cells, table: Table, frame: pd.DataFrame, name: str | None, notes: tuple[str, ...]) -> Cohort:
    starts = np.flatnonzero(np.diff(table["SUBJECT"], prepend=-1))
    covariates = table.frame.loc[starts, list(table.covariates)].reset_index(drop=True)
    return Cohort(
        name=name or cells.label.removesuffix(".csv"),
        source=cells.label,
        sha256=cells.sha256,
        subjects=tuple(str(i) for i in table["ID"][starts]),
        records=frame[RECORDS],
        doses=expand_doses(frame),
        observations=_observations(frame),
        covariates=covariates,
        notes=notes,
    )


def _observations(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per row to predict, in file order."""
    seen = frame.assign(rank=np.arange(len(frame)), scored=frame["MDV"] != 1)[frame["EVID"] == 0]
    names = {"TIME": "time", "DVID": "observable", "DV": "dv", "CENS": "cens", "LIMIT": "lower", "LLOQ": "lloq", "ULOQ": "uloq"}
    table = seen.rename(columns=names).reset_index(drop=True)
    table["cens"] = table["cens"].where(table["scored"], 0)
    table["lower"] = table["lower"].where(table["cens"] == 1)
    return table[["subject", "time", "rank", "observable", "dv", "scored", "cens", "lower", "lloq", "uloq", "row"]]
