"""Derivatives in the K random effects of all subjects at once: subjects are independent, so one direction serves them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

STEP = (
    0.02  # in standard deviations of a random effect: h^4/30 of the fifth derivative is 5e-9 of it, and a solver's noise is divided by 0.02
)


def directions(u: Any) -> Any:
    """[K, N, K]: one standard deviation of each random effect in every subject."""
    return jnp.broadcast_to(jnp.eye(u.shape[1])[:, None, :], (u.shape[1], *u.shape))


def forward(function: Callable[[Any], Any], u: Any) -> tuple[Any, Any]:
    """Value, and its K directional derivatives along a first axis, by forward differentiation."""
    return jax.vmap(lambda v: jax.jvp(function, (u,), (v,)), out_axes=(None, 0))(directions(u))


def stencil(function: Callable[[Any], Any], u: Any) -> tuple[Any, Any]:
    """The same by differences of fourth order, which ask one derivative less of `function` when they are differentiated in turn."""
    at = lambda k: jax.lax.map(lambda v: function(u + k * STEP * v), directions(u))  # noqa: E731
    slope = lambda a, b, c, d: (8.0 * (a - b) - (c - d)) / (12.0 * STEP)  # noqa: E731
    return function(u), jax.tree.map(slope, at(1.0), at(-1.0), at(2.0), at(-2.0))
