"""One explicit step over rows of lanes and its adjoint: the formulas of `batched.explicit`, written out row by row.

A kernel holds a state as a list of lanes' vectors, which live in registers; registers have no index, so the stages are written out too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.solve.batched.tableaus import Explicit
from pkpd.solve.contract import Rhs

Rows = list[Any]
RowField = Callable[[Any, Rows, tuple, tuple], Rows]  # f(t, y, inputs whose slopes are wanted, the other inputs), as `batched.field.Field`


def make_rows(rhs: Rhs, wanted: tuple[bool, bool, bool]) -> RowField:
    """The contract's rhs with every row a full vector of lanes; of (p, q, r) those `wanted` come first, the rest apart."""

    def field(t: Any, y: Rows, u: tuple, s: tuple) -> Rows:
        first, rest = iter(u), iter(s)
        inputs = [next(first) if w else next(rest) for w in wanted]
        return [jnp.broadcast_to(jnp.asarray(row, t.dtype), t.shape) for row in rhs(t, y, *inputs)]

    return field


def stages(tableau: Explicit, f: RowField, t: Any, h: Any, y: Rows, u: tuple, s: tuple) -> list[Rows]:
    """The slopes k_i = f(t + c_i h, y + h sum_j a_ij k_j)."""
    k: list[Rows] = []
    for a, c in zip(tableau.a, tableau.c, strict=True):
        k.append(f(t + float(c) * h, moved(y, h, weigh(a, k, len(y))), u, s))
    return k


def advance(tableau: Explicit, h: Any, y: Rows, k: list[Rows]) -> tuple[Rows, Rows]:
    """(y1, estimate of its error)."""
    return moved(y, h, weigh(tableau.b, k, len(y))), [h * x for x in weigh(tableau.error, k, len(y))]


def adjoint(tableau: Explicit, f: RowField, t: Any, h: Any, y: Rows, u: tuple, s: tuple, given: Rows) -> tuple[Any, Any, Rows, tuple]:
    """Slopes of sum(given * y1) in (t, h, y, u); the last stage, which only the error estimate sees, is left out."""
    a, b, c = tableau.a, tableau.b, tableau.c
    n, used = len(y), int(np.flatnonzero(b)[-1]) + 1
    k = stages(tableau, f, t, h, y, u, s)
    received = [[float(w) * h * x for x in given] for w in b[:used]]
    t_bar, h_bar, y_bar, u_bar = jnp.zeros_like(t), dot(given, weigh(b, k, n)), given, jax.tree.map(jnp.zeros_like, u)
    for i in reversed(range(used)):
        inner = weigh(a[i], k[:i], n)
        _, pull = jax.vjp(lambda clock, x, v: f(clock, x, v, s), t + float(c[i]) * h, moved(y, h, inner), u)
        to_t, to_y, to_u = pull(received[i])
        h_bar = h_bar + dot(to_y, inner) + float(c[i]) * to_t
        received = [[x + float(w) * h * z for x, z in zip(rows, to_y, strict=True)] for w, rows in zip(a[i], received[:i], strict=False)]
        t_bar, y_bar = t_bar + to_t, [x + z for x, z in zip(y_bar, to_y, strict=True)]
        u_bar = jax.tree.map(jnp.add, u_bar, to_u)
    return t_bar, h_bar, y_bar, u_bar


def weigh(weights: Sequence[float] | np.ndarray, k: list[Rows], n: int) -> Rows:
    """sum_i w_i k_i, row by row over the stages there are; those without weight are left out."""
    used = [(float(w), rows) for w, rows in zip(weights, k, strict=False) if w != 0.0]
    return [sum(w * rows[i] for w, rows in used) for i in range(n)]


def moved(y: Rows, h: Any, slope: Rows) -> Rows:
    return [x + h * k for x, k in zip(y, slope, strict=True)]


def dot(a: Rows, b: Rows) -> Any:
    return sum(x * y for x, y in zip(a, b, strict=True))


def chosen(where: Any, yes: Rows, no: Rows) -> Rows:
    return [jnp.where(where, a, b) for a, b in zip(yes, no, strict=True)]
