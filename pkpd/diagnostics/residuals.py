"""Normalised residuals by simulation: randomised quantile residuals, censored rows included.

A row's residual is the normal score of its place among its own replicates. If the model is right, residuals of new data are
standard normal; those against the fitted subjects' own replicates are somewhat too small, since the same data fitted them.
Source: Dunn & Smyth 1996, J Comput Graph Stat 5:236 (randomised quantile residuals); Brendel et al. 2006, Pharm Res 23:2036 (NPDE).
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
from scipy.stats import norm

from pkpd.diagnostics.layout import attribute, pooled
from pkpd.diagnostics.rows import rows
from pkpd.errors import FitError, choices

REPLICATES = {"individual": ("dv", "ipred"), "population": ("dv_new", "pred")}


def quantile_interval(dv: np.ndarray, simulated: np.ndarray, cens: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval of the row's quantile that its datum allows: `[low, high]`, each `[obs]`.

    With n replicates of which a lie below the datum: an observed value gets (a, a + 1)/(n + 1); a left-censored one
    (0, 1 + count up to the limit)/(n + 1), starting at `lower` where that is given; a right-censored one (a, n + 1)/(n + 1).
    `dv`, `cens`, `lower` are `[obs]`, `simulated` is `[draw, obs]`; replicates that are nan are left out.

    >>> low, high = quantile_interval(np.array([2.5]), np.array([[1.0], [2.0], [3.0]]), np.array([0]), np.array([np.nan]))
    >>> float(low[0]), float(high[0])
    (0.5, 0.75)
    """
    count = np.isfinite(simulated).sum(axis=0)
    below, upto = (simulated < dv).sum(axis=0), (simulated <= dv).sum(axis=0)
    floor = np.where(np.isfinite(lower), (simulated < lower).sum(axis=0), 0)
    low = np.where(cens == 1, floor, below) / (count + 1)
    high = np.where(cens == -1, count + 1, upto + 1) / (count + 1)
    return low, high


def quantile_residuals(dv: np.ndarray, simulated: np.ndarray, cens: np.ndarray, lower: np.ndarray, key: jax.Array) -> np.ndarray:
    """Randomised quantile residuals `[obs]`: the normal score of a uniform draw from each row's quantile interval.

    r = Phi^-1(low + (high - low) U), U ~ uniform(0, 1) from `key`; nan where the datum or all replicates are missing.

    >>> r = quantile_residuals(np.array([0.0]), np.linspace(-3, 3, 99)[:, None], np.array([0]), np.array([np.nan]), jax.random.key(0))
    >>> bool(abs(r[0]) < 0.05)
    True
    """
    low, high = quantile_interval(dv, simulated, cens, lower)
    uniform = np.asarray(jax.random.uniform(key, low.shape, minval=1e-6, maxval=1 - 1e-6), dtype=float)
    known = np.isfinite(dv) & np.isfinite(simulated).any(axis=0)
    return np.where(known, norm.ppf(low + (high - low) * uniform), np.nan)


def residual_key(fit: Any) -> jax.Array:
    """The random key that belongs to a fit (its own seed), so that its residuals are the same each time they are drawn."""
    provenance = attribute(fit, "provenance", {})
    seed = provenance.get("seed", 0) if isinstance(provenance, dict) else 0
    return jax.random.key(int(seed or 0) % 2**32)


def residual_table(fit: Any, against: str = "individual") -> pd.DataFrame:
    """Scored rows with their prediction and normalised residual.

    `against` is "individual" (replicates of the same subjects; prediction = median individual prediction) or "population"
    (replicates with new random effects; prediction = median population prediction).
    Columns: those of `rows`, plus prediction and residual. Raises `FitError` for any other `against`.
    """
    if against not in REPLICATES:
        raise FitError(f"Residuals are taken against simulated replicates, not '{against}'. {choices(against, REPLICATES)}")
    replicate, prediction = REPLICATES[against]
    table = rows(fit)
    simulated = pooled(fit, "posterior_predictive", replicate, "obs")
    table["prediction"] = median_over_draws(pooled(fit, "posterior_predictive", prediction, "obs"))
    arrays = (table["dv"].to_numpy(), simulated, table["cens"].to_numpy(), table["lower"].to_numpy(float))
    table["residual"] = quantile_residuals(*arrays, key=residual_key(fit))
    return table[table["scored"] & table["residual"].notna()]


def median_over_draws(values: np.ndarray) -> np.ndarray:
    """Median over the first axis, leaving out nan (failed solves); nan where every draw failed.

    >>> median_over_draws(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])).tolist()
    [2.0, nan]
    """
    some = np.isfinite(values).any(axis=0)
    filled = np.where(some, values, 0.0)
    return np.where(some, np.nanmedian(filled, axis=0), np.nan)


def normal_quantiles(residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of a normal QQ plot: expected normal scores at (i - 0.5)/n, and the sorted residuals.

    >>> expected, found = normal_quantiles(np.array([1.0, -1.0]))
    >>> [round(float(x), 3) for x in expected], found.tolist()
    ([-0.674, 0.674], [-1.0, 1.0])
    """
    found = np.sort(np.asarray(residuals, dtype=float))
    return norm.ppf((np.arange(len(found)) + 0.5) / len(found)), found


def normal_quantile_band(n: int, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise band of the i-th of n sorted standard normal values: the normal scores of Beta(i, n + 1 - i) quantiles.

    >>> low, high = normal_quantile_band(1)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (-1.645, 1.645)
    """
    from scipy.stats import beta

    order = np.arange(1, n + 1)
    tail = (1 - level) / 2
    return norm.ppf(beta.ppf(tail, order, n + 1 - order)), norm.ppf(beta.ppf(1 - tail, order, n + 1 - order))
