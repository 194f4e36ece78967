"""Student-t log tails: polynomial, so that log F(z) stays an ordinary number however far out, with slopes in z and in the degrees of freedom."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc, gammaln
from scipy.special import gammaln as log_gamma

_ORDERS = np.arange(60)
_HALVES = np.exp(log_gamma(_ORDERS + 0.5) - log_gamma(0.5) - log_gamma(_ORDERS + 1.0))  # (1/2)_n / n!
_STEP = 1e-3


def student_log_density(z: Any, df: Any) -> Any:
    """log density of Student's t at z, `df` degrees of freedom."""
    constant = gammaln(0.5 * (df + 1)) - gammaln(0.5 * df) - 0.5 * jnp.log(jnp.pi * df)
    return constant - 0.5 * (df + 1) * jnp.log1p(z**2 / df)


@jax.custom_jvp
def student_log_below(z: Any, df: Any) -> Any:
    """log P(T < z) of Student's t, broadcast over z and `df`.

    For z < 0 it is log(I_x(df/2, 1/2) / 2), x = df/(df + z^2): by `betainc` for x > 1/2, else by 60 terms of
        I_x(a, 1/2) = x^a / B(a, 1/2) sum_n (1/2)_n / n! x^n / (a + n),
    which does not underflow. The slope in z is density/probability; that in df a central difference of fourth order in log df (error about 1e-10).
    Source: DLMF 8.17.7.
    """
    z, df = jnp.broadcast_arrays(jnp.asarray(z, float), jnp.asarray(df, float))
    tail = _log_tail(-jnp.abs(z), df)
    return jnp.where(z < 0, tail, jnp.log1p(-jnp.exp(tail)))


def _log_tail(z: Any, df: Any) -> Any:
    """log P(T < z) for z <= 0"""
    a, x = 0.5 * df, df / (df + z**2)
    far = x < 0.5
    near_x, far_x = jnp.where(far, 0.75, x), jnp.where(far, x, 0.25)
    total = jnp.sum(_HALVES * far_x[..., None] ** _ORDERS / (a[..., None] + _ORDERS), -1)
    log_beta = gammaln(a) + gammaln(0.5) - gammaln(a + 0.5)
    series = a * jnp.log(far_x) - log_beta + jnp.log(total)
    return jnp.where(far, series, jnp.log(betainc(a, 0.5, near_x))) - np.log(2.0)


@student_log_below.defjvp
def _student_log_below_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    (z, df), (dz, ddf) = primals, tangents
    value = student_log_below(z, df)
    slope = jnp.exp(student_log_density(z, df) - value)
    return value, slope * dz + _slope_df(z, df) * ddf


def _slope_df(z: Any, df: Any) -> Any:
    at = lambda k: student_log_below(z, df * (1.0 + k * _STEP))  # noqa: E731
    return (8.0 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12.0 * _STEP * df)


def student_log_between(a: Any, b: Any, df: Any) -> Any:
    """log P(a < T < b) for a < b, worked out in the tail where it is small."""
    mirrored = a + b > 0
    lo, hi = jnp.where(mirrored, -b, a), jnp.where(mirrored, -a, b)
    top = student_log_below(hi, df)
    gap = jnp.minimum(student_log_below(lo, df) - top, -1e-300)
    small = gap > -0.693
    near, far = jnp.where(small, gap, -1.0), jnp.where(small, -1.0, gap)
    return top + jnp.where(small, jnp.log(-jnp.expm1(near)), jnp.log1p(-jnp.exp(far)))
