"""The adaptive solve of one block of lanes, as one loop in one kernel.

Each turn of the loop is one attempted step of every lane: either on its way, as in `batched.loop`, or from where it stands to its next look, when
that lies within the step it is about to try. A look's step has its error estimated like any other, and leaves the lane where it was. So lanes whose
looks differ share the loop without waiting for each other, and the equations stand in the kernel once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pkpd.solve.batched.loop import Control, growth
from pkpd.solve.batched.tableaus import Explicit
from pkpd.solve.contract import Events, Status
from pkpd.solve.kernel.step import RowField, Rows, advance, chosen, stages
from pkpd.solve.kernel.tables import Tables


class Walk(NamedTuple):
    """Turns of the loop so far; then of each lane state, segment, share of it that is behind, next step, log of the last accepted error, status,
    steps accepted and looks read.
    """

    count: Any
    y: Rows
    e: Any
    tau: Any
    h: Any
    last_error: Any
    status: Any
    accepted: Any
    seen: Any


class Try(NamedTuple):
    """What a lane tries: a step of length h from t, `share` of its segment; whether it arrives at the segment's end or reads look m; idle when done."""

    t: Any
    h: Any
    share: Any
    arrives: Any
    reads: Any
    m: Any
    idle: Any


def integrate(tables: Tables, f: RowField, tableau: Explicit, control: Control, turns: int, taped: bool) -> None:
    """Until every lane of the block has read its looks or has failed; `turns` bounds the loop. Written are values, status, steps; the tape if `taped`."""
    looks = tables.refs["inside"].shape[0]
    p = tables.rows("p")

    def turn(walk: Walk) -> Walk:
        this = _next(tables, walk, looks)
        u = (p, tables.all_at("q", walk.e), tables.all_at("rate", walk.e))
        y, error = advance(tableau, this.h, walk.y, stages(tableau, f, this.t, this.h, walk.y, u, ()))
        size = _norm(error, walk.y, y, control)
        accept = (size <= 1.0) & ~this.idle
        _note(tables, walk, this, y, accept, taped)
        return _moved(tables, walk, this, y, size, accept, tableau.order)

    def goes_on(walk: Walk) -> Any:
        return (walk.count < turns) & (jnp.max(jnp.where(_done(walk, looks), 0, 1)) > 0)

    walk = jax.lax.while_loop(goes_on, turn, _start(tables))
    exhausted = (walk.status == Status.OK) & (walk.seen < looks)
    tables.write("status", jnp.where(exhausted, int(Status.STEPS_EXHAUSTED), walk.status))
    tables.write("steps", walk.accepted)
    if taped:
        tables.refs["rows"][0] = walk.count


def _start(tables: Tables) -> Walk:
    y, h = tables.rows("start"), tables.row("first")
    none, zero = jnp.zeros_like(tables.lanes), jnp.zeros_like(h)
    return Walk(jnp.int32(0), y, none, zero, h, zero, none, none, none)


def _done(walk: Walk, looks: int) -> Any:
    return (walk.status != Status.OK) | (walk.seen >= looks)


def _next(tables: Tables, walk: Walk, looks: int) -> Try:
    """The step to its next look where that lies within the step on its way, else that step; nothing for a lane that is done."""
    begin = tables.at("edges", walk.e)
    length = tables.at("edges", walk.e + 1) - begin
    t, rest = begin + walk.tau * length, 1.0 - walk.tau
    arrives = walk.h >= rest * length * (1.0 - 1e-6)
    share = jnp.where(arrives, rest, walk.h / jnp.where(length > 0.0, length, 1.0))
    m = tables.at("order", jnp.minimum(walk.seen, looks - 1))
    look, idle = tables.at("inside", m), _done(walk, looks)
    reads = (tables.at("segment", m) == walk.e) & (arrives | (look <= t + share * length)) & ~idle
    h = jnp.where(idle, 0.0, jnp.where(reads, look - t, share * length))
    return Try(t, h, share, arrives & ~reads, reads, m, idle)


def _note(tables: Tables, walk: Walk, this: Try, y: Rows, accept: Any, taped: bool) -> None:
    """Write what was seen and, on the tape, what this turn began from; a step that was not taken has increment 0."""
    seen, step = accept & this.reads, accept & ~this.reads
    for i, row in enumerate(y):
        tables.write_at("y", row, this.m, i, where=seen)
    if not taped:
        return
    tables.write_at("spot", jnp.broadcast_to(walk.count, this.m.shape), this.m, where=seen)
    for i, row in enumerate(walk.y):
        tables.write("tape_y", row, walk.count, i)
    tables.write("tape_e", walk.e, walk.count)
    tables.write("tape_tau", walk.tau, walk.count)
    tables.write("tape_increment", jnp.where(step, this.share, 0.0), walk.count)
    tables.write("tape_ends", jnp.where(step & this.arrives, 1.0, 0.0), walk.count)


def _moved(tables: Tables, walk: Walk, this: Try, y: Rows, size: Any, accept: Any, order: int) -> Walk:
    """After the attempt: the same rules as `batched.loop` for a step on the way; a look that was read changes nothing but the count of looks."""
    seen, step = accept & this.reads, accept & ~this.reads
    turn = step & this.arrives
    grown, last_error = growth(size, step, walk.last_error, order)
    tried = this.h * grown
    lost = ~accept & ~this.idle & (tried < 1e-14 * jnp.maximum(jnp.abs(this.t), 1e-6))
    status = jnp.where(lost, jnp.where(jnp.isfinite(size), int(Status.STEPS_EXHAUSTED), int(Status.NOT_FINITE)), walk.status)
    after = jnp.where(turn, jnp.maximum(walk.h * jnp.minimum(grown, 1.0), tried), tried)  # cut short to arrive: the next need not be short
    e = jnp.where(turn, walk.e + 1, walk.e)
    return Walk(
        walk.count + 1,
        chosen(turn, _entered(tables, y, e, turn), chosen(step, y, walk.y)),
        e,
        jnp.where(turn, 0.0, jnp.where(step, walk.tau + this.share, walk.tau)),
        jnp.where(this.idle | seen, walk.h, after),
        last_error,
        status,
        walk.accepted + jnp.where(step, 1, 0),
        walk.seen + jnp.where(seen, 1, 0),
    )


def _entered(tables: Tables, y: Rows, e: Any, where: Any) -> Rows:
    """The state after what happens at the start of segment e, in the lanes `where` that is."""
    reset, clear = (tables.at(name, e, where=where) for name in ("reset", "clear"))
    again = tables.all_at("jump", e, where), tables.rows("y0")
    return [Events(None, jump, None, reset, None, clear).starts(x, y0) for x, jump, y0 in zip(y, *again, strict=True)]


def _norm(error: Rows, before: Rows, after: Rows, control: Control) -> Any:
    """Root of the mean square of error / (atol + rtol max(|before|, |after|))."""
    scale = [float(a) + control.rtol * jnp.maximum(jnp.abs(x), jnp.abs(z)) for a, x, z in zip(control.atol, before, after, strict=True)]
    return jnp.sqrt(sum((x / s) ** 2 for x, s in zip(error, scale, strict=True)) / len(error))
