"""One step of a Rosenbrock method and its adjoint, written by hand; every formula stays regular as the step goes to zero.

With M = (I - gamma h J)^-1:  b_i = gamma (h f(t + c_i h, y + sum_j a_ij u_j) + sum_j g_ij u_j + h^2 d_i f_t),  u_i = M b_i,  y1 = y + sum_i m_i u_i.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.batched.field import Field, jacobian, repeated
from pkpd.solve.batched.linear_algebra import apply, apply_transposed, inverse, weigh
from pkpd.solve.batched.tableaus import Rosenbrock

_settle = jax.lax.optimization_barrier


Stages = tuple[Any, Any, Any]  # u_i [S, n, B], M [n, n, B], f_t [n, B]


def stages(tableau: Rosenbrock, f: Field, timed: bool, t: Any, h: Any, y: Any, u: tuple, s: tuple) -> Stages:
    """Everything that is worked out in a step."""
    gamma = tableau.gamma
    a, g, c, d = (jnp.asarray(x, y.dtype) for x in (tableau.a, tableau.g, tableau.c, tableau.d))
    slope, drift = jacobian(f, timed, t, y, u, s)
    m = _settle(inverse(_settle(jnp.eye(y.shape[0], dtype=y.dtype)[:, :, None] - gamma * h * slope)))

    def stage(i: Any, k: Any) -> Any:
        own = h * f(t + c[i] * h, y + weigh(a[i], k), u, s) + weigh(g[i], k)
        if timed:
            own = own + h * h * d[i] * drift
        return jax.lax.dynamic_update_index_in_dim(k, apply(m, _settle(gamma * own)), i, 0)

    return jax.lax.fori_loop(0, tableau.stages, stage, jnp.zeros((tableau.stages, *y.shape), y.dtype)), m, drift


def advance(tableau: Rosenbrock, h: Any, y: Any, worked: Stages) -> tuple[Any, Any]:
    """(y1, estimate of its error), both [n, B]."""
    return y + weigh(tableau.m, worked[0]), worked[0][-1]


def adjoint(
    tableau: Rosenbrock, f: Field, timed: bool, t: Any, h: Any, y: Any, u: tuple, s: tuple, worked: Stages, given: Any
) -> tuple[Any, Any, Any, tuple]:
    """Slopes of sum(given * y1) in (t, h, y, u).

    v_i = M' (what u_i receives) goes back through b_i stage by stage; J and f_t receive gamma h sum_i v_i (u_i, h d_i)', one second derivative of f.
    """
    gamma = tableau.gamma
    a, g, c, d = (jnp.asarray(x, y.dtype) for x in (tableau.a, tableau.g, tableau.c, tableau.d))
    k, m, drift = worked

    def back(count: Any, carry: tuple) -> tuple:
        i = tableau.stages - 1 - count
        received, vs, t_bar, h_bar, y_bar, u_bar = carry
        v = _settle(gamma * apply_transposed(m, received[i]))
        value, pull = jax.vjp(lambda clock, x, w: f(clock, x, w, s), t + c[i] * h, y + weigh(a[i], k), u)
        to_t, to_y, to_u = pull(h * v)
        received = received + a[i][:, None, None] * to_y + g[i][:, None, None] * v
        h_bar = h_bar + jnp.sum(v * value, 0) + c[i] * to_t
        if timed:
            h_bar = h_bar + h * d[i] * jnp.sum(v * drift, 0)
        vs = jax.lax.dynamic_update_index_in_dim(vs, v, i, 0)
        return received, vs, t_bar + to_t, h_bar, y_bar + to_y, jax.tree.map(jnp.add, u_bar, to_u)

    first = (jnp.asarray(tableau.m, y.dtype)[:, None, None] * given, jnp.zeros_like(k), jnp.zeros_like(t), jnp.zeros_like(t), given)
    _, vs, t_bar, h_bar, y_bar, u_bar = jax.lax.fori_loop(0, tableau.stages, back, (*first, jax.tree.map(jnp.zeros_like, u)))
    value, (to_t, to_y, to_u) = _bend(f, timed, t, y, u, s, d[:, None] * h, k, vs)
    return t_bar + h * to_t, h_bar + value, y_bar + h * to_y, jax.tree.map(lambda x, b: x + h * b, u_bar, to_u)


def tangent(tableau: Rosenbrock, f: Field, timed: bool, point: tuple, moved: tuple) -> Any:
    """Tangent of y1 at point = (t, h, y, u) along moved = (dt, dh, dy, du).

    du_i = gamma M (dh f_i + h df_i + sum_j g_ij du_j + dh (J u_i + 2 h d_i f_t) + h (dJ u_i + h d_i df_t)): no matrix is differentiated.
    """
    (t, h, y, u), (dt, dh, dy, du) = point, moved
    a, g, c, d = (jnp.asarray(x, y.dtype) for x in (tableau.a, tableau.g, tableau.c, tableau.d))
    k, m, drift = stages(tableau, f, timed, t, h, y, u, ())
    along = lambda clock, x, w: jax.vmap(lambda s, v: jax.jvp(lambda s, x: f(s, x, w, ()), (clock, x), (s, v))[1])(d[:, None] * h, k)  # noqa: E731
    bent, turned = jax.jvp(along, (t, y, u), (dt, dy, du))
    outer = dh * (bent + d[:, None, None] * h * drift) + h * turned

    def stage(i: Any, dk: Any) -> Any:
        at, along = (t + c[i] * h, y + weigh(a[i], k), u), (dt + c[i] * dh, dy + weigh(a[i], dk), du)
        value, slope = jax.jvp(lambda clock, x, w: f(clock, x, w, ()), at, along)
        own = dh * value + h * slope + weigh(g[i], dk) + outer[i]
        return jax.lax.dynamic_update_index_in_dim(dk, apply(m, _settle(tableau.gamma * own)), i, 0)

    return dy + weigh(tableau.m, jax.lax.fori_loop(0, tableau.stages, stage, jnp.zeros_like(k)))


def _bend(f: Field, timed: bool, t: Any, y: Any, u: tuple, s: tuple, dt: Any, dy: Any, v: Any) -> tuple[Any, tuple]:
    """G = sum_i v_i . Df(t, y)[dt_i, dy_i] and its slopes in (t, y, u), the stages side by side as copies of the lanes."""
    count, n, lanes = dy.shape
    side = lambda x: jnp.moveaxis(x, 0, 1).reshape(n, -1)  # noqa: E731
    wide_t, wide_y, wide_u, wide_s = jax.tree.map(lambda x: repeated(x, count), (t, y, u, s))
    v, dy, dt = side(v), side(dy), dt.reshape(-1) if timed else jnp.zeros_like(wide_t)

    def pulled(clock: Any, x: Any) -> Any:
        return jax.vjp(lambda clock, x, w: f(clock, x, w, wide_s), clock, x, wide_u)[1](v)

    if timed:
        (to_t, to_y, _), bent = jax.jvp(pulled, (wide_t, wide_y), (dt, dy))
    else:
        (to_t, to_y, _), bent = jax.jvp(lambda x: pulled(wide_t, x), (wide_y,), (dy,))
    gathered = lambda x: x.reshape(*x.shape[:-1], count, lanes).sum(-2)  # noqa: E731
    return gathered(jnp.sum(to_y * dy, 0) + to_t * dt), jax.tree.map(gathered, bent)
