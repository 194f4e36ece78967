"""Importance weights of draws from an approximation against the exact posterior: smoothed, judged by their tail, and turned into draws of equal weight.

Source: Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25:72 (Pareto smoothing and k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

EQUAL = 1e-10
"""Spread of log weights that is rounding: no tail can be fitted to them, and none is needed."""


@dataclass(frozen=True, eq=False)
class Weights:
    """`weight` [S] sums to 1 and is 0 for the `failed` draws, whose density was not finite; `pareto_k` of their tail (None where they are all equal)."""

    weight: np.ndarray
    pareto_k: float | None
    failed: int

    @property
    def ess(self) -> float:
        """Effective number of draws, 1 / sum of squared weights."""
        return float(1.0 / np.sum(self.weight**2))


def importance_weights(log_ratio: np.ndarray) -> Weights:
    """Pareto-smoothed weights from log target density - log density of the approximation [S].

    >>> found = importance_weights(np.zeros(4))
    >>> found.weight.tolist(), found.pareto_k, found.ess
    ([0.25, 0.25, 0.25, 0.25], None, 4.0)
    """
    log_ratio = np.asarray(log_ratio, float)
    good = np.isfinite(log_ratio)
    weight = np.zeros(len(log_ratio))
    if not good.any():
        return Weights(np.full(len(weight), 1.0 / len(weight)), np.inf, len(weight))
    smooth, k = _smoothed(log_ratio[good])
    weight[good] = smooth / smooth.sum()
    return Weights(weight, k, int((~good).sum()))


def _smoothed(log_ratio: np.ndarray) -> tuple[np.ndarray, float | None]:
    from arviz_stats.base import array_stats  # not at import time: it takes seconds

    centred = log_ratio - log_ratio.max()
    if np.ptp(centred) < EQUAL:
        return np.ones(len(centred)), None
    log_weights, k = array_stats.psislw(-centred)  # made for leave-one-out: it takes what the weights are one over
    return np.exp(log_weights), float(k) if np.isfinite(k) else float("inf")


def resampled(weight: np.ndarray, n: int, key: Any) -> np.ndarray:
    """Indices [n] of draws of equal weight, in random order: systematic resampling, so that a draw comes floor(n w) or one more times.

    >>> sorted(resampled(np.array([0.5, 0.25, 0.25, 0.0]), 4, jax.random.PRNGKey(1)).tolist())
    [0, 0, 1, 2]
    """
    first, second = jax.random.split(key)
    places = (np.arange(n) + float(jax.random.uniform(first))) / n
    index = np.minimum(np.searchsorted(np.cumsum(weight), places, side="right"), np.flatnonzero(weight)[-1])
    return np.asarray(jax.random.permutation(second, index))
