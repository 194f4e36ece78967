"""Log-likelihoods of published summaries, given the law of one subject: counts, medians, ranges, means and standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, logsumexp

from pkpd.noise.tails import log_below, mills

FLOOR = -700.0  # floor of a log-probability, so that values and gradients stay finite


def mean_log(logp: Any) -> Any:
    """Log of the mean over subjects (last axis) of exp(logp), not below FLOOR."""
    return jnp.maximum(logsumexp(logp, axis=-1) - np.log(jnp.shape(logp)[-1]), FLOOR)


def mixture(x: float, log_f: Any, sigma: Any) -> tuple[Any, Any, Any]:
    """(log F, log(1 - F), log density) at x > 0 of a lognormal measurement around the predictions exp(log_f) [M]."""
    z = (np.log(x) - log_f) / sigma
    density = -0.5 * z**2 - jnp.log(sigma) - 0.5 * np.log(2 * np.pi) - np.log(x)
    return mean_log(log_below(z)), mean_log(log_below(-z)), mean_log(density)


def binomial(count: int, of: int, log_yes: Any, log_no: Any) -> Any:
    """log Binomial(count; of, p) from log p and log(1 - p)."""
    return _log_multinomial([count, of - count]) + count * log_yes + (of - count) * log_no


def multinomial(counts: Sequence[int], log_p: Any) -> Any:
    """log Multinomial(counts; p) from log p [k]."""
    return _log_multinomial(counts) + jnp.sum(jnp.asarray(counts) * log_p)


def odd_median(n: int, below: Any, above: Any, density: Any) -> Any:
    """log of n!/(r!)^2 F^r (1 - F)^r f, n = 2r + 1, from log F, log(1 - F), log f at the median."""
    r = n // 2
    return gammaln(n + 1.0) - 2 * gammaln(r + 1.0) + r * (below + above) + density


def extremes(n: int, between: Any, low: Any, high: Any) -> Any:
    """log of n (n - 1) [F(b) - F(a)]^(n - 2) f(a) f(b), from log(F(b) - F(a)) and the log densities, n at least 2."""
    return np.log(n * (n - 1.0)) + (n - 2) * between + low + high


def ordered(gaps: Sequence[int], log_between: Sequence[Any], log_density: Sequence[Any]) -> Any:
    """log density of K of n order statistics x_1 < ... < x_K with `gaps` [K + 1] subjects below, between and above them.

    n!/prod(gaps!) prod_k [F(x_k+1) - F(x_k)]^gaps_k prod_k f(x_k), F = 0 below and 1 above; source: David & Nagaraja 2003, eq. 2.2.2.
    """
    return (
        _log_multinomial([*gaps, *[1] * len(log_density)])
        + sum(g * b for g, b in zip(gaps, log_between, strict=True) if g)
        + sum(log_density)
    )


def log_difference(high: Any, low: Any) -> Any:
    """log(exp(high) - exp(low)) for high > low, elementwise, not below FLOOR."""
    gap = jnp.minimum(low - high, -1e-300)
    small = gap > -0.693
    tail = jnp.where(small, jnp.log(-jnp.expm1(jnp.where(small, gap, -1.0))), jnp.log1p(-jnp.exp(jnp.where(small, -1.0, gap))))
    return jnp.maximum(high + tail, FLOOR)


def peak_law(x: Any, log_f: Any, sigma: Any) -> tuple[Any, Any]:
    """(log F, log density) [M] at x > 0 of the largest of independent lognormal measurements around exp(log_f) [visits, M].

    F = prod_t Phi(z_t), f = F sum_t phi(z_t)/Phi(z_t)/(sigma x), z_t = (ln x - ln f_t)/sigma.
    """
    z = (jnp.log(x) - log_f) / sigma
    below = jnp.sum(log_below(z), axis=0)
    slopes = logsumexp(jnp.log(jnp.maximum(mills(z), 1e-300)), axis=0)
    return jnp.maximum(below, FLOOR), below + slopes - jnp.log(sigma) - jnp.log(x)


def mean_and_sd(mean: Any, sd: Any, n: int, log_f: Any, sigma: Any) -> Any:
    """log density of the mean and standard deviation of n values y = f exp(sigma e), f = exp(log_f) [M].

    (ln mean, ln sd^2) is taken as normal around (ln mu, ln m2) with the moments' large-sample covariance
    [[m2/mu^2, m3/(mu m2)], [., m4/m2^2 - (n - 3)/(n - 1)]]/n; mu, m2, m3, m4 are the mean and central moments of y over subjects and residuals.
    """
    log_mu = mean_log(log_f) + 0.5 * sigma**2
    r = [jnp.exp(mean_log(k * (log_f - log_mu)) + 0.5 * (k * sigma) ** 2) for k in (2, 3, 4)]
    m2, m3, m4 = r[0] - 1.0, r[1] - 3 * r[0] + 2.0, r[2] - 4 * r[1] + 6 * r[0] - 3.0
    a, b, c = m2 / n, m3 / m2 / n, (m4 / m2**2 - (n - 3) / (n - 1)) / n
    u, v = jnp.log(mean) - log_mu, 2 * jnp.log(sd) - jnp.log(m2) - 2 * log_mu
    det = a * c - b**2
    square = (c * u**2 - 2 * b * u * v + a * v**2) / det
    return -0.5 * square - 0.5 * jnp.log(det) - jnp.log(2 * jnp.pi) - jnp.log(mean) + np.log(2.0) - jnp.log(sd)


def _log_multinomial(counts: Sequence[int]) -> Any:
    k = np.asarray(counts, float)
    return gammaln(k.sum() + 1) - jnp.sum(gammaln(k + 1))
