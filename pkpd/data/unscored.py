"""Records read for prediction only: what was measured is left aside, so a row needs no DV, and no DVID either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.cohort import Cohort
from pkpd.data.columns import Columns, match_columns
from pkpd.data.numeric import texts
from pkpd.data.options import options
from pkpd.data.read import read_with
from pkpd.data.source import Cells, read_cells
from pkpd.data.vocabulary import Vocabulary, vocabulary_of
from pkpd.errors import DataError

MEASURED = ("DV", "CENS", "LIMIT", "LLOQ", "ULOQ")


@dataclass(frozen=True, eq=False)
class Unscored:
    """A cohort that scores nothing, with ID and TIME of every record as they were written, and the columns that mean nothing here."""

    cohort: Cohort
    ids: pd.Series
    times: pd.Series
    unused: tuple[str, ...]


def read_unscored(
    source: Any,
    model: Any,
    *,
    units: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    covariates: Iterable[str] = (),
    interpolation: Mapping[str, str] | None = None,
) -> Unscored:
    """Read records as `read_cohort` does, with every observation set to MDV 1 and, where DVID is empty, to the first observable.

    Units written by `Regimen.to_records` into the table's attributes count where `units` is None. Raises `DataError` like `read_cohort`.
    """
    words, cells, extra = vocabulary_of(model), read_cells(source), tuple(covariates)
    if cells.defects or not len(cells.frame):
        raise DataError(cells.label, cells.defects)
    units = getattr(source, "attrs", {}).get("units") if units is None else units
    found = match_columns(cells.header, columns or {}, (*(words.covariates if words else ()), *extra))
    try:
        plain = _blanked(cells, found, words)
        asked = options(units or {}, columns, extra, interpolation)
        cohort = read_with(plain, model, asked, cells.label)
    except DataError as error:
        placed = [d if d.row is None else replace(d, row=int(cells.rows[d.row - 1])) for d in error.defects]
        raise DataError(cells.label, placed) from None
    tables = {name: _placed(getattr(cohort, name), cells.rows) for name in ("records", "doses", "observations")}
    index = source.index if isinstance(source, pd.DataFrame) else None
    written = {name: _plain(cells.frame[found.at[name]], index) for name in ("ID", "TIME")}
    return Unscored(replace(cohort, **tables), written["ID"], written["TIME"], found.unused)


def _blanked(cells: Cells, found: Columns, words: Vocabulary | None) -> pd.DataFrame:
    """The table without what was measured; columns MDV and DVID are added where they are missing."""
    frame, header = cells.frame.copy(), list(cells.header)
    for name in MEASURED:
        if name in found.at:
            frame[found.at[name]] = np.nan
    first = words.observables[0].name if words and words.observables else ""
    which = texts(frame[found.at["DVID"]]) if "DVID" in found.at else np.full(len(frame), "", dtype=object)
    for name, value in (("MDV", 1), ("DVID", np.where(np.isin(which, ["", "."]), first, which))):
        place = found.at.get(name, len(header))
        header += [name] if place == len(header) else []
        frame[place] = value
    return frame.set_axis(header, axis=1)


def _placed(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """A table whose `row` is the line of the file."""
    return table.assign(row=rows[table["row"].to_numpy() - 1])


def _plain(column: pd.Series, index: pd.Index | None) -> pd.Series:
    """A column as written; text of a csv file becomes numbers where all of it is."""
    if index is not None:
        return column.set_axis(index)
    numbers = pd.to_numeric(column, errors="coerce")
    return (column if numbers.isna().any() else numbers).reset_index(drop=True)
