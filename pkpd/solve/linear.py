"""Linear systems y' = M y + u through a schedule, given a way to advance them exactly; M and u from the equations by differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Events, Periodic, Rhs, Solution, Solve, Status, Train, finish
from pkpd.solve.structure import Structure


class Way(NamedTuple):
    """How M is used: `modes(m)` worked out once (perhaps nothing), `advance(m, modes, tau, y, u)` to the state after tau, `growth(m)` the largest
    real part of an eigenvalue.
    """

    modes: Callable[[Any], list[Any]]
    advance: Callable[..., list[Any]]
    growth: Callable[[Any], Any]


def matrix(rhs: Rhs, n: int, p: Any, q: Any) -> tuple[list[list[Any]], list[Any]]:
    """M[i][j] = d(dy_i)/dy_j and the constant input, each over lanes, by one Jacobian-vector product a column."""
    zero = [jnp.zeros_like([*p, *q, 0.0][0])] * n
    field = lambda *y: rhs(0.0, y, p, q, zero)  # noqa: E731
    columns, constant = [], zero
    for j in range(n):
        unit = [jnp.ones_like(zero[0]) if i == j else zero[0] for i in range(n)]
        constant, column = jax.jvp(field, tuple(zero), tuple(unit))
        columns.append([jnp.broadcast_to(c, zero[0].shape) for c in column])
    return [[columns[j][i] for j in range(n)] for i in range(n)], [jnp.broadcast_to(c, zero[0].shape) for c in constant]


def make_exact(structure: Structure, way: Way) -> Solve:
    """The contract's solve; raises nothing inside, NaN for a subject that fails."""

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        n, lanes = structure.n, y0.shape[1]
        # Without covariates the matrix is one for all segments [B]; with them it is [E, B].
        at_segments = [jnp.broadcast_to(pk, q.shape[1:]) for pk in p] if len(q) else list(p)
        m, constant = matrix(rhs, n, at_segments, list(q))
        x = way.modes(m)
        inputs = events.rate + jnp.stack(constant, -2)
        starts = _segment_starts(way, events, y0, m, x, inputs)
        take = lambda table: jnp.take_along_axis(table, events.segment, 0)  # noqa: E731
        since = times - take(events.edges)
        tau = jnp.where(since >= 0.0, since, 0.0)  # not maximum: its slope at a tie is a half, and a look at a dose's own time is a tie
        y0s, us = ([take(table[:, i]) for i in range(n)] for table in (starts, inputs))
        if len(q):
            m, x = [[take(mij) for mij in row] for row in m], [take(xi) for xi in x]
        y = jnp.stack(way.advance(m, x, tau, y0s, us), 1)
        return finish(y, jnp.full(lanes, int(Status.OK)), jnp.full(lanes, events.rate.shape[0]))

    return solve


def _segment_starts(way: Way, events: Events, y0: Any, m: Any, x: Any, inputs: Any) -> Any:
    """The state just after each segment's reset and dose, walking the segments once."""
    varies = jnp.ndim(m[0][0]) > 1

    def step(y: Any, segment: Any) -> tuple[Any, Any]:
        (jump, reset, clear, length, u), own = segment
        m_e, x_e = own if varies else (m, x)
        y = Events(None, jump, None, reset, None, clear).starts(y, y0)
        return jnp.stack(way.advance(m_e, x_e, length, list(y), list(u))), y

    lengths = jnp.diff(events.edges, axis=0)
    clear = jnp.broadcast_to(events.clear, events.reset.shape)
    return jax.lax.scan(step, y0, ((events.jump, events.reset, clear, lengths, inputs), (m, x) if varies else None))[1]


def make_exact_periodic(structure: Structure, way: Way) -> Periodic:
    """Steady state of a train by a linear solve: y = Phi y + b, Phi = exp(M II) and b what one period adds."""

    def periodic(rhs: Rhs, train: Train, p: Any, q: Any) -> tuple[Any, Any]:
        n, lanes = structure.n, train.period.shape[0]
        m, constant = matrix(rhs, n, list(p), list(q))
        x = way.modes(m)
        whole, rest = train.split()
        u = lambda running: [c + running * r for c, r in zip(constant, train.rate, strict=True)]  # noqa: E731

        def after(y: Sequence[Any], time: Any) -> list[Any]:
            """`time` after a dose given on top of y."""
            begun = [a + b for a, b in zip(y, train.jump, strict=True)]
            first = way.advance(m, x, jnp.where(time < rest, time, rest), begun, u(whole + 1.0))
            return way.advance(m, x, jnp.where(time < rest, 0.0, time - rest), first, u(whole))

        zero = [jnp.zeros(lanes)] * n
        units = [[jnp.ones(lanes) if i == j else zero[0] for i in range(n)] for j in range(n)]
        flow = jnp.stack([jnp.stack(way.advance(m, x, train.period, unit, zero)) for unit in units], 1)  # [n, n, L]
        left = jnp.moveaxis(jnp.eye(n)[..., None] - flow, -1, 0)
        fixed = jnp.linalg.solve(left, jnp.stack(after(zero, train.period)).T[..., None])[..., 0].T
        grows = way.growth(m) * train.period > -1e-9
        status = jnp.where(grows, int(Status.NO_STEADY_STATE), int(Status.OK))
        return jnp.stack(after(list(fixed), train.phase)), status

    return periodic
