"""Divided differences of exp(tau x), safe where nodes coincide, in value and gradient: closed forms of linear models are sums of these.

Divided differences are symmetric in their nodes, so the nodes are sorted; a window of nodes that lies within half a unit of tau x takes its Taylor
series (complete homogeneous symmetric polynomials, all terms positive; the first dropped one is below 1e-16), any other the defining quotient.
All windows of one length are one array and each length's polynomials grow from the last one's: a small graph, which compiles quickly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

_NEAR = 0.5
_TERMS = 13


def ascending(nodes: Sequence[Any]) -> list[Any]:
    """Smallest first, by a bubble network of min and max (differentiable)."""
    x = list(nodes)
    for last in range(len(x) - 1, 0, -1):
        for i in range(last):
            x[i], x[i + 1] = jnp.minimum(x[i], x[i + 1]), jnp.maximum(x[i], x[i + 1])
    return x


def divided_exp(nodes: Sequence[Any], tau: Any) -> list[Any]:
    """f[x0], f[x0, x1], ..., f[x0..xk] for f(x) = exp(tau x) and nodes in ascending order, each of the common broadcast shape; tau >= 0."""
    shape = jnp.broadcast_shapes(jnp.shape(tau), *(jnp.shape(x) for x in nodes))
    x = jnp.stack([jnp.broadcast_to(v, shape) for v in nodes])
    single = jnp.exp(tau * x)
    windows, found, h = single, [single[0]], [jnp.ones_like(single)] + [jnp.zeros_like(single)] * (_TERMS - 1)
    for k in range(1, len(nodes)):
        gap = x[k:] - x[:-k]
        near = tau * gap < _NEAR
        h = _longer(h, jnp.where(near, tau * gap, 0.0))
        series = single[:-k] * tau**k * sum(h[m] / math.factorial(m + k) for m in range(_TERMS))
        windows = jnp.where(near, series, (windows[1:] - windows[:-1]) / jnp.where(near, 1.0, gap))
        found.append(windows[0])
    return found


def _longer(h: list[Any], step: Any) -> list[Any]:
    """h_m(d1..dk) of every window from h_m(d1..dk-1): h_m gains dk h_{m-1}; d are the distances from the window's first node."""
    grown = [h[0][:-1]]
    for m in range(1, _TERMS):
        grown.append(h[m][:-1] + step * grown[-1])
    return grown
