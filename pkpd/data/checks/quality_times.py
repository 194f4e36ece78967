"""Times that do not look like those of the other subjects."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from pkpd.data.checks.study import Study, rounded
from pkpd.data.table import found
from pkpd.errors import Defect

FEWEST_SUBJECTS, FEWEST_TIMES = 4, 4
LONG_OWN, LONG_OTHERS, MOST_SUBJECTS = 20.0, 5.0, 0.9
SPAN_WITHIN, GAP_WITHIN = 0.2, 0.5
SLIPS = (
    (24.0, "shorter", "days instead of hours"),
    (24.0, "longer", "hours instead of days"),
    (60.0, "shorter", "hours instead of minutes"),
    (60.0, "longer", "minutes instead of hours"),
)


class _Clock(NamedTuple):
    """Of each subject: how many distinct times, from first to last, the median gap and the longest gap (h); NaN for too few times."""

    times: np.ndarray
    span: np.ndarray
    usual: np.ndarray
    longest: np.ndarray


def check_times(study: Study) -> Iterator[Defect]:
    """No pause is far longer than usual, and no subject keeps its time in another unit."""
    gap = np.where(study.first, 0.0, np.diff(study.time, prepend=study.time[0]))
    clock = _clock(study, gap)
    if np.sum(~np.isnan(clock.span)) >= FEWEST_SUBJECTS:
        strange = yield from _slips(study, clock)
        yield from _pauses(study, gap, clock, strange)


def _clock(study: Study, gap: np.ndarray) -> _Clock:
    moves = gap > 0
    groups = pd.Series(gap[moves]).groupby(study.subject[moves])
    table = pd.DataFrame({"times": groups.size() + 1, "span": groups.sum(), "usual": groups.median(), "longest": groups.max()})
    table = table.reindex(range(study.count))
    table[(table["times"] < FEWEST_TIMES).to_numpy()] = np.nan
    return _Clock(*(table[name].to_numpy(float) for name in _Clock._fields))


def _slips(study: Study, clock: _Clock) -> Generator[Defect, None, np.ndarray]:
    """Subjects whose whole clock is 24 or 60 times too fast or too slow; returns them as a mask."""
    times, span, usual = (np.nanmedian(values) for values in (clock.times, clock.span, clock.usual))
    strange = np.zeros(study.count, bool)
    for size, side, unit in SLIPS:
        wanted = size if side == "longer" else 1 / size
        mine = _near(clock.span / span / wanted, SPAN_WITHIN) & _near(clock.usual / usual / wanted, GAP_WITHIN)
        mine &= (clock.times >= times / 2) & ~strange
        own = rounded(clock.span)[study.subject]
        told = {"value": own, "times": f"{size:g}", "side": side, "usual": f"{span:.3g}", "unit": unit}
        yield from found("PK133", study.table, study.at_first(mine), "TIME", **told)
        strange |= mine
    return strange


def _near(ratio: np.ndarray, within: float) -> np.ndarray:
    return np.abs(ratio - 1) <= within


def _pauses(study: Study, gap: np.ndarray, clock: _Clock, strange: np.ndarray) -> Iterator[Defect]:
    known = np.sort(clock.longest[~np.isnan(clock.longest)])
    most = known[int(MOST_SUBJECTS * (len(known) - 1))]
    usual = clock.usual[study.subject]
    where = (gap >= LONG_OWN * usual) & (gap > LONG_OTHERS * most) & ~strange[study.subject]
    told = {"value": rounded(gap), "times": rounded(gap / usual), "usual": rounded(usual)}
    yield from found("PK132", study.table, where, "TIME", **told)
