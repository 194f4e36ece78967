"""From cells to a table of numbers and names: every standard column is there afterwards, empty where the file has none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.aliases import ROUTE_NUMBERS, plain
from pkpd.data.clock_times import Clock, read_clock
from pkpd.data.columns import NAMES, NUMERIC, Columns, missing_column, missing_covariate
from pkpd.data.numeric import code_of, numbers, texts
from pkpd.data.source import Cells
from pkpd.data.table import Table, found
from pkpd.data.vocabulary import Vocabulary
from pkpd.errors import Defect

ALWAYS = ("TIME", "EVID", "AMT", "DV", "MDV", "CENS")
"""Columns that stand in the table even where the file has none; others are read as empty by `Table` without taking room."""


def build_table(
    cells: Cells, columns: Columns, vocabulary: Vocabulary | None, covariates: tuple[str, ...], century: int | None = None
) -> tuple[Table, list[Defect]]:
    """The table of a file and the cells that could not be read."""
    here = tuple(c for c in covariates if c in columns.at)
    data: dict[str, np.ndarray] = {"ROW": cells.rows}
    data |= {name: _text(cells, columns, name) for name in NAMES}
    wanted = [name for name in NUMERIC if name in columns.at or name in ALWAYS]
    read = {name: _numeric(cells, columns, name) for name in dict.fromkeys((*wanted, *columns.numbered, *here))}
    data |= {name: values for name, (values, _) in read.items()}
    data["SUBJECT"] = pd.factorize(data["ID"])[0]
    bad = {name: wrong for name, (_, wrong) in read.items() if wrong.any()}
    clock = read_clock(cells, columns, read["TIME"][1], data["SUBJECT"], century)
    if clock is not None:
        data["TIME"] = clock.hours
        bad = {name: wrong for name, wrong in bad.items() if name != "TIME"} | ({"TIME": clock.bad} if clock.bad.any() else {})
    data["EVID"], data["MDV"], data["CENS"] = _defaults(data, frozenset(columns.at))
    kind, note = (clock.kind, clock.note) if clock else ("", "")
    table = Table(
        pd.DataFrame(data, copy=False), frozenset(columns.at), bad, vocabulary, here, columns.numbered, kind, note, _counts_routes(columns)
    )
    absent = [missing_covariate(c, cells.header) for c in covariates if c not in columns.at]
    return table, absent + list(_required(table, columns)) + list(_unreadable(table, cells, columns)) + list(_clock_defects(table, clock))


def _text(cells: Cells, columns: Columns, name: str) -> np.ndarray:
    if name not in columns.at:
        return np.full(len(cells.rows), "", dtype=object)
    values = texts(cells.frame[columns.at[name]])
    return values if name == "ID" else np.where(values == ".", "", values)


def _numeric(cells: Cells, columns: Columns, name: str) -> tuple[np.ndarray, np.ndarray]:
    if name not in columns.at:
        return np.full(len(cells.rows), np.nan), np.zeros(len(cells.rows), bool)
    return numbers(cells.frame[columns.at[name]])


def _counts_routes(columns: Columns) -> bool:
    """Whether CMT is Monolix's administration number, which counts dose routes."""
    return any(name == "CMT" and plain(own) in ROUTE_NUMBERS for name, own in columns.taken)


def _defaults(data: dict[str, np.ndarray], present: frozenset[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """EVID from AMT where the file has no EVID; MDV and CENS are 0 where nothing is said."""
    evid = data["EVID"] if "EVID" in present else np.where(data["AMT"] > 0, 1.0, 0.0)
    mdv, cens = (np.where(np.isnan(data[name]), 0.0, data[name]) for name in ("MDV", "CENS"))
    return evid, mdv, cens


def _required(table: Table, columns: Columns) -> Iterator[Defect]:
    needs = (
        ("ID", "says whose row it is", True),
        ("TIME", "says when it happened", True),
        ("AMT", "every dose needs", table.gives.any()),
        ("DV", "every scored observation needs", table.scored.any()),
    )
    pointed_nowhere = {d.column for d in columns.defects if d.code == "PK016"}
    for name, why, needed in needs:
        if needed and name not in table.present and name not in pointed_nowhere:
            yield missing_column(name, why, columns.unused)


def _unreadable(table: Table, cells: Cells, columns: Columns) -> Iterator[Defect]:
    for name, wrong in table.bad.items():
        if name == "TIME" and table.clock:
            continue
        written = texts(cells.frame[columns.at[name]])
        codes = np.full(len(table), "", dtype=object)
        codes[wrong] = [code_of(cell) for cell in written[wrong]]
        for code in dict.fromkeys(codes[wrong]):
            own = "PK075" if name in table.covariates and code == "PK027" else code
            yield from found(own, table, codes == code, name, value=written)


def _clock_defects(table: Table, clock: Clock | None) -> Iterator[Defect]:
    for wrong in clock.wrong if clock else ():
        yield from found(wrong.code, table, wrong.rows, wrong.column, **wrong.values)
