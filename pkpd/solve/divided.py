"""Divided differences of exp(tau x), safe where nodes coincide, in value and gradient: closed forms of linear models are sums of these.

Divided differences of exp are symmetric and positive, so the nodes may be sorted; where a group of nodes lies within half a unit of tau x its
Taylor series is used (complete homogeneous symmetric polynomials; the first dropped term is below 1e-16), elsewhere the defining quotient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

_NEAR = 0.5
_TERMS = 13


def divided_exp(nodes: Sequence[Any], tau: Any) -> list[Any]:
    """f[x0], f[x0, x1], ..., f[x0..xk] for f(x) = exp(tau x) along `nodes`, each of the common broadcast shape; tau >= 0."""
    return [_difference(_sorted(nodes[: k + 1]), tau) for k in range(len(nodes))]


def _sorted(nodes: Sequence[Any]) -> list[Any]:
    """Largest first, by a bubble network of max and min (differentiable)."""
    x = list(nodes)
    for last in range(len(x) - 1, 0, -1):
        for i in range(last):
            x[i], x[i + 1] = jnp.maximum(x[i], x[i + 1]), jnp.minimum(x[i], x[i + 1])
    return x


def _difference(x: Sequence[Any], tau: Any, table: dict | None = None) -> Any:
    table = {} if table is None else table
    key = tuple(map(id, x))
    if key not in table:
        table[key] = jnp.exp(tau * x[0]) if len(x) == 1 else _switch(x, tau, table)
    return table[key]


def _switch(x: Sequence[Any], tau: Any, table: dict) -> Any:
    spread = (x[0] - x[-1]) * tau
    near = spread < _NEAR
    gap = jnp.where(near, 1.0, x[0] - x[-1])
    far = (_difference(x[:-1], tau, table) - _difference(x[1:], tau, table)) / gap
    return jnp.where(near, _series(x, tau, near), far)


def _series(x: Sequence[Any], tau: Any, near: Any) -> Any:
    """exp(tau x0) tau^k sum_m h_m(d1..dk) / (m+k)!  with d_i = tau (x_i - x0)."""
    k = len(x) - 1
    steps = [jnp.where(near, tau * (xi - x[0]), 0.0) for xi in x[1:]]
    h = [jnp.ones_like(steps[0])] + [jnp.zeros_like(steps[0])] * (_TERMS - 1)
    for d in steps:
        for m in range(1, _TERMS):
            h[m] = h[m] + d * h[m - 1]
    total = sum(h[m] / math.factorial(m + k) for m in range(_TERMS))
    return jnp.exp(tau * x[0]) * tau**k * total
