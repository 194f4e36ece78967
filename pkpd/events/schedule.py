"""Doses and observation times of a cohort as one rectangle of padded arrays: what a solver walks through.

Every event (dose, end of an infusion, reset) begins a segment. An observation carries the number of the segment it is read in, so whether it is
taken before or after an event at the same time is decided by the order of the records, never by comparing floats. Subject lanes come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Schedule:
    """E segments, M times, D dose targets, B subjects: `edges[E+1, B]` (h), `amount[E, D, B]` given at a segment's start, `rate[E, D, B]` during it,
    `reset[E, B]`, `times[M, B]`, `segment[M, B]`; row r of the long table is read at `(row_time[r], row_lane[r])`.
    """

    targets: tuple[str, ...]
    edges: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    reset: np.ndarray
    times: np.ndarray
    segment: np.ndarray
    row_time: np.ndarray
    row_lane: np.ndarray

    @property
    def lanes(self) -> int:
        return self.edges.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(segments, times, lanes)"""
        return self.amount.shape[0], self.times.shape[0], self.lanes


@dataclass
class _Lane:
    """One subject while its segments are laid out."""

    edges: list[float]
    amount: list[np.ndarray]
    rate: list[np.ndarray]
    reset: list[float]
    times: list[float]
    segment: list[int]


def build_schedule(doses: pd.DataFrame, observations: pd.DataFrame, n_subjects: int, targets: Sequence[str] | None = None) -> Schedule:
    """Lay out the long tables of a cohort (columns as in `Cohort`) as one padded rectangle.

    Within a time the order is: infusion ends, then records by rank (a lagged or additional dose carries a rank before the record it lands on).
    """
    targets = tuple(dict.fromkeys(t for t in doses["target"] if isinstance(t, str) and t)) if targets is None else tuple(targets)
    by_dose = {k: g for k, g in doses.groupby("subject")}
    by_obs = {k: g for k, g in observations.groupby("subject")}
    lanes, row_time = [], np.zeros(len(observations), int)
    position = {index: i for i, index in enumerate(observations.index)}
    for b in range(n_subjects):
        lane, where = _lane(by_dose.get(b), by_obs.get(b), targets)
        lanes.append(lane)
        for index, m in where.items():
            row_time[position[index]] = m
    return _pad(lanes, targets, row_time, observations["subject"].to_numpy(int))


def _lane(doses: pd.DataFrame | None, observations: pd.DataFrame | None, targets: tuple[str, ...]) -> tuple[_Lane, dict[int, int]]:
    events = _events(doses, targets) + _looks(observations)
    events.sort(key=lambda e: e[:3])
    start = min((e[0] for e in events), default=0.0)
    nothing = np.zeros(len(targets))
    lane, where = _Lane([start], [nothing], [nothing], [0.0], [], []), {}
    for time, _, _, kind, payload in events:
        if kind == "look":
            where[payload] = _look(lane, time)
        else:
            _segment(lane, time, kind, payload)
    lane.edges.append(max(lane.edges[-1], max((e[0] for e in events), default=start)))
    return lane, where


def _events(doses: pd.DataFrame | None, targets: tuple[str, ...]) -> list[tuple]:
    """(time, rank, order, kind, payload): the end of an infusion comes before every record of its time."""
    found: list[tuple] = []
    if doses is None:
        return found
    rows: list[Any] = list(doses.itertuples())
    for order, d in enumerate(rows):
        unit = np.array([float(t == d.target) for t in targets])
        if d.kind in ("reset", "reset_dose"):
            found.append((d.time, d.rank, order, "reset", None))
        if d.kind in ("dose", "reset_dose") and d.amount != 0:
            if d.duration > 0:
                speed = unit * d.amount / d.duration
                found.append((d.time, d.rank, order + 0.5, "rate", speed))
                found.append((d.time + d.duration, -np.inf, order + 0.5, "rate", -speed))
            else:
                found.append((d.time, d.rank, order + 0.5, "amount", unit * d.amount))
    return found


def _looks(observations: pd.DataFrame | None) -> list[tuple]:
    if observations is None:
        return []
    ranks = zip(observations["time"], observations["rank"], observations.index, strict=True)
    return [(float(t), r, -1, "look", i) for t, r, i in ranks]


def _look(lane: _Lane, time: float) -> int:
    segment = len(lane.amount) - 1
    if not lane.times or lane.times[-1] != time or lane.segment[-1] != segment:
        lane.times.append(time)
        lane.segment.append(segment)
    return len(lane.times) - 1


def _segment(lane: _Lane, time: float, kind: str, payload: np.ndarray | None) -> None:
    """Begin a segment at an event; events with nothing seen between them and no time between them share one."""
    last = len(lane.amount) - 1
    share = lane.edges[-1] == time and not (lane.segment and lane.segment[-1] == last) and kind != "reset"
    if not share:
        lane.edges.append(time)
        lane.amount.append(np.zeros_like(lane.amount[0]))
        lane.rate.append(lane.rate[-1])
        lane.reset.append(0.0)
    if kind == "reset":
        lane.reset[-1] = 1.0
    elif kind == "rate":
        assert payload is not None
        moved = lane.rate[-1] + payload
        lane.rate[-1] = np.where(np.abs(moved) < 1e-12 * np.abs(payload), 0.0, moved)
    else:
        lane.amount[-1] = lane.amount[-1] + payload


def _pad(lanes: list[_Lane], targets: tuple[str, ...], row_time: np.ndarray, row_lane: np.ndarray) -> Schedule:
    """Padding segments have no length and change nothing; padded times repeat the last one (a subject never looked at: its end)."""
    n_seg = max(len(x.amount) for x in lanes)
    n_time = max(1, *(len(x.times) for x in lanes))
    fill = lambda rows, n, pad: np.stack([*rows, *([pad] * (n - len(rows)))])  # noqa: E731
    zero = np.zeros(len(targets))
    last_time = [x.times[-1] if x.times else x.edges[-1] for x in lanes]
    last_seg = [x.segment[-1] if x.segment else len(x.amount) - 1 for x in lanes]
    return Schedule(
        targets=targets,
        edges=np.stack([fill(x.edges, n_seg + 1, x.edges[-1]) for x in lanes], -1).astype(float),
        amount=np.stack([fill(x.amount, n_seg, zero) for x in lanes], -1),
        rate=np.stack([fill(x.rate, n_seg, zero) for x in lanes], -1),
        reset=np.stack([fill(x.reset, n_seg, 0.0) for x in lanes], -1),
        times=np.stack([fill(x.times, n_time, t) for x, t in zip(lanes, last_time, strict=True)], -1).astype(float),
        segment=np.stack([fill(x.segment, n_time, s) for x, s in zip(lanes, last_seg, strict=True)], -1).astype(int),
        row_time=row_time,
        row_lane=row_lane,
    )


def tile(schedule: Schedule, n: int) -> Schedule:
    """`n` copies of a schedule side by side, copy by copy, its rows likewise: a virtual cohort is laid out once and repeated.

    >>> none, looks = pd.DataFrame({"subject": [], "target": []}), pd.DataFrame({"subject": [0], "time": [1.0], "rank": [0]})
    >>> tile(build_schedule(none, looks, 1), 3).row_lane.tolist()
    [0, 1, 2]
    """
    wide = {name: np.tile(getattr(schedule, name), n) for name in ("edges", "amount", "rate", "reset", "times", "segment", "row_time")}
    copies = schedule.lanes * np.repeat(np.arange(n), len(schedule.row_lane))
    return replace(schedule, **wide, row_lane=np.tile(schedule.row_lane, n) + copies)
