"""Covariates over time: intervals on which each is constant (or a straight line), by the rule named for it.

nocb      the value of the record being approached (NONMEM's rule): on (t[i-1], t[i]] the value of record i
locf      the last value seen: on [t[i], t[i+1]) the value of record i
midpoint  locf up to the middle between two records, nocb after it
linear    a straight line between records
Of several records at one time the first is the one approached, the last the one left. Before the first record the first value holds, after the last
one the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

METHODS = ("nocb", "locf", "midpoint", "linear")
Knots = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Intervals:
    """K intervals cut at `cut[K-1, B]` (h; infinity where a lane has fewer): `value[j, K, B]` and, for straight lines, `slope[j, K, B]` from `origin[K, B]`.

    `linear[j]` says which covariates are straight lines, `begins[j]` which take their new value at a cut itself (locf).
    """

    cut: Any
    value: Any
    slope: Any
    origin: Any
    linear: tuple[bool, ...]
    begins: tuple[bool, ...]

    @property
    def varies(self) -> bool:
        return self.cut.shape[0] > 0

    def tile(self, n: int) -> Intervals:
        """`n` copies side by side."""
        return Intervals(*(np.tile(x, n) for x in (self.cut, self.value, self.slope, self.origin)), self.linear, self.begins)

    def at(self, times: np.ndarray) -> np.ndarray:
        """Values [j, M, B] at times [M, B]."""
        out = np.zeros((len(self.value), *times.shape))
        for compare, wanted in ((np.less, False), (np.less_equal, True)):
            index = np.zeros(times.shape, int)
            for row in self.cut:
                index += compare(row, times)
            since = times - np.take_along_axis(self.origin, index, 0)
            for j in np.flatnonzero(np.array(self.begins) == wanted):
                slope = np.take_along_axis(self.slope[j], index, 0)
                out[j] = np.take_along_axis(self.value[j], index, 0) + np.where(slope == 0, 0.0, slope * since)
        return out


def constant_intervals(values: np.ndarray) -> Intervals:
    """One interval for ever: values [j, B]."""
    values = np.asarray(values, float)
    j, lanes = values.shape
    table = values[:, None]
    return Intervals(np.zeros((0, lanes)), table, np.zeros_like(table), np.zeros((1, lanes)), (False,) * j, (False,) * j)


def build_intervals(first: np.ndarray, records: pd.DataFrame | None, names: Sequence[str], method: Mapping[str, str]) -> Intervals:
    """Intervals of the covariates `names` from their values on each subject's first record [j, B] and the records of those that change.

    `records` has columns subject, time and the covariates that change anywhere; `method` names each one's rule.
    """
    changing = [n for n in names if records is not None and n in records.columns]
    if records is None or not changing:
        return constant_intervals(first)
    lanes = first.shape[1]
    moved = records.groupby("subject")[changing].nunique().max(axis=1) > 1  # the others are constant: nothing to lay out
    groups = {int(b): g for b, g in records[records["subject"].isin(moved.index[moved])].groupby("subject", sort=False)}
    knots = {b: {n: _knots(g, n) for n in changing} for b, g in groups.items()}
    cuts = {b: np.unique(np.concatenate([_cuts(*own[n], method[n]) for n in changing])) for b, own in knots.items()}
    k = max((len(c) for c in cuts.values()), default=0)
    cut = np.full((k, lanes), np.inf)
    value, slope, origin = np.repeat(first[:, None], k + 1, 1), np.zeros((len(names), k + 1, lanes)), np.zeros((k + 1, lanes))
    for b, own in cuts.items():
        size = len(own)
        cut[:size, b] = own
        probe, origin[: size + 1, b] = _probe(own)
        for n in changing:
            i = list(names).index(n)
            v, slope[i, : size + 1, b] = _read(*knots[b][n], probe, origin[: size + 1, b], method[n])
            value[i, :, b] = np.append(v, np.full(k - size, v[-1]))
    linear = tuple(n in changing and method[n] == "linear" for n in names)
    return Intervals(cut, value, slope, origin, linear, tuple(n in changing and method[n] == "locf" for n in names))


def _knots(rows: pd.DataFrame, name: str) -> Knots:
    """A subject's records, one a time: the value approached there (of its first record) and the one left there (of its last)."""
    time, value = rows["time"].to_numpy(float), rows[name].to_numpy(float)
    moves = np.diff(time) != 0
    return time[np.append(True, moves)], value[np.append(True, moves)], value[np.append(moves, True)]


def _cuts(time: np.ndarray, reached: np.ndarray, left: np.ndarray, method: str) -> np.ndarray:
    """Where the rule changes its value (for a straight line: its slope)."""
    if method == "nocb":
        return time[:-1][np.diff(reached) != 0]
    if method == "locf":
        return time[1:][np.diff(left) != 0]
    if method == "midpoint":
        return np.union1d((0.5 * (time[:-1] + time[1:]))[left[:-1] != reached[1:]], time[reached != left])
    return time if (reached != left).any() or (np.diff(left) != 0).any() else time[:0]


def _probe(cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A time inside each interval, and where the interval begins."""
    if not len(cuts):
        return np.full(1, -np.inf), np.zeros(1)
    inner = 0.5 * (cuts[1:] + cuts[:-1])
    return np.concatenate([[cuts[0] - 1.0], inner, [cuts[-1] + 1.0]]), np.concatenate([[cuts[0]], cuts])


def _read(
    time: np.ndarray, reached: np.ndarray, left: np.ndarray, probe: np.ndarray, origin: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Value (at `origin`) and slope in the interval around each probe."""
    after = np.searchsorted(time, probe)
    j, i = np.clip(after, 0, len(time) - 1), np.clip(after - 1, 0, len(time) - 1)
    ahead = np.where(after < len(time), reached[j], left[-1])
    behind = np.where(after > 0, left[i], reached[0])
    flat = np.zeros(len(probe))
    if method == "linear":
        inside = (after > 0) & (after < len(time))
        slope = np.where(inside, (ahead - behind) / np.where(inside, time[j] - time[i], 1.0), 0.0)
        return np.where(inside, behind + slope * (origin - time[i]), behind), slope
    if method == "midpoint":
        return np.where(probe < 0.5 * (time[i] + time[j]), behind, ahead), flat
    return (ahead if method == "nocb" else behind), flat
