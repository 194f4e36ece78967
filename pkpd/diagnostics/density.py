"""Smooth densities and chain ranks: the numbers behind the prior/posterior and the trace figures."""

from __future__ import annotations

import numpy as np

MOST_DRAWS = 2000


def density(values: np.ndarray, grid: np.ndarray, floor: float | None = None) -> np.ndarray:
    """Gaussian kernel density of `values` `[draw]` at `grid` `[point]`, reflected at `floor` so that no mass leaks below it.

    Zero everywhere when the values do not vary. Source: scipy.stats.gaussian_kde (Scott's rule).

    >>> grid = np.linspace(0.0, 1.0, 101)
    >>> d = density(np.linspace(0.0, 1.0, 500), grid, floor=0.0)
    >>> bool(abs(d[0] - 1.0) < 0.05)
    True
    """
    from scipy.stats import gaussian_kde

    sample = values[:: max(1, len(values) // MOST_DRAWS)]
    if np.ptp(sample) == 0:
        return np.zeros_like(grid)
    kernel = gaussian_kde(sample)
    if floor is None:
        return kernel(grid)
    return np.where(grid >= floor, kernel(grid) + kernel(2 * floor - grid), 0.0)


def chain_ranks(draws: np.ndarray, bins: int = 20) -> np.ndarray:
    """How often each chain's draws fall into each part of the pooled ranking: counts `[chain, bins]`.

    Chains that explore the same distribution give rows that are flat at draws/bins.
    Source: Vehtari et al. 2021, Bayesian Analysis 16:667.

    >>> chain_ranks(np.array([[1.0, 2.0], [3.0, 4.0]]), bins=2).tolist()
    [[2, 0], [0, 2]]
    """
    chains, length = draws.shape
    ranks = np.argsort(np.argsort(draws.ravel(), kind="stable"), kind="stable").reshape(chains, length)
    place = ranks * bins // (chains * length)
    return np.stack([np.bincount(row, minlength=bins) for row in place])
