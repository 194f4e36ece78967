"""omega^w as exp(w log omega): every gradient takes some, and XLA has no vector code for powers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def power(s: Any, w: Any) -> Any:
    """s^w for s >= 0, as `**` has it at 0, infinity and NaN; below zero it is s.

    >>> float(power(4.0, 0.5)), float(power(0.0, 0.0)), float(power(0.0, 0.5))
    (2.0, 1.0, 0.0)
    """
    s = jnp.asarray(s, float)
    if isinstance(w, int | float) and w in (0, 1):
        return s if w else jnp.ones_like(s)
    usual = (s > 0) & (s < jnp.inf)
    return jnp.where(usual, jnp.exp(w * jnp.log(jnp.where(usual, s, 1.0))), jnp.where(w == 0, 1.0, s))
