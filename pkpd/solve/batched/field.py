"""The right-hand side over lanes: rows to arrays, its Jacobian in one call, and its slopes in chosen inputs only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Rhs

Field = Callable[[Any, Any, tuple, tuple], Any]  # f(t[B], y[n, B], inputs whose slopes are wanted, the other inputs) -> [n, B]
EVERY = (True, True, True)


def make_field(rhs: Rhs, wanted: tuple[bool, bool, bool] = EVERY) -> Field:
    """The contract's rhs, lists of rows, as a function of arrays; of (p, q, r) those `wanted` come first, the rest apart."""

    def field(t: Any, y: Any, u: tuple, s: tuple) -> Any:
        first, rest = iter(u), iter(s)
        p, q, r = (next(first) if w else next(rest) for w in wanted)
        rows = rhs(t, list(y), list(p), list(q), list(r))
        return jnp.stack([jnp.broadcast_to(row, t.shape) for row in rows]).astype(y.dtype)

    return field


def parted(parts: tuple, wanted: tuple[bool, bool, bool]) -> tuple[tuple, tuple]:
    """(p, q, r) as the two tuples that a field takes."""
    return tuple(x for x, w in zip(parts, wanted, strict=True) if w), tuple(x for x, w in zip(parts, wanted, strict=True) if not w)


def repeated(x: Any, times: int) -> Any:
    """Lanes [.., B] -> [.., times * B]: copies one after another."""
    return jnp.broadcast_to(x[..., None, :], (*x.shape[:-1], times, x.shape[-1])).reshape(*x.shape[:-1], times * x.shape[-1])


def jacobian(f: Field, timed: bool, t: Any, y: Any, u: tuple, s: tuple) -> tuple[Any, Any]:
    """(df/dy [n, n, B], df/dt [n, B]) by one call of df on n (with time: n + 1) copies of the lanes, one unit direction each."""
    n, lanes = y.shape
    copies = n + timed
    unit = jnp.broadcast_to(jnp.eye(n, copies, dtype=y.dtype)[:, :, None], (n, copies, lanes)).reshape(n, -1)
    last = jnp.broadcast_to((jnp.arange(copies) == n).astype(y.dtype)[:, None], (copies, lanes)).reshape(-1)
    wide_t, wide_y, wide_u, wide_s = jax.tree.map(lambda x: repeated(x, copies), (t, y, u, s))
    if timed:
        columns = jax.jvp(lambda clock, x: f(clock, x, wide_u, wide_s), (wide_t, wide_y), (last, unit))[1]
    else:
        columns = jax.jvp(lambda x: f(wide_t, x, wide_u, wide_s), (wide_y,), (unit,))[1]
    columns = columns.reshape(n, copies, lanes)
    return columns[:, :n], (columns[:, n] if timed else jnp.zeros_like(y))
