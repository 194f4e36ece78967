"""Are ranks uniform? The ECDF test with a simultaneous band, its p-value by simulation, and which way they stray in words.

Source: Säilynoja, Bürkner & Vehtari 2022, Stat Comput 32:32 (arXiv:2103.10522).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy.stats import binom

SIMULATIONS = 20_000
CLEAR = 4.0  # standard errors


@dataclass(frozen=True)
class Uniformity:
    """p-value of one quantity's ranks; `shift`, their mean less 0.5 as fractions, and `spread`, their variance over that of uniform ranks less 1,
    both in Monte Carlo standard errors of uniform ranks."""

    p: float
    shift: float
    spread: float

    @property
    def words(self) -> str:
        """Which way the ranks stray, and what that says of the posterior.

        >>> Uniformity(0.001, 4.0, 0.3).words
        'ranks are too high (posterior too low)'
        """
        if abs(self.shift) >= min(CLEAR, abs(self.spread)):  # a clear shift moves ranks to an end too
            return "ranks are too high (posterior too low)" if self.shift > 0 else "ranks are too low (posterior too high)"
        return "ranks lie at the ends (posterior too narrow)" if self.spread > 0 else "ranks lie in the middle (posterior too wide)"


def uniformity(ranks: np.ndarray, most: int) -> Uniformity:
    """Test that `ranks` [n], whole numbers 0 to `most`, are uniform.

    The statistic is the smallest over k of 2 min(P(X <= c_k), P(X >= c_k)), where c_k ranks are <= k and X is binomial(n, (k + 1) / (most + 1));
    p is the fraction of 20,000 uniform samples (fixed key) whose statistic is as small, so no approximation enters but its own Monte Carlo error.

    >>> found = uniformity(np.arange(100), 99)
    >>> found.p > 0.99, uniformity(np.full(20, 99), 99).p < 0.001
    (True, True)
    """
    ranks = np.asarray(ranks)
    n, null = len(ranks), _null(len(ranks), most)
    seen = _statistic(np.bincount(ranks, minlength=most + 1)[None], n)[0]
    p = (1 + np.searchsorted(null, seen * (1 + 1e-12), side="right")) / (1 + len(null))
    levels = np.arange(most + 1)
    middle, variance = most / 2, float(np.var(levels))
    kurtosis = float(np.mean((levels - middle) ** 4))
    shift = (ranks.mean() - middle) / np.sqrt(variance / n)
    spread = (np.mean((ranks - middle) ** 2) - variance) / np.sqrt((kurtosis - variance**2) / n)
    return Uniformity(float(min(1.0, p)), float(shift), float(spread))


def band(n: int, most: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest number of ranks <= k [most] that n uniform ranks have at all k at once with probability of at least `level`.

    >>> low, high = band(20, 9, 0.95)
    >>> bool(np.all(low <= 20 * np.arange(1, 10) / 10)), len(high)
    (True, 9)
    """
    null = _null(n, most)
    kept = null[max(int((1 - level) * (1 + len(null)) * (1 + 1e-12)) - 1, 0)]  # the smallest statistic that is not rejected at 1 - level
    inside = _tails(n, most) >= kept * (1 - 1e-12)
    return np.argmax(inside, axis=0), n - np.argmax(inside[::-1], axis=0)


@functools.cache
def _null(n: int, most: int) -> np.ndarray:
    """The statistic of uniform samples, sorted."""
    keys, size = jax.random.split(jax.random.PRNGKey(20220421), 10), SIMULATIONS // 10
    first = np.arange(size)[:, None] * (most + 1)

    def counts(key: Any) -> np.ndarray:
        ranks = np.asarray(jax.random.randint(key, (size, n), 0, most + 1))
        return np.bincount((first + ranks).ravel(), minlength=size * (most + 1)).reshape(size, most + 1)

    return np.sort(np.concatenate([_statistic(counts(key), n) for key in keys]))


def _statistic(counts: np.ndarray, n: int) -> np.ndarray:
    """Of counts [samples, most + 1] by rank."""
    most = counts.shape[1] - 1
    below = np.cumsum(counts, axis=1)[:, :-1]
    return _tails(n, most)[below, np.arange(most)].min(axis=1)


@functools.cache
def _tails(n: int, most: int) -> np.ndarray:
    """Two-sided tail probability [n + 1, most] of seeing c ranks <= k."""
    c, chance = np.arange(n + 1)[:, None], np.arange(1, most + 1) / (most + 1)
    return np.minimum(1.0, 2 * np.minimum(binom.cdf(c, n, chance), binom.sf(c - 1, n, chance)))
