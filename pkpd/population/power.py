"""omega^w as exp(w log omega): every gradient takes some, and XLA has no vector code for powers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def power(s: Any, w: Any) -> Any:
    """s^w for s >= 0, with 0^0 = 1.

    >>> float(power(4.0, 0.5)), float(power(0.0, 0.0)), float(power(0.0, 0.5))
    (2.0, 1.0, 0.0)
    """
    here = jnp.asarray(s > 0)
    return jnp.where(here, jnp.exp(w * jnp.log(jnp.where(here, s, 1.0))), jnp.where(w == 0, 1.0, 0.0))
