"""The adaptive loop: all subjects in one while_loop, each with its own time, step and segment; what every accepted step began from goes on a tape.

Inside segment e time is a + tau (b - a) with a, b its edges. The tape holds (e, tau, its increment): under differentiation these are constants of
the discrete solution, so its slopes in event times are exact. A rejected step, and any step of a subject that is done, has increment 0: a no-op.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pkpd.solve.batched.field import Field
from pkpd.solve.batched.problem import Fixed, Moving, entered, inputs, span, states_first
from pkpd.solve.contract import Status


@dataclass(frozen=True, eq=False)
class Method:
    """One step in two parts (all stages; what they advance to and the error), its adjoint and its tangent, bound to a tableau of some order."""

    stages: Callable[..., Any]
    advance: Callable[..., tuple[Any, Any]]
    adjoint: Callable[..., tuple]
    tangent: Callable[..., Any]
    order: int


class Control(NamedTuple):
    """Tolerances (atol[n]) and the limit of steps a subject, rejected ones included."""

    rtol: float
    atol: Any
    max_steps: int


class Tape(NamedTuple):
    """Row i: state y[n, B], segment e[B], tau[B], increment[B], and 1 in ends[B] where the step arrives at the end of its segment.

    `key` grows with (segment, tau), for looking up; rows of subjects that were done hold infinity there.
    """

    y: Any
    e: Any
    tau: Any
    increment: Any
    ends: Any
    key: Any


class Walk(NamedTuple):
    """Where each subject is: state, segment, tau, next step, log of the last accepted error, done, status; and the tape."""

    count: Any
    y: Any
    e: Any
    tau: Any
    h: Any
    last_error: Any
    done: Any
    status: Any
    accepted: Any
    tape: Tape


def run(field: Field, timed: bool, method: Method, control: Control, moving: Moving, fixed: Fixed) -> Walk:
    """Integrate every subject until it has passed its last look, or failed."""
    rate = states_first(moving.rate)
    last = jnp.max(fixed.segment, 0)
    until = jnp.max(jnp.where(fixed.segment == last, moving.times, -jnp.inf), 0)
    start = _start(field, control, moving, fixed, rate)

    def advance(walk: Walk) -> Walk:
        begin, length = span(moving.edges, walk.e)
        rest = 1.0 - walk.tau
        arrives = walk.h >= rest * length * (1.0 - 1e-6)
        share = jnp.where(walk.done, 0.0, jnp.where(arrives, rest, walk.h / jnp.where(length > 0.0, length, 1.0)))
        t, h, u = jax.lax.optimization_barrier((begin + walk.tau * length, share * length, inputs(moving, rate, walk.e)))
        y, error = method.advance(h, walk.y, method.stages(field, timed, t, h, walk.y, u, ()))
        size = _norm(error, walk.y, y, control)
        accept = (size <= 1.0) & ~walk.done
        return _moved(walk, moving, fixed, method.order, (t, h, share, arrives, accept, size, y), (last, until))

    return jax.lax.while_loop(lambda w: (w.count < control.max_steps) & ~jnp.all(w.done), advance, start)


def _moved(walk: Walk, moving: Moving, fixed: Fixed, order: int, tried: tuple, goal: tuple) -> Walk:
    """After a step was tried: accept or not, enter the next segment, choose the next step, write the tape."""
    t, h, share, arrives, accept, size, y = tried
    last, until = goal
    turn = accept & arrives
    grown, last_error = growth(size, accept, walk.last_error, order)
    tape = _written(walk, jnp.where(accept, share, 0.0), turn)
    e = jnp.where(turn, walk.e + 1, walk.e)
    y = jnp.where(turn, entered(moving, fixed, y, e), jnp.where(accept, y, walk.y))
    lost = ~accept & ~walk.done & (h * grown < 1e-14 * jnp.maximum(jnp.abs(t), 1e-6))
    status = jnp.where(lost, jnp.where(jnp.isfinite(size), int(Status.STEPS_EXHAUSTED), int(Status.NOT_FINITE)), walk.status)
    done = (
        walk.done | lost | (e > last) | (accept & (walk.e == last) & (t + h >= until))
    )  # a last segment just entered is still to be taped
    cut = accept & arrives  # the step was shortened to arrive: its successor need not be short
    step = jnp.where(walk.done, walk.h, jnp.where(cut, jnp.maximum(walk.h * jnp.minimum(grown, 1.0), h * grown), h * grown))
    tau = jnp.where(turn, 0.0, jnp.where(accept, walk.tau + share, walk.tau))
    return Walk(walk.count + 1, y, e, tau, step, last_error, done, status, walk.accepted + accept, tape)


def growth(size: Any, accept: Any, before: Any, order: int) -> tuple[Any, Any]:
    """Factor of the next step by the PI rule 0.9 err^(-0.7/k) before^(0.4/k) (Gustafsson 1991), and log err to remember."""
    log = jnp.log(jnp.where(jnp.isfinite(size), jnp.maximum(size, 1e-8), 1e8))
    factor = 0.9 * jnp.exp(jnp.where(accept, 0.4 * before - 0.7 * log, -log) / order)
    return jnp.clip(factor, 0.1, 6.0), jnp.where(accept, jnp.maximum(log, -9.0), before)


def _norm(error: Any, before: Any, after: Any, control: Control) -> Any:
    scale = jnp.asarray(control.atol)[:, None] + control.rtol * jnp.maximum(jnp.abs(before), jnp.abs(after))
    return jnp.sqrt(jnp.mean((error / scale) ** 2, 0))


def _written(walk: Walk, increment: Any, turn: Any) -> Tape:
    key = jnp.where(walk.done, jnp.inf, walk.e + walk.tau * (1.0 - 1e-9))  # the end of a segment stays before the start of the next
    row = Tape(walk.y, walk.e, walk.tau, increment, turn.astype(walk.tau.dtype), key)
    return jax.tree.map(lambda table, x: jax.lax.dynamic_update_index_in_dim(table, x, walk.count, 0), walk.tape, row)


def _start(field: Field, control: Control, moving: Moving, fixed: Fixed, rate: Any) -> Walk:
    lanes = moving.y0.shape[1]
    e, zero = jnp.zeros(lanes, jnp.int32), jnp.zeros_like(moving.y0[0])
    y = entered(moving, fixed, moving.y0, e)
    tape = jax.tree.map(lambda x: jax.lax.empty((control.max_steps, *x.shape), x.dtype), Tape(y, e, zero, zero, zero, zero))
    tape = tape._replace(key=jnp.full(tape.key.shape, jnp.inf, zero.dtype))
    h = first_step(field, control, moving, rate, y, e)
    return Walk(0, y, e, zero, h, zero, zero > 0.0, e, e, tape)


def first_step(field: Field, control: Control, moving: Moving, rate: Any, y: Any, e: Any) -> Any:
    """0.01 |y| / |y'| in the norm of the error (Hairer, Norsett & Wanner, Solving ODEs I, II.4)."""
    begin, length = span(moving.edges, e)
    slope = field(begin, y, inputs(moving, rate, e), ())
    size, speed = _norm(y, y, y, control), _norm(slope, y, y, control)
    sound = (size > 1e-5) & (speed > 1e-5) & jnp.isfinite(speed)
    return jnp.where(sound, 0.01 * size / jnp.where(sound, speed, 1.0), 1e-4 * jnp.maximum(length, 1e-6))
