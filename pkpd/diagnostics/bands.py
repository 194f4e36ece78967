"""Bands over draws and subjects: the numbers behind curves with uncertainty."""

from __future__ import annotations

import numpy as np

from pkpd.diagnostics.residuals import median_over_draws


def draw_band(values: np.ndarray, level: float = 0.9) -> np.ndarray:
    """Low, median and high over the first axis, nan draws left out: `[draw, ...] -> [3, ...]`.

    >>> draw_band(np.array([[0.0], [1.0], [2.0]]), level=1.0).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    some = np.isfinite(values).any(axis=0)
    tail = (1 - level) / 2
    ends = _quantiles(np.where(some, values, 0.0), [tail, 1 - tail], 0)
    return np.stack([np.where(some, ends[0], np.nan), median_over_draws(values), np.where(some, ends[1], np.nan)])


def _quantiles(values: np.ndarray, q: list[float], axis: int) -> np.ndarray:
    """NaN left out; where there is none, all columns at once (the same numbers, without a call for each column)."""
    return (np.nanquantile if np.isnan(values).any() else np.quantile)(values, q, axis=axis)


def subject_bands(values: np.ndarray, percentiles: tuple[float, ...] = (5, 50, 95), level: float = 0.9) -> np.ndarray:
    """Percentiles over subjects within each draw, then their band over draws: `[draw, subject, time] -> [percentile, 3, time]`.

    The percentiles show the spread between subjects, the band (low, median, high) how well that spread is known.

    >>> values = np.array([[[1.0], [3.0]], [[2.0], [4.0]]])          # two draws, two subjects, one time
    >>> subject_bands(values, percentiles=(50,), level=1.0).ravel().tolist()
    [2.0, 2.5, 3.0]
    """
    some = np.isfinite(values).any(axis=1, keepdims=True)
    within = _quantiles(np.where(some, values, 0.0), [p / 100 for p in percentiles], 1)
    within = np.where(some[:, 0, :], within, np.nan)
    return np.stack([draw_band(one, level) for one in within])
