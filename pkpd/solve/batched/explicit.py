"""One step of an explicit Runge-Kutta method and its adjoint, written by hand: automatic transposition of the stages is slower to compile and to run."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.solve.batched.field import Field
from pkpd.solve.batched.linear_algebra import weigh
from pkpd.solve.batched.tableaus import Explicit


def stages(tableau: Explicit, f: Field, timed: bool, t: Any, h: Any, y: Any, u: tuple, s: tuple) -> Any:
    """The slopes k_i [S, n, B]."""
    a, c = (jnp.asarray(x, y.dtype) for x in (tableau.a, tableau.c))

    def stage(i: Any, k: Any) -> Any:
        return jax.lax.dynamic_update_index_in_dim(k, f(t + c[i] * h, y + h * weigh(a[i], k), u, s), i, 0)

    return jax.lax.fori_loop(0, tableau.stages, stage, jnp.zeros((tableau.stages, *y.shape), y.dtype))


def advance(tableau: Explicit, h: Any, y: Any, worked: Any) -> tuple[Any, Any]:
    """(y1, estimate of its error), both [n, B]."""
    return y + h * weigh(tableau.b, worked), h * weigh(tableau.error, worked)


def adjoint(
    tableau: Explicit, f: Field, timed: bool, t: Any, h: Any, y: Any, u: tuple, s: tuple, worked: Any, given: Any
) -> tuple[Any, Any, Any, tuple]:
    """Slopes of sum(given * y1) in (t, h, y, u); the last stage, which only the error estimate sees, is left out."""
    a, b, c = (jnp.asarray(x, y.dtype) for x in (tableau.a, tableau.b, tableau.c))
    used = int(np.flatnonzero(tableau.b)[-1]) + 1

    def back(count: Any, carry: tuple) -> tuple:
        i = used - 1 - count
        received, t_bar, h_bar, y_bar, u_bar = carry
        inner = weigh(a[i], worked)
        _, pull = jax.vjp(lambda clock, x, v: f(clock, x, v, s), t + c[i] * h, y + h * inner, u)
        to_t, to_y, to_u = pull(received[i])
        h_bar = h_bar + jnp.sum(to_y * inner, 0) + c[i] * to_t
        received = received + a[i][:, None, None] * (h * to_y)
        return received, t_bar + to_t, h_bar, y_bar + to_y, jax.tree.map(jnp.add, u_bar, to_u)

    first = (b[:, None, None] * (h * given), jnp.zeros_like(t), jnp.sum(given * weigh(b, worked), 0), given)
    return jax.lax.fori_loop(0, used, back, (*first, jax.tree.map(jnp.zeros_like, u)))[1:]


def tangent(tableau: Explicit, f: Field, timed: bool, point: tuple, moved: tuple) -> Any:
    """Tangent of y1 at point = (t, h, y, u) along moved = (dt, dh, dy, du)."""
    run = lambda t, h, y, u: advance(tableau, h, y, stages(tableau, f, timed, t, h, y, u, ()))[0]  # noqa: E731
    return jax.jvp(run, point, moved)[1]
