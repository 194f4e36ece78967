"""Systems in which each state follows only those before it and decays at its own constant rate: solved state by state, all times at once.

y_i' = -lambda_i y_i + F_i(t, states before i). On each mesh interval F_i is interpolated on five Lobatto nodes and the exponential is kept exact:
    y(c h) = exp(-lambda c h) y(0) + h sum_k a_k k! c^(k+1) phi_{k+1}(-lambda c h),   F = sum_k a_k c^k
(exponential collocation; phi as in Hochbruck & Ostermann, Acta Numerica 2010). Intervals are joined by a prefix scan, so nothing is sequential
but the order of the states. CAR-macrophage cells driving cytokines are of this kind, and so are chains, effect compartments and indirect responses
whose input is modulated. An embedded estimate of the interpolation error turns a mesh that is too coarse into a failed subject, never a wrong number.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.solve.contract import Events, Rhs, Solution, Status, Train, finish
from pkpd.solve.mesh import Mesh, SegmentMesh, segment_mesh
from pkpd.solve.structure import Structure

_M = 5  # nodes an interval
NODES = 0.5 + 0.5 * np.array([-1.0, -math.sqrt(3 / 7), 0.0, math.sqrt(3 / 7), 1.0])  # Gauss-Lobatto on [0, 1]
COEFFICIENTS = np.linalg.inv(np.vander(NODES, increasing=True))  # values at nodes -> monomial coefficients
_EDGE, _TERMS = 1.5, 16  # the first dropped term of the series is below 1e-17


def make_cascade(structure: Structure, mesh: Mesh | SegmentMesh, rtol: float):
    """The contract's solve on a fixed mesh; a lane whose error estimate exceeds `rtol` of its largest value fails with MESH_TOO_COARSE."""

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        out, worst, _ = _sweep(rhs, structure, _Grid(mesh, events, y0, times, list(p), list(q)), wrap=False)
        status = jnp.where(worst > rtol, int(Status.MESH_TOO_COARSE), int(Status.OK))
        return finish(out, status, jnp.full(y0.shape[1], mesh.intervals))

    return solve


def make_periodic(structure: Structure, start: float, growth: float, rtol: float, longest: float):
    """Steady state of a train, state by state: each begins its period where it ends it, y(0) = b / (1 - exp(-lambda II))."""

    def periodic(rhs: Rhs, train: Train, p: Any, q: Any) -> tuple[Any, Any]:
        lanes = train.period.shape[0]
        mesh = segment_mesh(np.full((2, lanes), longest), start, growth)
        table = jnp.broadcast_to(q[:, None], (q.shape[0], 2, lanes))
        zero = jnp.zeros((structure.n, lanes))
        grid = _Grid(mesh, train.events(train.phase[None]), zero, train.phase[None], list(p), list(table))
        out, worst, slowest = _sweep(rhs, structure, grid, wrap=True)
        status = jnp.where(worst > rtol, int(Status.MESH_TOO_COARSE), int(Status.OK))
        return out[0], jnp.where(slowest > 1e-9, status, int(Status.NO_STEADY_STATE))

    return periodic


def _sweep(rhs: Rhs, structure: Structure, grid: _Grid, wrap: bool) -> tuple[Any, Any, Any]:
    """State by state: values at the looks [M, n, B], the largest error estimate [B], and the smallest decay over all intervals [B]."""
    assert structure.order is not None
    lanes = grid.y0.shape[1]
    y: list[Any] = [jnp.zeros(())] * structure.n
    out: list[Any] = [None] * structure.n
    worst, slowest = jnp.zeros(lanes), jnp.full(lanes, jnp.inf)
    for i in structure.order:
        x, force = _settle((_own_rate(rhs, structure.n, i, grid) * grid.h, _force(rhs, i, y, grid)))
        a = _settle([sum(COEFFICIENTS[k, node] * force[:, node] for node in range(_M)) for k in range(_M)])
        y[i], begin, end = _settle(_propagate(x, a, grid, i, wrap))
        out[i] = grid.read(x, a, begin, end)
        worst = jnp.maximum(worst, _estimate(a[-1], x, grid.h, y[i]))
        slowest = jnp.minimum(slowest, jnp.sum(x, 0))
    return jnp.stack(out, 1), worst, slowest


class _Grid:
    """Times, lengths, inputs and covariates on the mesh under the current event times; shapes [K, B] or [K, nodes, B].

    Tables over segments are spread over intervals by products with 0/1 masks, whose transpose is a sum (a gather's would be a slow scatter).
    """

    def __init__(self, mesh: Mesh | SegmentMesh, events: Events, y0: Any, times: Any, p: list[Any], q: list[Any]):
        self.mesh, self.p, self.y0 = mesh, p, y0
        self.place = mesh.locate(events.edges, events.segment, times) if isinstance(mesh, SegmentMesh) else None
        stamps = jnp.concatenate([events.edges, times], 0)
        left, right = jnp.take_along_axis(stamps, mesh.left, 0), jnp.take_along_axis(stamps, mesh.right, 0)
        begin = left + mesh.part0 * (right - left)
        self.h = (mesh.part1 - mesh.part0) * (right - left)
        self.t = begin[:, None] + NODES[:, None] * self.h[:, None]
        mask = (mesh.segment[:, None] == np.arange(events.rate.shape[0])[:, None]).astype(float)  # [K, E, B]
        first = mask * mesh.first[:, None]
        self.q = [jnp.einsum("keb,eb->kb", mask, qj) for qj in q]
        self.rates = list(jnp.einsum("keb,enb->nkb", mask, events.rate))
        self.jumps = jnp.einsum("keb,enb->nkb", first, events.jump)
        self.reset = jnp.einsum("keb,eb->kb", first, events.reset)
        self.kept_here = 1.0 - self.reset - jnp.einsum("keb,eb->kb", first, jnp.broadcast_to(events.clear, events.reset.shape))
        self.kept = _windows(self.kept_here)

    def read(self, x: Any, a: Any, begin: Any, end: Any) -> Any:
        """The value at each observation: the start or the end of its interval, or inside of it where observations cut none."""
        if isinstance(self.mesh, SegmentMesh):
            return self._inside(x, a, begin)
        both = jnp.concatenate([begin, end], 0)
        return jnp.take_along_axis(both, self.mesh.spot + self.mesh.at_end.astype(int) * self.mesh.intervals, 0)

    def _inside(self, x: Any, a: Any, begin: Any) -> Any:
        """y(c h) = exp(-x c) y(0) + h sum_k a_k k! c^(k+1) phi_{k+1}(-x c)"""
        assert self.place is not None, "a mesh of segments locates its looks"
        spot, c = self.place
        table = jnp.stack([x, self.h, begin, *a])
        x, h, begin, *a = jnp.take_along_axis(table, spot[None], 1)
        phi = phis(-x * c, _M)
        return jnp.exp(-x * c) * begin + h * sum(math.factorial(k) * c ** (k + 1) * phi[k] * a[k] for k in range(_M))


_settle = jax.lax.optimization_barrier  # XLA would otherwise work whole chains out again inside each of their many consumers (4x slower)


def _windows(kept: Any) -> list[Any]:
    """For strides 1, 2, 4, ...: 1 where no reset lies in the window of intervals (k - stride, k] and it does not reach before the first, else 0."""
    found, shift, k = [], 1, kept.shape[0]
    while shift < k:
        found.append(jnp.pad(kept[shift:], ((shift, 0), (0, 0))))
        kept = kept * jnp.pad(kept[:-shift], ((shift, 0), (0, 0)), constant_values=1.0)
        shift *= 2
    return found


def _own_rate(rhs: Rhs, n: int, i: int, grid: _Grid) -> Any:
    """lambda_i = -d(dy_i)/dy_i: constant within an interval, so worked out once an interval [K, B]."""
    zero = jnp.zeros_like(grid.h)
    alone = lambda own: rhs(zero, [own if s == i else zero for s in range(n)], grid.p, grid.q, grid.rates)[i]  # noqa: E731
    return -jax.jvp(alone, (zero,), (jnp.ones_like(zero),))[1]


def _force(rhs: Rhs, i: int, y: list[Any], grid: _Grid) -> Any:
    """dy_i at y_i = 0, at every node [K, nodes, B]."""
    own = [jnp.zeros_like(grid.t) if s == i else v for s, v in enumerate(y)]
    q, rates = ([v[:, None] for v in values] for values in (grid.q, grid.rates))
    return jnp.broadcast_to(rhs(grid.t, own, grid.p, q, rates)[i], grid.t.shape)


def _propagate(x: Any, a: Any, grid: _Grid, i: int, wrap: bool) -> tuple[Any, Any, Any]:
    """Values at the nodes, at interval starts and at interval ends; x = lambda h [K, B], a the force's coefficients [M, K, B].

    With `wrap` the start is not given: it is the value at the end.
    """
    z = -x[:, None] * NODES[1:, None]
    fade, added = _settle((jnp.exp(z), grid.h[:, None] * driven(z, a)))
    kept, start = grid.kept_here, grid.y0[i]
    entry = grid.reset * start + grid.jumps[i]
    given = fade[:, -1] * entry + added[:, -1]
    given = given + jnp.pad((fade[:1, -1] * kept[:1] * start), ((0, given.shape[0] - 1), (0, 0)))
    clock = jnp.cumsum(x, 0)
    end = _prefix(clock, grid.kept, given)
    if wrap:
        decay = jnp.where(clock[-1] > 0.0, clock[-1], 1.0)
        start = end[-1] / -jnp.expm1(-decay)
        end = end + jnp.exp(-clock) * start
    begin = jnp.concatenate([start[None], end[:-1]], 0) * kept + entry
    return jnp.concatenate([begin[:, None], fade * begin[:, None] + added], 1), begin, end


def _prefix(clock: Any, kept: list[Any], beta: Any) -> Any:
    """e_k = alpha_k e_{k-1} + beta_k for all k by doubling strides; the product of alpha over a window is exp of the clock's difference."""
    for level, inside in enumerate(kept):
        shift = ((2**level, 0), (0, 0))
        late = clock[2**level :] - clock[: -(2**level)]
        beta = _settle(beta + inside * jnp.pad(jnp.exp(-late) * beta[: -(2**level)], shift))
    return beta


@jax.custom_jvp
def driven(z: Any, a: Any) -> Any:
    """int_0^c exp(z (1 - s/c)) sum_k a_k s^k ds at the nodes c after the first: sum_k a_k k! c^(k+1) phi_{k+1}(z), z[K, nodes-1, B], a[M, K, B]."""
    return _weigh(phis(z, _M), a)


@driven.defjvp
def _driven_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """Linear in a; phi_k' = phi_k - k phi_{k+1}. Written out, so that the transpose keeps no array over nodes and coefficients together."""
    (z, a), (dz, da) = primals, tangents
    full = phis(z, _M + 1)
    slopes = [full[k] - (k + 1.0) * full[k + 1] for k in range(_M)]
    return _weigh(full, a), _weigh(full, da) + dz * _weigh(slopes, a)


def _weigh(phi: Any, a: Any) -> Any:
    c = NODES[1:, None]
    return sum(math.factorial(k) * c ** (k + 1) * phi[k] * a[k][:, None] for k in range(_M))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def phis(z: Any, top: int) -> Any:
    """phi_1..phi_top of z, stacked first: phi_k(z) = int_0^1 exp((1 - s) z) s^(k-1) / (k-1)! ds.

    Downward recursion from a Taylor series where |z| is small, upward recursion elsewhere, each stable where it is used.
    """
    near = jnp.abs(z) < _EDGE
    small, large = jnp.where(near, z, 0.0), jnp.where(near, 2.0 * _EDGE, z)
    series = jnp.zeros_like(z)
    for j in reversed(range(_TERMS)):
        series = series * small + 1.0 / math.factorial(j + top)
    series, first = jax.lax.optimization_barrier((series, jnp.expm1(large) / large))  # else each phi below works them out again
    down, up = [series], [first]
    for k in reversed(range(1, top)):
        down.insert(0, small * down[0] + 1.0 / math.factorial(k))
        up.append((up[-1] - 1.0 / math.factorial(top - k)) / large)
    return jnp.stack([jnp.where(near, d, u) for d, u in zip(down, up, strict=True)])


@phis.defjvp
def _phis_jvp(top: int, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """phi_k' = phi_k - k phi_{k+1}"""
    full = phis(primals[0], top + 1)
    index = jnp.arange(1.0, top + 1.0).reshape((-1,) + (1,) * primals[0].ndim)
    return full[:top], (full[:top] - index * full[1:]) * tangents[0]


def _estimate(highest: Any, x: Any, h: Any, nodes: Any) -> Any:
    """What the highest coefficient of the interpolated force contributes, against the lane's largest value: an upper estimate of the local error.

    The part of c^4 orthogonal to cubics is at most 1/280 on the interval; decay within the interval dampens it.
    """
    highest, x, h, nodes = jax.lax.stop_gradient((highest, x, h, nodes))
    local = jnp.abs(h * highest) / 280.0 / (1.0 + jnp.abs(x))
    return jnp.max(local, 0) / jnp.maximum(jnp.max(jnp.abs(nodes), (0, 1)), 1e-300)
