"""Quantiles of very many values in little memory: each value is counted in a bin whose width is a fixed share of it, and bins of parts add up.

The idea is that of DDSketch (Masson, Rim & Lee 2019, arXiv:1908.10693): bin i holds (g^(i-1), g^i] with g = (1 + a) / (1 - a), so that its middle is within
the share a of every value in it. Negative values have bins of their own, and so has zero (with what is smaller than any normal number, 2.2e-308).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pkpd.errors import ModelError

TINY = float(np.finfo(float).tiny)
NONE = 2**40  # the first bin of a window without any; minus this, the last
SLACK = 1.0 - 1e-6  # bins are a little narrower than they may be: logarithms are rounded


@dataclass(frozen=True, eq=False)
class Sketch:
    """Counts of C streams of `n` values each; exact are `n`, `minimum[C]`, `maximum[C]`, and up to rounding `total[C]`, their sum.

    A stream has three windows of bins [C, 3] (negative, zero, positive), from `low` to `high`, only as wide as its values; `counts` has all bins of all
    streams side by side. How much memory that is depends on the spread of the values and not on their number: at an error of 0.005
    a factor of ten takes 230 bins of 8 bytes, and all numbers there are 284,000.
    """

    relative_error: float
    n: int
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    total: np.ndarray

    @classmethod
    def empty(cls, streams: int, relative_error: float = 0.005) -> Sketch:
        """Nothing counted yet. Raises `ModelError` for an error that is not between 0.0001 and 0.5."""
        if not 1e-4 <= relative_error < 0.5:
            raise ModelError(f"relative_error={relative_error!r}: a share from 0.0001 to below 0.5, as in 0.005 for half a percent.")
        low, high = np.tile([NONE, 0, NONE], (streams, 1)), np.tile([-NONE, 0, -NONE], (streams, 1))
        extremes = np.full(streams, np.inf), np.full(streams, -np.inf)
        return cls(relative_error, 0, low, high, np.zeros(streams, np.int64), *extremes, np.zeros(streams))

    @classmethod
    def of(cls, values: np.ndarray, relative_error: float = 0.005) -> Sketch:
        """Count finite values [C, n].

        >>> float(Sketch.of(np.array([[-2.0, 0.0, 0.0, 4.0, 8.0]])).quantile([0.5])[0, 0])
        0.0
        """
        none = cls.empty(len(values), relative_error)
        if not values.shape[1]:
            return none
        bins = _bins(values, relative_error)
        one = replace(none, n=values.shape[1], **_windows(bins))
        shift = one._start - one.low
        index = bins + np.where(bins > 0, shift[:, 2:], np.where(bins < 0, shift[:, :1], shift[:, 1:2]))
        counts = np.bincount(index.ravel(), minlength=int(one._length.sum()))
        with np.errstate(over="ignore"):
            total = values.sum(1)
        return replace(one, counts=counts, minimum=values.min(1), maximum=values.max(1), total=total)

    def merge(self, other: Sketch) -> Sketch:
        """Both together, the same in whatever order parts are merged (`total` up to rounding)."""
        if (len(self.low), self.relative_error) != (len(other.low), other.relative_error):
            raise ModelError("Two sketches are merged when they count the same streams with the same relative error.")
        both = replace(self, low=np.minimum(self.low, other.low), high=np.maximum(self.high, other.high), n=self.n + other.n)
        counts = np.zeros(int(both._length.sum()), np.int64)
        for part in (self, other):
            counts[part._bins + np.repeat((both._start - both.low).ravel(), part._length.ravel())] += part.counts
        extremes = np.minimum(self.minimum, other.minimum), np.maximum(self.maximum, other.maximum)
        return replace(both, counts=counts, minimum=extremes[0], maximum=extremes[1], total=self.total + other.total)

    def quantile(self, q: Any) -> np.ndarray:
        """Quantiles [Q, C], each between two neighbours in rank as `np.quantile` has it; NaN where nothing is counted.

        Each neighbour is known within the relative error, and so is the quantile where both have the same sign.
        """
        if not self.n:
            return np.full((len(q), len(self.low)), np.nan)
        rank = np.asarray(q, float)[:, None] * (self.n - 1)
        below = np.floor(rank).astype(np.int64)
        first, second = self._ranked(below), self._ranked(np.minimum(below + 1, self.n - 1))
        return first + (second - first) * (rank - below)

    def _ranked(self, rank: np.ndarray) -> np.ndarray:
        """The values [Q, C] of rank [Q, 1] (from 0) in each stream: the middles of their bins, the extremes as they are."""
        place = np.searchsorted(np.cumsum(self.counts), rank + self.n * np.arange(len(self.low)), side="right")
        found = np.clip(_middle(self._bins[place], self.relative_error), self.minimum, self.maximum)
        return np.where(rank == 0, self.minimum, np.where(rank == self.n - 1, self.maximum, found))

    @property
    def mean(self) -> np.ndarray:
        """[C]"""
        return self.total / self.n if self.n else np.full(len(self.low), np.nan)

    @property
    def _length(self) -> np.ndarray:
        """How many bins each window has [C, 3]."""
        return np.maximum(self.high - self.low + 1, 0)

    @property
    def _start(self) -> np.ndarray:
        """Where each window begins in `counts` [C, 3]."""
        length = self._length
        return (np.cumsum(length) - length.ravel()).reshape(length.shape)

    @property
    def _bins(self) -> np.ndarray:
        """The bin that each of `counts` is of."""
        return np.arange(len(self.counts)) - np.repeat((self._start - self.low).ravel(), self._length.ravel())


def _growth(relative_error: float) -> tuple[float, int]:
    """(log g, how far bins are moved up so that those of positive values begin at 1)."""
    a = relative_error * SLACK
    step = math.log1p(a) - math.log1p(-a)
    return step, 1 - math.ceil(math.log(TINY) / step)


def _bins(values: np.ndarray, relative_error: float) -> np.ndarray:
    """Bins that rise with the values: 0 for zero, from 1 upwards for positive values, below 0 for negative ones."""
    step, moved = _growth(relative_error)
    size = np.abs(values)
    nothing = size < TINY
    np.maximum(size, TINY, out=size)
    np.log(size, out=size)
    size *= 1.0 / step
    np.ceil(size, out=size)
    size += moved
    np.copysign(size, values, out=size)
    size[nothing] = 0.0
    return size.astype(np.int64)


def _middle(bins: np.ndarray, relative_error: float) -> np.ndarray:
    """The value of each bin that is within the relative error of all that it holds."""
    step, moved = _growth(relative_error)
    size = np.exp((np.abs(bins) - moved) * step + math.log(2.0) - math.log1p(math.exp(step)))
    return np.where(bins == 0, 0.0, np.copysign(size, bins))


def _windows(bins: np.ndarray) -> dict[str, np.ndarray]:
    """The first and last bin [C, 3] of the negative values, zero and the positive values of each stream."""
    least, most = bins.min(1), bins.max(1)
    negative, positive = np.where(most < 0, most, -NONE), np.where(least > 0, least, NONE)
    mixed = (least <= 0) & (most >= 0)
    if mixed.any():
        some = bins[mixed]
        negative[mixed] = np.where(some < 0, some, -NONE).max(1)
        positive[mixed] = np.where(some > 0, some, NONE).min(1)
    zero = np.zeros_like(least)
    low = np.stack([np.where(least < 0, least, NONE), zero, positive], 1)
    return {"low": low, "high": np.stack([negative, zero, np.where(most > 0, most, -NONE)], 1)}
