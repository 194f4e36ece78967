"""Normal log tails whose value, slope and curvature stay right far out."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr

_FAR = -30.0
_MILLS = (1.0, 1.0, -2.0, 10.0, -74.0, 706.0)  # phi(z)/Phi(z) = -z (1 + 1/z^2 - 2/z^4 + ...); the first term dropped is 1.5e-14 at -30


@jax.custom_jvp
def log_below(z: Any) -> Any:
    """log Phi(z); ten terms of the asymptotic series in the far tail, where three leave 3e-9."""
    return log_ndtr(jnp.asarray(z, float), series_order=10)


@log_below.defjvp
def _log_below_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    return log_below(primals[0]), mills(primals[0]) * tangents[0]


def mills(z: Any) -> Any:
    """phi(z)/Phi(z), the slope of log Phi: far out by its own series, since there exp(-z^2/2 - log Phi) is the difference of two huge numbers."""
    far = z < _FAR
    near, out = jnp.where(far, 0.0, z), jnp.where(far, z, _FAR)
    series = sum(c / out ** (2 * k) for k, c in enumerate(_MILLS))
    return jnp.where(far, -out * series, jnp.exp(-0.5 * near**2 - 0.5 * math.log(2 * math.pi) - log_below(near)))


def log_between(a: Any, b: Any) -> Any:
    """log(Phi(b) - Phi(a)) for a < b, worked out in the tail where it is small.

    With both limits mirrored into the left tail: log Phi(b) + log(1 - exp(log Phi(a) - log Phi(b))).
    """
    mirrored = a + b > 0
    lo, hi = jnp.where(mirrored, -b, a), jnp.where(mirrored, -a, b)
    gap = jnp.minimum(log_below(lo) - log_below(hi), -1e-300)
    small = gap > -0.693
    log1mexp = jnp.where(small, jnp.log(-jnp.expm1(jnp.where(small, gap, -1.0))), jnp.log1p(-jnp.exp(jnp.where(small, -1.0, gap))))
    return log_below(hi) + log1mexp
