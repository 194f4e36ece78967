"""Rules of observation rows: a scored row has a DV, and no row stands there twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.names import observables
from pkpd.data.table import Table, found
from pkpd.errors import Defect


def check_observations(table: Table) -> Iterator[Defect]:
    """Scored observations are measured, and none is repeated."""
    if "DV" in table.present:
        empty, cens = table.scored & table.missing("DV"), table["CENS"]
        yield from found("PK064", table, empty & (cens == 0), "DV")
        yield from found("PK066", table, empty & (cens != 0), "DV", cens=cens)
    cens = table["CENS"]
    yield from found("PK072", table, table.evid(1, 2, 3, 4) & (cens != 0), "CENS", value=cens, evid=table["EVID"])
    first = first_equal(table, exact=True)
    yield from found("PK065", table, first >= 0, "DV", value=np.where(first >= 0, table["ROW"][first], 0))


def first_equal(table: Table, *, exact: bool) -> np.ndarray:
    """For each scored row the position of an earlier one of the same subject, time, observable and CMT (and DV); else -1.

    Rows on both sides of a dose are never equal: one is before it, one after.
    """
    names = ["SUBJECT", "TIME", "CMT", *(["DV", "CENS"] if exact else [])]
    first, at = np.full(len(table), -1), _at_one_time(table)
    if not len(at):
        return first
    parts = {"WHAT": observables(table)[at], "PART": np.cumsum(~table.evid(0))[at]}
    keys = pd.DataFrame({name: table[name][at] for name in names} | parts, index=at)
    again = keys.duplicated().to_numpy()
    if again.any():
        place = pd.Series(keys.index.to_numpy(), index=keys.index)
        leader = place.groupby([keys[c] for c in keys.columns], sort=False).transform("first")
        first[keys.index[again]] = leader[again]
    return first


def _at_one_time(table: Table) -> np.ndarray:
    """The places of measurements that stand beside another one of their subject and time."""
    at = np.flatnonzero(table.scored & ~np.isnan(table["TIME"]) & ~np.isnan(table["DV"]))
    time, subject = table["TIME"][at], table["SUBJECT"][at]
    same = np.zeros(len(at) + 1, bool)
    same[1:-1] = (time[1:] == time[:-1]) & (subject[1:] == subject[:-1])
    return at[same[1:] | same[:-1]]
