"""`read_cohort`: from a csv file or a DataFrame to a cohort, or to every defect of the file at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from pkpd.data.build import build_table
from pkpd.data.checks import check_table
from pkpd.data.checks.quality import check_quality, known_units, warning_lines
from pkpd.data.cohort import Cohort
from pkpd.data.columns import Columns, match_columns
from pkpd.data.convert import convert
from pkpd.data.interpolation import CONSTANT, check_methods
from pkpd.data.lacking import check_missing, notes_on_missing
from pkpd.data.notes import notes_on
from pkpd.data.options import Options, Units, options
from pkpd.data.scales import Declared, declared_units
from pkpd.data.source import Cells, read_cells
from pkpd.data.table import Table
from pkpd.data.tables import make_cohort
from pkpd.data.unit_columns import units_in_cells
from pkpd.data.vocabulary import vocabulary_of
from pkpd.errors import DataError, Defect


@dataclass(frozen=True, eq=False)
class _Reading:
    cells: Cells
    defects: tuple[Defect, ...]
    table: Table | None = None
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    columns: Columns | None = None
    declared: Declared | None = None


@dataclass(frozen=True, eq=False)
class Examined:
    """A file as far as it can be read: every error, or the cohort with the warnings and notes about it.

    `cohort` is None where `defects` holds errors; `units` are the units of the cohort's observables and of AMT, where known;
    `simulated` tells whether any row's LABEL says so.
    """

    label: str
    sha256: str
    defects: tuple[Defect, ...]
    cohort: Cohort | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


def read_cohort(
    source: Any,
    model: Any,
    *,
    units: Units | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    interpolation: Mapping[str, str] | None = None,
    ties: str = "rows",
    ignore: str | None = None,
    century: int | None = None,
    name: str | None = None,
    allow: Collection[str] = (),
    missing: Iterable[str] = (),
) -> Cohort:
    """Read NONMEM-style records into a validated cohort in the model's units.

    `source` is a csv path, a SAS transport file (`.xpt`, needs pyreadstat) or a DataFrame; `model` is anything with a `.vocabulary`, a
    `Vocabulary`, or None (names and units are then taken as they are). `units` maps columns and observables to units
    (`{"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}}`); a header may carry them as well (`TIME [h]`). `columns` maps standard names to the
    file's (`{"DV": "CONC"}`), `covariates` names further columns to carry, `name` names the cohort, and `allow` lists codes of defects that
    are fine here (only PK065, repeated rows).

    `interpolation` maps a covariate to what counts between records: "nocb" (the value of the record being approached, as in NONMEM; the
    default), "locf", "linear", "midpoint", or "constant" (a change is an error). `ties` orders rows of one time: "rows" as they stand,
    "doses_first" or "observations_first". `ignore` says which lines of a csv are comments: "#" or "C" in the first place, or "@" (NONMEM's:
    first character a letter or @), the header excepted; by default those that begin with # or @. `century` (2000) is added to years of two
    digits, which are refused without it. `missing` names covariates that a subject may lack: one without a value on any row keeps NaN, which is
    noted; a population with a prior for it makes it a parameter (`Population(missing=...)`).

    Returns a `Cohort`. Raises `DataError` with every defect at once: code, row (line of the file; the header is line 1; rows of a DataFrame
    count from 1), subject, column, cure. Source: the record columns of NONMEM, CENS and LIMIT as in Monolix.

    >>> import pandas as pd
    >>> from pkpd.data import Field, Vocabulary
    >>> words = Vocabulary((Field("depot", "mg"),), ("depot", "central"), (Field("cp", "mg/L"),))
    >>> rows = pd.DataFrame({"ID": [1, 1], "TIME [h]": [0, 2], "AMT [mg]": [320, 0], "DV [ug/mL]": [None, 8.5]})
    >>> read_cohort(rows, words, name="one")
    Cohort('one', 1 subject, 1 dose, 1 scored observation)
    """
    return read_with(source, model, options(units, columns, covariates, interpolation, ties, ignore, century, allow, missing), name)


def read_with(source: Any, model: Any, asked: Options, name: str | None) -> Cohort:
    """`read_cohort` with its arguments as one value."""
    seen = _examine(source, model, asked, name)
    if seen.cohort is None:
        raise DataError(seen.label, seen.defects)
    return seen.cohort


def check_records(
    source: Any,
    model: Any = None,
    *,
    units: Units | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    interpolation: Mapping[str, str] | None = None,
    ties: str = "rows",
    ignore: str | None = None,
    century: int | None = None,
    allow: Collection[str] = (),
    missing: Iterable[str] = (),
) -> tuple[Defect, ...]:
    """Every defect of a file, without raising; the arguments are those of `read_cohort`.

    Returns the errors (severity "error") of a file that cannot be read, else the warnings and notes about it.

    >>> import pandas as pd
    >>> for found in check_records(pd.DataFrame({"ID": [1], "TIME": [0], "AMT": [-5], "EVID": [1]})):
    ...     str(found)
    'PK037 row 1, subject 1, column AMT: AMT is -5, below zero. Write the amount given, or correct the sign.'
    """
    return _examine(source, model, options(units, columns, covariates, interpolation, ties, ignore, century, allow, missing), None).defects


def examine(
    source: Any,
    model: Any = None,
    *,
    units: Units | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    interpolation: Mapping[str, str] | None = None,
    ties: str = "rows",
    ignore: str | None = None,
    century: int | None = None,
    name: str | None = None,
    allow: Collection[str] = (),
    missing: Iterable[str] = (),
) -> Examined:
    """Read a file as far as it can be read, without raising; the arguments are those of `read_cohort`.

    >>> import pandas as pd
    >>> examine(pd.DataFrame({"ID": [1], "TIME": [0], "AMT": [5], "DV": [None]})).cohort
    Cohort('DataFrame', 1 subject, 1 dose, 0 scored observations)
    """
    return _examine(source, model, options(units, columns, covariates, interpolation, ties, ignore, century, allow, missing), name)


def _examine(source: Any, model: Any, asked: Options, name: str | None) -> Examined:
    seen = _read(source, model, asked)
    label, sha256 = seen.cells.label, seen.cells.sha256
    if seen.table is None or seen.frame is None or seen.columns is None or seen.declared is None:
        return Examined(label, sha256, seen.defects)
    cohort = make_cohort(seen.cells, seen.table, seen.frame, name, seen.notes, asked)
    found = check_quality(seen.cells, seen.columns, seen.declared, seen.table, seen.frame, cohort)
    told = replace(cohort, notes=cohort.notes + warning_lines(found))
    simulated = any("simulated" in str(text).lower() for text in pd.unique(seen.table["LABEL"]))
    return Examined(label, sha256, found, told, known_units(seen.table, seen.declared), simulated)


def _read(source: Any, model: Any, asked: Options) -> _Reading:
    words, cells = vocabulary_of(model), read_cells(source, asked.ignore)
    wanted = tuple(dict.fromkeys([*(words.covariates if words else ()), *asked.covariates]))
    methods, lacking = check_methods(asked.interpolation, wanted), check_missing(asked.missing, wanted)
    if not len(cells.frame):
        return _Reading(cells, cells.defects)
    columns = match_columns(cells.header, asked.columns, wanted)
    others = (*wanted, *columns.numbered, *columns.unused)
    declared, unit_defects = declared_units(columns.units, asked.units_for(source), words, others)
    table, cell_defects = build_table(cells, columns, words, wanted, asked.century)
    table = replace(table, constant=frozenset(name for name, method in methods.items() if method == CONSTANT), lacking=lacking)
    declared, told, several = units_in_cells(cells, columns, table, declared)
    frame, convert_defects = convert(table, declared)
    defects = [*cells.defects, *columns.defects, *unit_defects, *cell_defects, *check_table(table), *several, *convert_defects]
    kept = [d for d in defects if d.code not in asked.allow]
    if kept:
        return _Reading(cells, tuple(sorted(kept, key=lambda d: (d.row or 0, d.code))))
    return _Reading(
        cells, (), table, frame, cells.notes + told + notes_on(table, columns, declared) + notes_on_missing(table), columns, declared
    )
