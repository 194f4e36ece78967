"""The way there and the way back: one kernel each, with the little that XLA does before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.batched.field import EVERY, make_field
from pkpd.solve.batched.loop import Control, Tape, first_step
from pkpd.solve.batched.problem import Fixed, Moving, entered, states_first
from pkpd.solve.batched.replay import Record
from pkpd.solve.batched.tableaus import Explicit
from pkpd.solve.contract import Rhs
from pkpd.solve.kernel.backward import pull
from pkpd.solve.kernel.forward import integrate
from pkpd.solve.kernel.step import make_rows
from pkpd.solve.kernel.tables import Launch, launch, shape

TAPED = ("y", "e", "tau", "increment", "ends")  # of `batched.loop.Tape`; its key serves a search that is not made here


@dataclass(frozen=True, eq=False)
class Work:
    """What is solved, how, and how kernels are run; `max_steps` bounds the tries of a subject, its looks come on top."""

    rhs: Rhs
    tableau: Explicit
    control: Control
    how: Launch


def values(work: Work, moving: Moving, fixed: Fixed) -> tuple[Any, Any, Any]:
    """(y[M, n, B], status[B], steps[B]) without a tape."""
    return _outcome(_forward(work, moving, fixed, taped=False))


def recorded(work: Work, moving: Moving, fixed: Fixed) -> tuple[Record, tuple[Any, Any, Any]]:
    """The same, and the record of it; `rows` has the number of rows of each block, `spot` the row in which each look was read."""
    out = _forward(work, moving, fixed, taped=True)
    tape = Tape(*(out[f"tape_{name}"] for name in TAPED), None)
    return Record(moving, fixed, tape, out["rows"], out["spot"]), _outcome(out)


def _outcome(out: dict[str, Any]) -> tuple[Any, Any, Any]:
    return out["y"], out["status"], out["steps"]


def _forward(work: Work, moving: Moving, fixed: Fixed, taped: bool) -> dict[str, Any]:
    """State and step to start with by XLA, all the rest in the kernel."""
    (n, lanes), looks = moving.y0.shape, moving.times.shape[0]
    turns = work.control.max_steps + looks
    none, rate = jnp.zeros(lanes, jnp.int32), states_first(moving.rate)
    start = entered(moving, fixed, moving.y0, none)
    first = first_step(make_field(work.rhs), work.control, moving, rate, start, none)
    given = _tables(moving, fixed) | {"jump": states_first(moving.jump), "start": start, "first": first}
    made = {"y": shape(start.dtype, looks, n, lanes), "status": shape(jnp.int32, lanes), "steps": shape(jnp.int32, lanes)}
    if taped:
        made |= {f"tape_{name}": shape(jnp.int32 if name == "e" else start.dtype, turns, lanes) for name in TAPED[1:]}
        made |= {"tape_y": shape(start.dtype, turns, n, lanes), "spot": shape(jnp.int32, looks, lanes)}
        made |= {"rows": shape(jnp.int32, lanes // work.how.block)}
    f = make_rows(work.rhs, EVERY)
    kernel = partial(integrate, f=f, tableau=work.tableau, control=work.control, turns=turns, taped=taped)
    return launch(work.how, kernel, given, made)


def _tables(moving: Moving, fixed: Fixed) -> dict[str, Any]:
    """What both kernels read: rows first, segments next, lanes last; `order` numbers the looks as they come."""
    looks, lanes = fixed.segment.shape
    number = jax.lax.broadcasted_iota(jnp.int32, (looks, lanes), 0)
    order = jax.lax.sort((fixed.segment, jax.lax.stop_gradient(moving.times), number), dimension=0, num_keys=2)[2]
    own = {"y0": moving.y0, "p": moving.p, "q": moving.q, "rate": states_first(moving.rate), "edges": moving.edges}
    return own | {"reset": fixed.reset, "clear": fixed.clear, "inside": moving.times, "segment": fixed.segment, "order": order}


def cotangents(work: Work, record: Record, names: frozenset[str], given: Any) -> dict[str, Any]:
    """Of the named arguments, from those of the looks [M, n, B]."""
    moving, wanted = record.moving, ("p" in names, "q" in names, "rate" in names)
    tables = _tables(moving, record.fixed) | {f"tape_{name}": getattr(record.tape, name) for name in TAPED}
    tables |= {"spot": record.spot, "rows": record.rows, "given": given}
    like = {"p": moving.p, "q": moving.q, "rate": states_first(moving.rate), "times": moving.times}
    like |= {"edges": jnp.stack([moving.edges[1:]] * 2), "jump": like["rate"]}
    made = {f"to_{name}": shape(x.dtype, *x.shape) for name, x in like.items() if name in names or name == "jump"}
    out = launch(work.how, partial(pull, f=make_rows(work.rhs, wanted), tableau=work.tableau, wanted=wanted), tables, made)
    found = _by_argument(moving, record.fixed, {name.removeprefix("to_"): x for name, x in out.items()})
    return {name: found[name] for name in sorted(names)}


def _by_argument(moving: Moving, fixed: Fixed, found: dict[str, Any]) -> dict[str, Any]:
    """From tables over segments to the arguments; segments after the last look were never entered, so nothing was written there."""
    met = jnp.arange(fixed.reset.shape[0])[:, None] <= jnp.max(fixed.segment, 0)
    found = {name: x if name in ("p", "times") else jnp.where(met, x, 0.0) for name, x in found.items()}
    jump = found["jump"]
    found["y0"] = jnp.sum(jump * fixed.reset, 1) + jump[:, 0] * (1.0 - fixed.reset[0] - fixed.clear[0])
    found |= {name: states_first(found[name]) for name in ("jump", "rate") if name in found}
    if "edges" in found:
        begin, end = found["edges"]
        found["edges"] = jnp.pad(begin, ((0, 1), (0, 0))) + jnp.pad(end, ((1, 0), (0, 0)))
    return found
