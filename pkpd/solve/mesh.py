"""A fixed mesh for a cohort: through every event and observation time, fine after an event, growing geometrically away from it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.events.schedule import Schedule


@dataclass(frozen=True, eq=False)
class Mesh:
    """K intervals a lane. Interval k runs from `T[left] + part0 (T[right] - T[left])` to the same with part1, where T is edges then times stacked:
    so the mesh moves with event times and stays differentiable in them. `first` marks an interval that begins its segment;
    observation m is the start (`at_end` 0) or the end (1) of interval `spot[m]`.
    """

    left: Any
    right: Any
    part0: Any
    part1: Any
    segment: Any
    first: Any
    spot: Any
    at_end: Any

    @property
    def intervals(self) -> int:
        return self.left.shape[0]

    @property
    def tables(self) -> tuple[Any, ...]:
        """What differs from lane to lane, lanes last."""
        return tuple(getattr(self, f.name) for f in fields(self))

    def of(self, *tables: Any) -> Mesh:
        """That of the lanes of these tables."""
        return Mesh(*tables)


@dataclass(frozen=True, eq=False)
class SegmentMesh:
    """As `Mesh`, cut by segments alone and at fractions of them, for segments whose lengths and looks move: looks are read inside an interval.

    Segment e has `count[e]` intervals, each `1 + growth` times as long as the one before.
    """

    count: np.ndarray
    growth: float
    lanes: int

    @property
    def tables(self) -> tuple[Any, ...]:
        """One number a lane: all are alike."""
        return (np.zeros(self.lanes),)

    def of(self, *tables: Any) -> SegmentMesh:
        """That of as many lanes as the table has."""
        return replace(self, lanes=tables[0].shape[0])

    @property
    def intervals(self) -> int:
        return int(self.count.sum())

    def _spread(self, values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values[:, None], (len(values), self.lanes))

    @property
    def left(self) -> np.ndarray:
        return self._spread(np.repeat(np.arange(len(self.count)), self.count))

    segment = left

    @property
    def right(self) -> np.ndarray:
        return self.left + 1

    @property
    def _number(self) -> np.ndarray:
        return np.arange(self.intervals) - np.repeat(np.cumsum(self.count) - self.count, self.count)

    @property
    def part0(self) -> np.ndarray:
        return self._spread(self._cut(self._number))

    @property
    def part1(self) -> np.ndarray:
        return self._spread(self._cut(self._number + 1))

    @property
    def first(self) -> np.ndarray:
        return self._spread((self._number == 0).astype(float))

    def _cut(self, number: np.ndarray) -> np.ndarray:
        return np.expm1(number * np.log1p(self.growth)) / np.expm1(np.repeat(self.count, self.count) * np.log1p(self.growth))

    def locate(self, edges: Any, segment: Any, times: Any) -> tuple[Any, Any]:
        """The interval of each look [M, B], and where in it (0..1)."""
        take = lambda table, at: jnp.take_along_axis(table, at, 0)  # noqa: E731
        begin, end = take(edges, segment), take(edges, segment + 1)
        long = jnp.where(end > begin, end - begin, 1.0)
        share = jnp.where(end > begin, jnp.where(times > begin, times - begin, 0.0), 0.0) / long
        count = jnp.asarray(self.count)[segment]
        most, log = jnp.expm1(count * np.log1p(self.growth)), np.log1p(self.growth)
        number = jnp.clip(jnp.floor(jnp.log1p(jax.lax.stop_gradient(share) * most) / log).astype(int), 0, count - 1)
        low, high = (jnp.expm1((number + k) * log) / most for k in (0, 1))
        return jnp.asarray(np.cumsum(self.count) - self.count)[segment] + number, (share - low) / (high - low)


def segment_mesh(lengths: np.ndarray, start: float, growth: float) -> SegmentMesh:
    """A mesh for segments of about these lengths [E, B], as fine as `build_mesh` makes it."""
    longest = np.maximum(lengths.max(1), 0.0)
    count = np.ceil(np.log1p(growth * longest / start) / np.log1p(growth))
    return SegmentMesh(np.maximum(count, 1).astype(int), growth, lengths.shape[1])


def build_mesh(schedule: Schedule, start: float, growth: float) -> Mesh:
    """Intervals no longer than `start + growth x (time since the segment began)` (h), cut at every observation."""
    lanes = [_lane(schedule, b, start, growth) for b in range(schedule.lanes)]
    k = max(len(rows) for rows, _ in lanes)
    pad = lambda rows: rows + [(*rows[-1][:2], rows[-1][3], rows[-1][3], rows[-1][4], 0.0)] * (k - len(rows))  # noqa: E731
    table = np.array([pad(rows) for rows, _ in lanes]).transpose(2, 1, 0)
    spots = np.array([s for _, s in lanes]).transpose(2, 1, 0)
    whole = lambda x: x.astype(np.int64)  # noqa: E731
    return Mesh(whole(table[0]), whole(table[1]), table[2], table[3], whole(table[4]), table[5], whole(spots[0]), spots[1].astype(float))


def _lane(schedule: Schedule, b: int, start: float, growth: float) -> tuple[list[tuple], list[tuple[int, int]]]:
    edges, times, segment = schedule.edges[:, b], schedule.times[:, b], schedule.segment[:, b]
    n_edges, stamp = len(edges), np.concatenate([edges, times])
    rows: list[tuple] = []
    spots: list[tuple[int, int]] = [(0, 0)] * len(times)
    for e in range(n_edges - 1):
        inside = [m for m in np.argsort(times, kind="stable") if segment[m] == e]
        anchors = [(e, None), *((n_edges + m, m) for m in inside), (e + 1, None)]
        rows_before = len(rows)
        for (a, before), (c, m) in itertools.pairwise(anchors):
            if m is not None and before is not None and stamp[a] == stamp[c]:  # padding repeats a time
                spots[m] = spots[before]
                continue
            if m is None and stamp[a] == stamp[c] and len(rows) > rows_before and e >= segment.max():  # nothing is read beyond
                continue
            # A look at an edge keeps its interval of no length: there alone the slope in the look's time parts from that in the event's.
            cuts = _cuts(stamp[a] - edges[e], stamp[c] - edges[e], start, growth)
            for lo, hi in itertools.pairwise(cuts):
                rows.append((a, c, lo, hi, e, float(len(rows) == rows_before)))
            if m is not None:
                spots[m] = (len(rows) - 1, 1)
    return rows, spots


def _cuts(begin: float, end: float, start: float, growth: float) -> list[float]:
    """Fractions 0..1 that cut [begin, end] (time since the segment began) into intervals of allowed length."""
    if end <= begin:
        return [0.0, 1.0]
    points = [begin]
    while points[-1] < end:
        points.append(points[-1] + start + growth * points[-1])
    points = [begin + (x - begin) * (end - begin) / (points[-1] - begin) for x in points]
    cuts = [(x - begin) / (end - begin) for x in points]
    return [*cuts[:-1], 1.0]
