"""Normal log tails whose value and gradient stay finite far out."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.scipy.special import log_ndtr


def log_below(z: Any) -> Any:
    """log Phi(z)"""
    return log_ndtr(z)


def log_between(a: Any, b: Any) -> Any:
    """log(Phi(b) - Phi(a)) for a < b, worked out in the tail where it is small.

    With both limits mirrored into the left tail: log Phi(b) + log(1 - exp(log Phi(a) - log Phi(b))).
    """
    mirrored = a + b > 0
    lo, hi = jnp.where(mirrored, -b, a), jnp.where(mirrored, -a, b)
    gap = jnp.minimum(log_ndtr(lo) - log_ndtr(hi), -1e-300)
    small = gap > -0.693
    log1mexp = jnp.where(small, jnp.log(-jnp.expm1(jnp.where(small, gap, -1.0))), jnp.log1p(-jnp.exp(jnp.where(small, -1.0, gap))))
    return log_ndtr(hi) + log1mexp
