"""Subjects that lack something, come twice, or begin far from where the others do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object

from pkpd.data.checks.study import Study, once, rounded
from pkpd.data.table import found
from pkpd.errors import Defect

FEWEST_VALUES, FEWEST_OTHERS, HIGH, SHARE = 3, 5, 10.0, 0.1


def check_subjects(study: Study) -> Iterator[Defect]:
    """Every subject has doses and observations, is there once, and starts where the others start."""
    dosed, seen = study.per_subject(study.table.gives) > 0, study.per_subject(study.table.scored) > 0
    if dosed.any():
        yield from found("PK140", study.table, study.at_first(~dosed & seen), "EVID")
    if seen.any():
        yield from found("PK141", study.table, study.at_first(~seen), "DV")
    yield from _copies(study)
    for code, label in enumerate(study.labels):
        if label:
            yield from _baselines(study, study.scored & (study.what == code))


def _copies(study: Study) -> Iterator[Defect]:
    """Subjects whose rows are those of an earlier one, told by a hash of each row at its place."""
    enough = _different_values(study) >= FEWEST_VALUES
    mark = pd.Series(_hash(study)).where(enough)
    again = (mark.duplicated() & mark.notna()).to_numpy()
    if again.any():
        leader = mark.groupby(mark).transform(lambda same: same.index[0])
        names = study.table["ID"][study.first]
        first = names[leader.fillna(0).to_numpy(int)]
        yield from found("PK142", study.table, study.at_first(again), "ID", value=first[study.subject])


def _different_values(study: Study) -> np.ndarray:
    counts = pd.Series(study.dv[study.scored]).groupby(study.subject[study.scored]).nunique()
    return counts.reindex(range(study.count), fill_value=0).to_numpy()


def _hash(study: Study) -> np.ndarray:
    table, start = study.table, np.flatnonzero(study.first)
    places = np.arange(len(study)) - start[study.subject]
    columns = [study.time, table["EVID"], table["AMT"], study.dv, table["CENS"], places.astype(float)]
    columns += [pd.factorize(table[name])[0].astype(float) for name in ("CMT", "DVID")]
    rows = hash_pandas_object(pd.DataFrame(dict(enumerate(columns))), index=False)  # ty: ignore[not-callable]
    return np.add.reduceat(rows.to_numpy(), start)


def _baselines(study: Study, mine: np.ndarray) -> Iterator[Defect]:
    """The first value before the first dose against that of the other subjects."""
    early = mine & (study.doses_before == study.doses_before[study.first][study.subject]) & np.isfinite(study.first_dose)[study.subject]
    at = np.flatnonzero(once(early, study.subject))
    if len(at) <= FEWEST_OTHERS:
        return
    value = study.dv[at]
    rank = np.sort(value)
    middle = (len(value) - 1) // 2
    others = np.where(value > rank[middle], rank[middle], rank[min(middle + 1, len(rank) - 1)])
    peak = pd.Series(study.dv[mine]).groupby(study.subject[mine]).max().reindex(study.subject[at]).to_numpy()
    high = (value > 0) & (value > HIGH * others) & (value > SHARE * peak) & study.quantified[at]
    where = np.zeros(len(study), bool)
    where[at[high]] = True
    other = np.full(len(study), np.nan)
    other[at] = rounded(others)
    yield from found("PK139", study.table, where, "DV", name=study.name, value=study.dv, other=other)
