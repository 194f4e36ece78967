"""Exact solution of small linear systems: y' = M y + u, with M from the equations by differentiation and exp(M tau) in Newton's form.

exp(M tau) v = f[x1] v + f[x1,x2] (M - x1) v + f[x1,x2,x3] (M - x1)(M - x2) v, over the eigenvalues x_i of M (real in compartment models);
a constant input u makes it the same sum for one state more, a constant 1, whose eigenvalue is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Events, Rhs, Solution, Status, Train, finish
from pkpd.solve.divided import ascending, divided_exp
from pkpd.solve.structure import Structure


def blocks(structure: Structure) -> tuple[tuple[int, ...], ...] | None:
    """The states grouped into loops of at most two (singletons and exchanging pairs), or None when a larger loop exists."""
    found: list[tuple[int, ...]] = []
    reach = [_reach(structure, i) for i in range(structure.n)]
    for i in range(structure.n):
        group = tuple(j for j in range(structure.n) if i == j or (j in reach[i] and i in reach[j]))
        if len(group) > 2:
            return None
        if group not in found:
            found.append(group)
    return tuple(found)


def _reach(structure: Structure, start: int) -> set[int]:
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        for j in structure.reads[waiting.pop()]:
            if j not in seen:
                seen.add(j)
                waiting.append(j)
    return seen


def applies(structure: Structure) -> bool:
    """Linear, at most three states, loops of at most two."""
    return structure.linear and structure.n <= 3 and blocks(structure) is not None


def matrix(rhs: Rhs, n: int, p: Any, q: Any) -> tuple[list[list[Any]], list[Any]]:
    """M[i][j] = d(dy_i)/dy_j and the constant input, each over lanes, by one Jacobian-vector product a column."""
    zero = [jnp.zeros_like(p[0])] * n
    field = lambda *y: rhs(0.0, y, p, q, zero)  # noqa: E731
    columns, constant = [], zero
    for j in range(n):
        unit = [jnp.ones_like(zero[0]) if i == j else zero[0] for i in range(n)]
        constant, column = jax.jvp(field, tuple(zero), tuple(unit))
        columns.append([jnp.broadcast_to(c, zero[0].shape) for c in column])
    return [[columns[j][i] for j in range(n)] for i in range(n)], [jnp.broadcast_to(c, zero[0].shape) for c in constant]


def eigenvalues(m: list[list[Any]], groups: Sequence[tuple[int, ...]]) -> list[Any]:
    """The diagonal for single states, the two roots of the quadratic for an exchanging pair (larger one by the stable formula)."""
    values: list[Any] = []
    for group in groups:
        if len(group) == 1:
            values.append(m[group[0]][group[0]])
            continue
        a, b, c, d = (m[i][j] for i in group for j in group)
        root = jnp.sqrt((a - d) ** 2 + 4.0 * b * c)
        fast = 0.5 * (a + d - root)
        values += [fast, (a * d - b * c) / fast]
    return values


def advance(m: list[list[Any]], x: Sequence[Any], tau: Any, y: Sequence[Any], u: Sequence[Any]) -> list[Any]:
    """y after tau under y' = M y + u: Newton's form for the matrix [[M, u], [0, 0]] applied to (y, 1); x its eigenvalues in ascending order.

    The fastest first: then (M - x1) has no negative entry in a compartment model and the leading terms do not cancel.
    """
    n, w, one = len(y), list(y), 1.0
    differences = divided_exp(x, tau)
    result = [differences[0] * wi for wi in w]
    for difference, node in zip(differences[1:], x[:-1], strict=True):
        w = [sum(m[i][j] * w[j] for j in range(n)) - node * w[i] + one * u[i] for i in range(n)]
        one = -node * one
        result = [a + difference * b for a, b in zip(result, w, strict=True)]
    return result


def make_closed_form(structure: Structure):
    """The contract's solve for a linear system of at most three states; raises nothing inside, NaN for a subject that fails."""
    groups = blocks(structure)
    assert groups is not None

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        n, lanes = structure.n, y0.shape[1]
        # Without covariates the matrix is one for all segments [B]; with them it is [E, B].
        at_segments = [jnp.broadcast_to(pk, q.shape[1:]) for pk in p] if len(q) else list(p)
        m, constant = matrix(rhs, n, at_segments, list(q))
        values = eigenvalues(m, groups)
        x = ascending([*values, jnp.zeros_like(values[0])])
        inputs = events.rate + jnp.stack(constant, -2)
        starts = _segment_starts(events, y0, m, x, inputs)
        take = lambda table: jnp.take_along_axis(table, events.segment, 0)  # noqa: E731
        since = times - take(events.edges)
        tau = jnp.where(since >= 0.0, since, 0.0)  # not maximum: its slope at a tie is a half, and a look at a dose's own time is a tie
        y0s, us = ([take(table[:, i]) for i in range(n)] for table in (starts, inputs))
        if len(q):
            m, x = [[take(mij) for mij in row] for row in m], [take(xi) for xi in x]
        y = jnp.stack(advance(m, x, tau, y0s, us), 1)
        return finish(y, jnp.full(lanes, int(Status.OK)), jnp.full(lanes, events.rate.shape[0]))

    return solve


def _segment_starts(events: Events, y0: Any, m: Any, x: Any, inputs: Any) -> Any:
    """The state just after each segment's reset and dose, walking the segments once."""
    varies = jnp.ndim(x[0]) > 1

    def step(y: Any, segment: Any) -> tuple[Any, Any]:
        (jump, reset, clear, length, u), own = segment
        m_e, x_e = own if varies else (m, x)
        y = Events(None, jump, None, reset, None, clear).starts(y, y0)
        return jnp.stack(advance(m_e, x_e, length, list(y), list(u))), y

    lengths = jnp.diff(events.edges, axis=0)
    clear = jnp.broadcast_to(events.clear, events.reset.shape)
    return jax.lax.scan(step, y0, ((events.jump, events.reset, clear, lengths, inputs), (m, x) if varies else None))[1]


def make_periodic(structure: Structure):
    """Steady state of a train by a linear solve: y = Phi y + b, Phi = exp(M II) and b what one period adds."""
    groups = blocks(structure)
    assert groups is not None

    def periodic(rhs: Rhs, train: Train, p: Any, q: Any) -> tuple[Any, Any]:
        n, lanes = structure.n, train.period.shape[0]
        m, constant = matrix(rhs, n, list(p), list(q))
        values = eigenvalues(m, groups)
        x = ascending([*values, jnp.zeros_like(values[0])])
        whole, rest = train.split()
        u = lambda running: [c + running * r for c, r in zip(constant, train.rate, strict=True)]  # noqa: E731

        def after(y: Sequence[Any], time: Any) -> list[Any]:
            """`time` after a dose given on top of y."""
            begun = [a + b for a, b in zip(y, train.jump, strict=True)]
            first = advance(m, x, jnp.where(time < rest, time, rest), begun, u(whole + 1.0))
            return advance(m, x, jnp.where(time < rest, 0.0, time - rest), first, u(whole))

        zero = [jnp.zeros(lanes)] * n
        units = [[jnp.ones(lanes) if i == j else zero[0] for i in range(n)] for j in range(n)]
        flow = jnp.stack([jnp.stack(advance(m, x, train.period, unit, zero)) for unit in units], 1)  # [n, n, L]
        left = jnp.moveaxis(jnp.eye(n)[..., None] - flow, -1, 0)
        fixed = jnp.linalg.solve(left, jnp.stack(after(zero, train.period)).T[..., None])[..., 0].T
        grows = jnp.max(jnp.stack(values), 0) * train.period > -1e-9
        status = jnp.where(grows, int(Status.NO_STEADY_STATE), int(Status.OK))
        return jnp.stack(after(list(fixed), train.phase)), status

    return periodic
