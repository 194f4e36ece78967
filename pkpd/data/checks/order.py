"""Rules of order: a subject's rows stand together and its clock never goes back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.table import Table, found
from pkpd.errors import Defect


def check_order(table: Table) -> Iterator[Defect]:
    """Subjects are contiguous, TIME does not fall (a clock without a date says so itself, PK029), and something happens at all."""
    yield from found("PK041", table, _returns(table), "ID", value=table["ID"])
    time = table["TIME"]
    before = np.concatenate([[np.nan], time[:-1]])
    if table.clock != "clock":
        yield from found("PK042", table, ~first_rows(table) & (time < before), "TIME", value=time, before=before)
    if not table.evid(0, 1, 4).any() and table.evid(2, 3).any():
        yield from found("PK076", table, np.arange(len(table)) == 0)


def first_rows(table: Table) -> np.ndarray:
    """Rows at which another subject begins than the row before."""
    subject = table["SUBJECT"]
    return np.concatenate([[True], subject[1:] != subject[:-1]])


def _returns(table: Table) -> np.ndarray:
    starts = np.flatnonzero(first_rows(table))
    again = pd.Series(table["SUBJECT"][starts]).duplicated().to_numpy()
    where = np.zeros(len(table), bool)
    where[starts[again]] = True
    return where & (table["ID"] != "")
