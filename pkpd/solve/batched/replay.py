"""A recorded solution read at its looks, and its tangents: the taped steps once more, with the segments and acceptance of the tape."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pkpd.solve.batched.field import Field
from pkpd.solve.batched.loop import Method, Tape
from pkpd.solve.batched.problem import Fixed, Moving, held, inputs, place, span, spread, states_first


class Record(NamedTuple):
    """What is left of a solve for its derivatives: arguments, tape, number of rows, the row from which each look is stepped to, and those steps."""

    moving: Moving
    fixed: Fixed
    tape: Tape
    rows: Any
    spot: Any
    worked: Any = None


def row(tape: Tape, i: Any) -> Tape:
    return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, 0, keepdims=False), tape)


def locate(tape: Tape, edges: Any, times: Any, segment: Any) -> Any:
    """The last row [M, B] that begins in the look's segment and not after it: rejected tries come before the accepted one."""
    begin, end = (jnp.take_along_axis(edges, segment + k, 0) for k in (0, 1))
    tau = jnp.where(end > begin, jnp.clip((times - begin) / jnp.where(end > begin, end - begin, 1.0), 0.0, 1.0), 0.0)
    key = segment + tau * (1.0 - 1e-9)
    after = jax.vmap(lambda column, x: jnp.searchsorted(column, x, side="right"), in_axes=1, out_axes=1)(tape.key, key)
    return jnp.clip(after - 1, 0, tape.key.shape[0] - 1)


def states_at(tape: Tape, spot: Any) -> tuple[Any, Any]:
    """(state [n, M B], tau [M, B]) from which each look is stepped to."""
    y = jnp.take_along_axis(tape.y, spot[:, None], 0)
    return jnp.moveaxis(y, 1, 0).reshape(y.shape[1], -1), jnp.take_along_axis(tape.tau, spot, 0)


def look(field: Field, timed: bool, method: Method, record: Record) -> tuple[Any, Any]:
    """States at the looks [n, M B], and the stages: one step of full order from the last accepted state, all looks at once."""
    y, tau = states_at(record.tape, record.spot)
    moving, segment = record.moving, record.fixed.segment
    start, length = (x.reshape(-1) for x in place(moving.edges, moving.times, segment, tau))
    u = spread((moving.p, moving.q, moving.rate), segment)
    worked = method.stages(field, timed, start, length, y, u, ())
    return method.advance(length, y, worked)[0], worked


def full(moving: Moving, parts: dict[str, Any]) -> Moving:
    """Tangents of every argument: those given, zero for the rest."""
    return Moving(**{name: parts.get(name, jnp.zeros_like(value)) for name, value in moving._asdict().items()})


def forwards(field: Field, timed: bool, method: Method, record: Record, parts: dict[str, Any]) -> Any:
    """Tangents of the looks [n, M B]."""
    moving, fixed, tape = record.moving, record.fixed, record.tape
    d = full(moving, parts)
    rates = states_first(moving.rate), states_first(d.rate)

    def step(i: Any, carry: tuple) -> tuple:
        dy, found = carry
        at = row(tape, i)
        found = jax.lax.dynamic_update_index_in_dim(found, dy, i, 0)
        (a, length), (da, dlength) = span(moving.edges, at.e), span(d.edges, at.e)
        points = (a + at.tau * length, at.increment * length, at.y, inputs(moving, rates[0], at.e))
        tangents = (da + at.tau * dlength, at.increment * dlength, dy, inputs(d, rates[1], at.e))
        dy = method.tangent(field, timed, points, tangents)
        return jnp.where(at.ends > 0.0, _entered(d, fixed, dy, at.e + 1), dy), found

    first = _entered(d, fixed, d.y0, jnp.zeros_like(tape.e[0]))
    _, found = jax.lax.fori_loop(0, record.rows, step, (first, jnp.zeros_like(tape.y)))
    return _look_forwards(field, timed, method, record, d, found)


def _entered(d: Moving, fixed: Fixed, dy: Any, e: Any) -> Any:
    reset, clear = held(fixed.reset, e), held(fixed.clear, e)
    return dy * (1.0 - reset - clear) + d.y0 * reset + held(states_first(d.jump), e)


def _look_forwards(field: Field, timed: bool, method: Method, record: Record, d: Moving, found: Any) -> Any:
    moving, segment = record.moving, record.fixed.segment
    y, tau = states_at(record.tape, record.spot)
    dy = states_at(record.tape._replace(y=found), record.spot)[0]
    where, dwhere = jax.jvp(lambda e, t: place(e, t, segment, tau), (moving.edges, moving.times), (d.edges, d.times))
    parts = lambda x: spread((x.p, x.q, x.rate), segment)  # noqa: E731
    flat = lambda pair: tuple(x.reshape(-1) for x in pair)  # noqa: E731
    return method.tangent(field, timed, (*flat(where), y, parts(moving)), (*flat(dwhere), dy, parts(d)))
