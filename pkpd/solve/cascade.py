"""Systems in which each state follows only those before it and decays at its own constant rate: solved state by state, all times at once.

y_i' = -lambda_i y_i + F_i(t, states before i). On each mesh interval F_i is interpolated on five Lobatto nodes and the exponential is kept exact:
    y(c h) = exp(-lambda c h) y(0) + h sum_k a_k k! c^(k+1) phi_{k+1}(-lambda c h),   F = sum_k a_k c^k
(exponential collocation; phi as in Hochbruck & Ostermann, Acta Numerica 2010). Intervals are joined by a prefix scan, so nothing is sequential
but the order of the states. CAR-macrophage cells driving cytokines are of this kind, and so are chains, effect compartments and indirect responses
whose input is modulated. An embedded estimate of the interpolation error turns a mesh that is too coarse into a failed subject, never a wrong number.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.solve.contract import Events, Rhs, Solution, Status, finish
from pkpd.solve.mesh import Mesh
from pkpd.solve.structure import Structure

_M = 5  # nodes an interval
NODES = 0.5 + 0.5 * np.array([-1.0, -math.sqrt(3 / 7), 0.0, math.sqrt(3 / 7), 1.0])  # Gauss-Lobatto on [0, 1]
COEFFICIENTS = np.linalg.inv(np.vander(NODES, increasing=True))  # values at nodes -> monomial coefficients
_EDGE = 1.5
_TERMS = 16


def make_cascade(structure: Structure, mesh: Mesh, rtol: float):
    """The contract's solve on a fixed mesh; a lane whose error estimate exceeds `rtol` of its largest value fails with MESH_TOO_COARSE."""
    assert structure.order is not None

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        grid = _Grid(mesh, events, times, list(p), [jnp.take_along_axis(qj, mesh.segment, 0) for qj in q])
        plan = _plan(rhs, structure.n, grid)
        y: list[Any] = [jnp.zeros(())] * structure.n
        found: dict[int, tuple[Any, Any]] = {}
        worst = jnp.zeros(y0.shape[1])
        for i in structure.order or ():
            force = _force(rhs, i, y, grid)
            y[i], begin, end = _propagate(plan, i, force, grid, y0[i])
            found[i] = (begin, end)
            worst = jnp.maximum(worst, _estimate(force, plan, i, grid.h, y[i]))
        out = jnp.stack([_read(mesh, *found[i]) for i in range(structure.n)], 1)
        status = jnp.where(worst > rtol, int(Status.MESH_TOO_COARSE), int(Status.OK))
        return finish(out, status, jnp.full(y0.shape[1], mesh.intervals))

    return solve


class _Grid:
    """Times, lengths, inputs and covariates on the mesh under the current event times; shapes [K, B] or [K, nodes, B]."""

    def __init__(self, mesh: Mesh, events: Events, times: Any, p: list[Any], q: list[Any]):
        stamps = jnp.concatenate([events.edges, times], 0)
        left, right = jnp.take_along_axis(stamps, mesh.left, 0), jnp.take_along_axis(stamps, mesh.right, 0)
        begin = left + mesh.part0 * (right - left)
        self.h = (mesh.part1 - mesh.part0) * (right - left)
        self.t = begin[:, None] + NODES[:, None] * self.h[:, None]
        self.p, self.q = p, q
        at = lambda table: jnp.take_along_axis(table, mesh.segment, 0)  # noqa: E731
        n = events.rate.shape[1]
        self.rates = [at(events.rate[:, i]) for i in range(n)]
        self.reset = at(events.reset) * mesh.first
        self.jumps = [at(events.jump[:, i]) * mesh.first for i in range(n)]


class _Plan(NamedTuple):
    """What depends on the own rates only, for all states at once: x = lambda h [n, K, B]; decay to each node [n, K, nodes-1, B]; the weights that
    take the force at the nodes to its effect [n, K, nodes-1, nodes, B]; and the strided products of the interval factors, for the prefix scan.
    """

    x: Any
    fade: Any
    weights: Any
    strides: list[Any]


def _plan(rhs: Rhs, n: int, grid: _Grid) -> _Plan:
    x = -jnp.stack([_own_rate(rhs, n, i, grid) for i in range(n)]) * grid.h
    z = -x[:, :, None] * NODES[1:, None]
    phi = phis(z)
    c = NODES[1:, None]
    moments = [math.factorial(k) * c ** (k + 1) * phi[k] for k in range(_M)]
    weights = jnp.stack([sum(moments[k] * COEFFICIENTS[k, node] for k in range(_M)) for node in range(_M)], 3)
    fade = jnp.exp(z)
    return _Plan(x, fade, weights, _strides(fade[:, :, -1] * (1.0 - grid.reset)))


def _own_rate(rhs: Rhs, n: int, i: int, grid: _Grid) -> Any:
    """d(dy_i)/dy_i: constant within an interval, so worked out once an interval [K, B]."""
    zero = jnp.zeros_like(grid.h)
    alone = lambda own: rhs(zero, [own if s == i else zero for s in range(n)], grid.p, grid.q, grid.rates)[i]  # noqa: E731
    return jax.jvp(alone, (zero,), (jnp.ones_like(zero),))[1]


def _force(rhs: Rhs, i: int, y: list[Any], grid: _Grid) -> Any:
    """dy_i at y_i = 0, at every node [K, nodes, B]."""
    own = [jnp.zeros_like(grid.t) if s == i else v for s, v in enumerate(y)]
    q, rates = ([v[:, None] for v in values] for values in (grid.q, grid.rates))
    return jnp.broadcast_to(rhs(grid.t, own, grid.p, q, rates)[i], grid.t.shape)


def _propagate(plan: _Plan, i: int, force: Any, grid: _Grid, start: Any) -> tuple[Any, Any, Any]:
    """Values at the nodes, at interval starts and at interval ends."""
    driven = grid.h[:, None] * jnp.sum(plan.weights[i] * force[:, None], 2)
    fade = plan.fade[i]
    entry = grid.reset * start + grid.jumps[i]
    added = fade[:, -1] * entry + driven[:, -1]
    first = fade[:1, -1] * (1.0 - grid.reset[:1]) * start
    end = _prefix([s[i] for s in plan.strides], jnp.concatenate([added[:1] + first, added[1:]], 0))
    begin = jnp.concatenate([start[None], end[:-1]], 0) * (1.0 - grid.reset) + entry
    return jnp.concatenate([begin[:, None], fade * begin[:, None] + driven], 1), begin, end


def _strides(alpha: Any) -> list[Any]:
    """alpha_k alpha_{k-1} ... over 1, 2, 4, ... intervals [n, K, B]; zero where that reaches before the first."""
    found, shift, k = [], 1, alpha.shape[1]
    while shift < k:
        found.append(_shift_in_zeros(alpha[:, shift:], shift))
        alpha = jnp.concatenate([alpha[:, :shift], alpha[:, shift:] * alpha[:, :-shift]], 1)
        shift *= 2
    return found


def _shift_in_zeros(x: Any, shift: int) -> Any:
    return jnp.pad(x, ((0, 0), (shift, 0), (0, 0)))


def _prefix(strides: list[Any], beta: Any) -> Any:
    """e_k = alpha_k e_{k-1} + beta_k for all k by doubling strides."""
    for level, factor in enumerate(strides):
        shift = 2**level
        beta = beta + factor * jnp.pad(beta[:-shift], ((shift, 0), (0, 0)))
    return beta


@jax.custom_jvp
def phis(z: Any) -> Any:
    """phi_1..phi_M of z, stacked first: phi_k(z) = int_0^1 exp((1 - s) z) s^(k-1) / (k-1)! ds.

    Downward recursion from a Taylor series where |z| is small, upward recursion elsewhere, each stable where it is used.
    """
    return _all_phis(z, _M)


@phis.defjvp
def _phis_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """phi_k' = phi_k - k phi_{k+1}"""
    full = _all_phis(primals[0], _M + 1)
    index = jnp.arange(1.0, _M + 1.0).reshape((-1,) + (1,) * primals[0].ndim)
    return full[:_M], (full[:_M] - index * full[1:]) * tangents[0]


def _all_phis(z: Any, top: int) -> Any:
    near = jnp.abs(z) < _EDGE
    small, large = jnp.where(near, z, 0.0), jnp.where(near, 2.0 * _EDGE, z)
    series = jnp.zeros_like(z)
    for j in reversed(range(_TERMS)):
        series = series * small + 1.0 / math.factorial(j + top)
    down, up = [series], [jnp.expm1(large) / large]
    for k in reversed(range(1, top)):
        down.insert(0, small * down[0] + 1.0 / math.factorial(k))
        up.append((up[-1] - 1.0 / math.factorial(top - k)) / large)
    return jnp.stack([jnp.where(near, d, u) for d, u in zip(down, up, strict=True)])


def _estimate(force: Any, plan: _Plan, i: int, h: Any, nodes: Any) -> Any:
    """What the highest coefficient of the interpolated force contributes, against the lane's largest value: an upper estimate of the local error.

    The part of c^4 orthogonal to cubics is at most 1/280 on the interval; decay within the interval dampens it.
    """
    force, x, h, nodes = jax.lax.stop_gradient((force, plan.x[i], h, nodes))
    highest = sum(COEFFICIENTS[-1, node] * force[:, node] for node in range(_M))
    local = jnp.abs(h * highest) / 280.0 / (1.0 + jnp.abs(x))
    return jnp.max(local, 0) / jnp.maximum(jnp.max(jnp.abs(nodes), (0, 1)), 1e-300)


def _read(mesh: Mesh, begin: Any, end: Any) -> Any:
    """The value at each observation: the start or the end of its interval."""
    late, early = jnp.take_along_axis(end, mesh.spot, 0), jnp.take_along_axis(begin, mesh.spot, 0)
    return jnp.where(mesh.at_end > 0, late, early)
