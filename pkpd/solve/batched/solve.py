"""The contract's solve from the parts: run the loop once, read the looks, and hand its record to forward and reverse mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from pkpd.errors import SolveError, choices
from pkpd.solve.batched import explicit, rosenbrock
from pkpd.solve.batched.adjoint import backwards
from pkpd.solve.batched.field import make_field
from pkpd.solve.batched.linear_map import linear_map
from pkpd.solve.batched.loop import Control, Method, run
from pkpd.solve.batched.problem import Fixed, Moving
from pkpd.solve.batched.replay import Record, forwards, locate, look
from pkpd.solve.batched.tableaus import RODAS4, RODAS5P, TSIT5, Explicit, Tableau
from pkpd.solve.contract import Events, Rhs, Solution, Solve, Status
from pkpd.solve.general import finish_from
from pkpd.solve.structure import analyse

METHODS: dict[str, Tableau] = {"tsit5": TSIT5, "rodas4": RODAS4, "rodas5p": RODAS5P}


def make_batched(method: str, rtol: float, atol: Any, max_steps: int) -> Solve:
    """The contract's solve, all subjects in one loop: "rodas5p" or "rodas4" (L-stable) or "tsit5"; atol[n] may differ by state.

    Observations are reached by a step of full order from the last accepted state before them, so they do not constrain the steps.
    """
    if method not in METHODS:
        raise SolveError(f"There is no batched method '{method}'. {choices(method, tuple(METHODS))}")
    bound, control = bind(METHODS[method]), Control(rtol, atol, max_steps)

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        events = events._replace(clear=jnp.broadcast_to(events.clear, events.reset.shape))
        given = Moving(*(jnp.asarray(x, jnp.result_type(float)) for x in (y0, p, q, events.jump, events.rate, events.edges, times)))
        sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x), axis=tuple(range(x.ndim - 1))) for x in given]), 0)
        safe = Moving(*(jnp.where(sound, x, harmless(name)) for name, x in given._asdict().items()))
        timed = analyse(rhs, *(x.shape[0] for x in (y0, p, q))).timed
        y, status, steps = _integrator(rhs, timed, bound, control)(safe, Fixed(events.reset, events.clear, events.segment))
        return finish_from(given, y, jnp.where(sound, status, int(Status.NOT_FINITE)), steps)

    return solve


def bind(tableau: Tableau) -> Method:
    """The functions of a step with their coefficients in place."""
    kind: Any = explicit if isinstance(tableau, Explicit) else rosenbrock
    return Method(*(partial(part, tableau) for part in (kind.stages, kind.advance, kind.adjoint, kind.tangent)), order=tableau.order)


def harmless(name: str) -> float:
    """In place of the arguments of a subject that has a number that is not finite: it is integrated over no time at all."""
    return 1.0 if name in ("y0", "p", "q") else 0.0


def _integrator(rhs: Rhs, timed: bool, method: Method, control: Control) -> Callable[[Moving, Fixed], Any]:
    """(y[M, n, B], status[B], steps[B]) with its derivatives: the rule below records one solve and gives its tangents as a map with a transpose."""
    field = make_field(rhs)

    def attempt(moving: Moving, fixed: Fixed) -> tuple[Record, tuple]:
        walk = run(field, timed, method, control, moving, fixed)
        spot = locate(walk.tape, moving.edges, moving.times, fixed.segment)
        record = Record(moving, fixed, walk.tape, walk.count, spot)
        y, worked = look(field, timed, method, record)
        status = jnp.where((walk.status == Status.OK) & ~walk.done, int(Status.STEPS_EXHAUSTED), walk.status)
        return record._replace(worked=worked), (shaped(y, moving), status, walk.accepted)

    @jax.custom_jvp
    def integrate(moving: Moving, fixed: Fixed) -> tuple:
        return attempt(moving, fixed)[1]

    @partial(integrate.defjvp, symbolic_zeros=True)
    def rule(primals: tuple, tangents: tuple) -> tuple:
        moving, fixed = primals
        record, out = attempt(moving, fixed)
        parts = {n: x for n, x in tangents[0]._asdict().items() if not isinstance(x, SymbolicZero)}
        names = frozenset(parts)
        there = lambda record, parts: shaped(forwards(field, timed, method, record, parts), record.moving)  # noqa: E731
        back = lambda record, given: backwards(rhs, timed, method, record, names, _flat(given))  # noqa: E731
        zeros = (jnp.zeros(x.shape, jax.dtypes.float0) for x in out[1:])
        return out, (linear_map(there, back, record, parts, out[0]), *zeros)

    return integrate


def shaped(y: Any, moving: Moving) -> Any:
    """[n, M B] -> [M, n, B]."""
    looks, lanes = moving.times.shape
    return jnp.moveaxis(y.reshape(-1, looks, lanes), 1, 0)


def _flat(y: Any) -> Any:
    return jnp.moveaxis(y, 1, 0).reshape(y.shape[1], -1)
