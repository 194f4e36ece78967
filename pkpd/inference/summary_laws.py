"""Log-likelihoods of published summaries, given the law of one subject: counts, medians, ranges, means and standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, logsumexp

from pkpd.noise.measurement import TINY
from pkpd.noise.tails import log_below, mills

FLOOR = -700.0  # floor of a log-probability, so that values and gradients stay finite
FARTHEST = 1e8  # sds: a proportional residual of a prediction of 0 has next to none, and powers of z would overflow
NONE = -1e30  # log of no probability at all: finite, so that the slope of a sum of two of them is


@dataclass(frozen=True, eq=False)
class Scatter:
    """The law of a measurement y of each virtual subject: y, or log y where `logs`, is normal(mean, sd); both [..., M]."""

    mean: Any
    sd: Any
    logs: bool

    def z(self, x: Any) -> Any:
        """Where x lies, in standard deviations, FARTHEST at most; x > 0 where `logs`."""
        return jnp.clip(((jnp.log(x) if self.logs else x) - self.mean) / self.sd, -FARTHEST, FARTHEST)

    def log_stretch(self, x: Any) -> Any:
        """log of the slope of the normal scale in x."""
        return -jnp.log(x) if self.logs else 0.0


def mean_log(logp: Any) -> Any:
    """Log of the mean over subjects (last axis) of exp(logp), not below FLOOR."""
    return jnp.maximum(logsumexp(logp, axis=-1) - np.log(jnp.shape(logp)[-1]), FLOOR)


def mixture(x: float, law: Scatter) -> tuple[Any, Any, Any]:
    """(log F, log(1 - F), log density) at x of a measurement of a subject drawn from the M."""
    z = law.z(x)
    density = -0.5 * z**2 - jnp.log(law.sd) - 0.5 * np.log(2 * np.pi) + law.log_stretch(x)
    return mean_log(log_below(z)), mean_log(log_below(-z)), mean_log(density)


def binomial(count: int, of: int, log_yes: Any, log_no: Any) -> Any:
    """log Binomial(count; of, p) from log p and log(1 - p)."""
    return _log_multinomial([count, of - count]) + count * log_yes + (of - count) * log_no


def multinomial(counts: Sequence[int], log_p: Any) -> Any:
    """log Multinomial(counts; p) from log p [k]."""
    return _log_multinomial(counts) + jnp.sum(jnp.asarray(counts) * log_p)


def poisson_binomial(count: int, of: int, log_yes: Any, log_no: Any) -> Any:
    """log P(`count` say yes) of patients with probabilities of their own, log p_i and log(1 - p_i) [n]; `of` of the n are asked, at random.

    P_i(k) = p_i P_i-1(k - 1) + (1 - p_i) P_i-1(k) over patients i, exact; with `of` below n over numbers of yes and of no, divided by (n over of).
    Source: Le Cam 1960 (the law); Chen & Liu 1997 (recursions).
    """
    n, lost = len(log_yes), jnp.asarray([NONE])
    if of == n:
        step = lambda g, p: (jnp.logaddexp(g + p[1], jnp.concatenate([lost, g[:-1]]) + p[0]), None)  # noqa: E731
        start = jnp.full(count + 1, NONE).at[0].set(0.0)
        return jax.lax.scan(step, start, (log_yes, log_no))[0][count]

    def each(g: Any, p: Any) -> tuple[Any, None]:
        more_yes = jnp.pad(g, ((0, 0), (1, 0)), constant_values=NONE)[:, :-1] + p[0]
        more_no = jnp.pad(g, ((1, 0), (0, 0)), constant_values=NONE)[:-1] + p[1]
        return jnp.logaddexp(g, jnp.logaddexp(more_yes, more_no)), None

    start = jnp.full((of - count + 1, count + 1), NONE).at[0, 0].set(0.0)
    return jax.lax.scan(each, start, (log_yes, log_no))[0][of - count, count] - _log_multinomial([of, n - of])


def by_patient(logp: Any, patient: np.ndarray) -> Any:
    """log of the mean of exp(logp) over the virtual subjects of each patient [n]; `patient` [M] numbers them 0, 0, ..., 1, 1, ..."""
    runs = np.bincount(patient)
    first = np.cumsum(runs) - runs
    place = first[:, None] + np.arange(runs.max())
    inside = place < (first + runs)[:, None]
    each = jnp.where(inside, logp[np.minimum(place, len(patient) - 1)], NONE)
    return jnp.maximum(logsumexp(each, axis=1) - np.log(runs), FLOOR)


def counted(count: int, of: int, log_yes: Any, log_no: Any, patient: np.ndarray | None) -> Any:
    """log P(`count` of `of` say yes) from log p and log(1 - p) of virtual subjects [M], alike, or of patients listed one by one."""
    if patient is None:
        return binomial(count, of, mean_log(log_yes), mean_log(log_no))
    return poisson_binomial(count, of, by_patient(log_yes, patient), by_patient(log_no, patient))


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


def peak_law(x: Any, law: Scatter) -> tuple[Any, Any]:
    """(log F, log density) [M] at x of the largest of independent measurements at several visits, `law` [visits, M].

    F = prod_t Phi(z_t), f = F sum_t phi(z_t)/Phi(z_t)/sd_t |dh/dx|, z_t = (h(x) - mean_t)/sd_t, h the log or nothing.
    """
    z = law.z(x)
    below = jnp.sum(log_below(z), axis=0)
    slopes = logsumexp(jnp.log(jnp.maximum(mills(z), 1e-300)) - jnp.log(law.sd), axis=0)
    return jnp.maximum(below, FLOOR), below + slopes + law.log_stretch(x)


def moments(f: Any, law: Scatter) -> tuple[Any, Any, Any, Any]:
    """log mean of y over subjects and residuals, and its central moments m2, m3, m4 in units of the mean; `f` and `law` [M]."""
    return _lognormal_moments(law.mean, law.sd) if law.logs else _normal_moments(f, law.sd)


def _lognormal_moments(log_f: Any, sigma: Any) -> tuple[Any, Any, Any, Any]:
    """Of y = f exp(sigma e): E y^k = mean of f^k, times exp(k^2 sigma^2/2)."""
    log_mu = mean_log(log_f + 0.5 * sigma**2)
    r = [jnp.exp(mean_log(k * (log_f - log_mu) + 0.5 * (k * sigma) ** 2)) for k in (2, 3, 4)]
    return log_mu, r[0] - 1.0, r[1] - 3 * r[0] + 2.0, r[2] - 4 * r[1] + 6 * r[0] - 3.0


def _normal_moments(f: Any, sd: Any) -> tuple[Any, Any, Any, Any]:
    """Of y = f + s e, with x = f - mu: m2 = mean of x^2 + s^2, m3 of x^3 + 3 x s^2, m4 of x^4 + 6 x^2 s^2 + 3 s^4."""
    mu = jnp.maximum(jnp.mean(f), TINY)
    x, v = (f - mu) / mu, (sd / mu) ** 2
    return jnp.log(mu), jnp.mean(x**2 + v), jnp.mean(x**3 + 3 * x * v), jnp.mean(x**4 + 6 * x**2 * v + 3 * v**2)


def mean_and_sd(mean: Any, sd: Any, n: int, of_one: tuple[Any, Any, Any, Any]) -> Any:
    """log density of the mean and standard deviation of n values whose `moments` are `of_one`.

    (ln mean, ln sd^2) is taken as normal around (ln mu, ln m2) with the moments' large-sample covariance
    [[m2/mu^2, m3/(mu m2)], [., m4/m2^2 - (n - 3)/(n - 1)]]/n; mu, m2, m3, m4 are the mean and central moments of y over subjects and residuals.
    """
    log_mu, m2, m3, m4 = of_one
    a, b, c = m2 / n, m3 / m2 / n, (m4 / m2**2 - (n - 3) / (n - 1)) / n
    u, v = jnp.log(mean) - log_mu, 2 * jnp.log(sd) - jnp.log(m2) - 2 * log_mu
    det = a * c - b**2
    square = (c * u**2 - 2 * b * u * v + a * v**2) / det
    return -0.5 * square - 0.5 * jnp.log(det) - jnp.log(2 * jnp.pi) - jnp.log(mean) + np.log(2.0) - jnp.log(sd)


def _log_multinomial(counts: Sequence[int]) -> Any:
    k = np.asarray(counts, float)
    return gammaln(k.sum() + 1) - jnp.sum(gammaln(k + 1))
