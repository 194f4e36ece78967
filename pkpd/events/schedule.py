"""The segments of a cohort as one rectangle of padded arrays: what a solver walks through.

Where every event time is known before any parameter, segments are laid out once in NumPy and made as few as can be. Where a lag, a rate or a
duration is estimated, `Schedule.plan` lays them out anew for each value, and the arrays here hold the layout at typical values (sizes, meshes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.events.layout import Given, Layout, Static, Steady, lay_out, static_of
from pkpd.events.plan import DURATION, RATE, Plan, build_plan


@dataclass(frozen=True, eq=False)
class Schedule:
    """E segments, M looks, D dose targets, B subjects: `edges[E+1, B]` (h), `amount[E, D, B]` given at a segment's start, `rate[E, D, B]` during it,
    `reset[E, B]` and `clear[E, B]` at its start, `interval[E, B]` of the covariates, `times[M, B]`, `segment[M, B]`; row r of the long table is read at
    `(row_time[r], row_lane[r])`. `static` is None where nothing moves.
    """

    plan: Plan
    edges: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    reset: np.ndarray
    clear: np.ndarray
    interval: np.ndarray
    segment: np.ndarray
    steady: Steady | None
    fault: np.ndarray
    static: Static | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        return self.plan.targets

    @property
    def times(self) -> np.ndarray:
        return self.plan.look_time

    @property
    def row_time(self) -> np.ndarray:
        return self.plan.row_time

    @property
    def row_lane(self) -> np.ndarray:
        return self.plan.row_lane

    @property
    def lanes(self) -> int:
        return self.edges.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(segments, times, lanes)"""
        return self.amount.shape[0], self.times.shape[0], self.lanes


def known(plan: Plan, xp: Any = np) -> Given:
    """Lag, bioavailability, duration and rate as the records alone give them: no lag, all of the dose, where nothing is said."""
    d = plan.doses
    rate = xp.where(d.shape == RATE, d.value, 1.0)
    share = xp.where(xp.isnan(d.bioavailability), 1.0, d.bioavailability)
    return Given(xp.where(xp.isnan(d.lag), 0.0, d.lag), share, xp.where(d.shape == DURATION, d.value, 1.0), rate, False)


def schedule_of(plan: Plan, given: Given, moves: bool, strict: bool = False) -> Schedule:
    """The schedule of a plan at given attributes; `moves` keeps one segment a point, since their order may change (`strict` as in `static_of`)."""
    static = static_of(plan, given, strict)
    layout = lay_out(plan, given, static)
    if not moves:
        layout = compress(layout)
    return Schedule(plan, *layout[:7], layout.steady, layout.fault, static if moves else None)


def build_schedule(doses: pd.DataFrame, observations: pd.DataFrame, n_subjects: int, targets: Sequence[str] | None = None) -> Schedule:
    """Lay out the long tables of a cohort (columns as in `Cohort`), doses as the records give them.

    >>> doses = pd.DataFrame({"subject": [0], "time": [0.0], "rank": [0], "kind": ["dose"], "target": ["iv"], "amount": [5.0]})
    >>> looks = pd.DataFrame({"subject": [0, 0], "time": [0.0, 2.0], "rank": [1, 2]})
    >>> build_schedule(doses, looks, 1).amount.ravel().tolist()
    [5.0]
    """
    plan = build_plan(doses, observations, n_subjects, targets)
    return schedule_of(plan, known(plan), moves=False)


def compress(layout: Layout) -> Layout:
    """Fewer segments: one without length in which nothing is seen joins the next, and what follows the last look goes."""
    e, lanes = layout.reset.shape
    seen = np.zeros((e, lanes), bool)
    np.put_along_axis(seen, layout.segment, True, 0)
    idle = np.concatenate([np.zeros((1, lanes), bool), (np.diff(layout.edges[:-1], axis=0) == 0) & ~seen[:-1]])
    keep = ~(idle & (layout.reset == 0) & (layout.clear == 0))
    new = np.cumsum(keep, 0) - 1
    segment = np.take_along_axis(new, layout.segment, 0)
    used = segment.max(0) + 1
    size = int(used.max(initial=1))
    lane = np.broadcast_to(np.arange(lanes), (e, lanes))
    inside = new < used
    put = _Put(size, lanes, np.where(inside, new, size), lane)
    begin = np.concatenate([layout.edges[:-1], layout.edges[-1:]])
    ends = np.take_along_axis(begin, np.where(inside, np.arange(e)[:, None], 0).max(0, keepdims=True) + 1, 0)
    edges = put.last(layout.edges[:-1], ends)
    steady = layout.steady
    if steady is not None:
        place = np.take_along_axis(new, steady.segment, 0)
        steady = steady._replace(segment=np.minimum(place, size - 1), target=np.where(place < used, steady.target, -1))
    joined = (put.added(np.moveaxis(layout.amount, 1, 0)), put.rows(np.moveaxis(layout.rate, 1, 0)))
    amount, rate = (np.moveaxis(x, 0, 1) for x in joined)
    return Layout(np.concatenate([edges, ends]), amount, rate, put.last(layout.reset, 0.0, first=True), put.last(layout.clear, 0.0, first=True),
                  put.last(layout.interval, None).astype(int), segment, steady, layout.fault)  # fmt: skip


@dataclass(frozen=True)
class _Put:
    """Segments gathered into fewer: `new[e, b]` says where each goes, `size` is nowhere."""

    size: int
    lanes: int
    new: np.ndarray
    lane: np.ndarray

    def last(self, values: np.ndarray, spare: Any, first: bool = False) -> np.ndarray:
        """The value of the last of each group (`first`: of the first); `spare` where a lane has fewer (None: its own last value)."""
        out = np.full((self.size + 1, self.lanes), np.nan)
        steps = range(len(values))
        for e in reversed(steps) if first else steps:
            out[self.new[e], self.lane[e]] = values[e]
        out = out[: self.size]
        if spare is None:
            count = np.isfinite(out).sum(0) - 1
            spare = np.take_along_axis(out, np.maximum(count, 0)[None], 0)
        return np.where(np.isnan(out), spare, out)

    def added(self, values: np.ndarray) -> np.ndarray:
        """Sums over groups [D, E, B]."""
        out = np.zeros((len(values), self.size + 1, self.lanes))
        for e in range(values.shape[1]):
            out[:, self.new[e], self.lane[e]] += values[:, e]
        return out[:, : self.size]

    def rows(self, values: np.ndarray) -> np.ndarray:
        return np.stack([self.last(v, None) for v in values]) if len(values) else np.zeros((0, self.size, self.lanes))
