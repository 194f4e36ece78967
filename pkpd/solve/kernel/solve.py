"""The contract's solve as one kernel, and its gradient as another: arrays to tables, and the record of a solve to forward and reverse mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from pkpd.errors import SolveError, choices
from pkpd.solve.batched.field import make_field
from pkpd.solve.batched.linear_map import linear_map
from pkpd.solve.batched.loop import Control
from pkpd.solve.batched.problem import Fixed, Moving, place
from pkpd.solve.batched.replay import Record, forwards
from pkpd.solve.batched.solve import bind, harmless, shaped
from pkpd.solve.batched.tableaus import TSIT5, Explicit
from pkpd.solve.contract import Events, Rhs, Solution, Solve, Status
from pkpd.solve.general import finish_from
from pkpd.solve.kernel.passes import Work, cotangents, recorded, values
from pkpd.solve.kernel.tables import Launch

METHODS: dict[str, Explicit] = {"tsit5": TSIT5}


def make_kernel(method: str, rtol: float, atol: Any, max_steps: int, block: int = 32, interpret: bool = False) -> Solve:
    """The contract's solve with all steps of all subjects in one GPU kernel, `block` (a power of two) subjects a program: "tsit5".

    A plain call keeps no tape and needs memory for the looks only, so a cohort may have a million subjects. Under differentiation a tape of
    8 (n + 4) bytes for each subject and step is made for `max_steps` steps and every look, and one more kernel goes back over it. `interpret` runs the
    kernels by JAX's interpreter on any machine, slowly.
    """
    if method not in METHODS:
        raise SolveError(f"There is no method '{method}' as a kernel. {choices(method, tuple(METHODS))}")
    if block < 1 or block & (block - 1):
        raise SolveError(f"A block of {block} subjects does not fit a GPU: give a power of two, such as 32.")

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        control = Control(rtol, np.broadcast_to(np.asarray(atol, float), y0.shape[0]), max_steps)
        real = lambda x: jnp.asarray(x, jnp.result_type(float))  # noqa: E731
        given = Moving(*map(real, (y0, p, q, events.jump, events.rate, events.edges, times)))
        sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x), axis=tuple(range(x.ndim - 1))) for x in given]), 0)
        moving, fixed = _padded(given, events, sound, block)
        y, status, steps = _integrator(Work(rhs, METHODS[method], control, Launch(block, interpret)))(moving, fixed)
        y, status, steps = (x[..., : sound.size] for x in (y, status, steps))
        return finish_from(given, y, jnp.where(sound, status, int(Status.NOT_FINITE)), steps)

    return solve


def _padded(given: Moving, events: Events, sound: Any, block: int) -> tuple[Moving, Fixed]:
    """Whole blocks of lanes, harmless where there is no subject or one with a number that is not finite; looks inside their segments."""
    more = -sound.size % block
    lanes = lambda x, fill: jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, more)], constant_values=fill)  # noqa: E731
    whole = {name: lanes(jnp.where(sound, x, harmless(name)), harmless(name)) for name, x in given._asdict().items()}
    segment = lanes(jnp.asarray(events.segment, jnp.int32), 0)
    start, rest = place(whole["edges"], whole["times"], segment, 0.0)
    flags = (lanes(jnp.broadcast_to(jnp.asarray(x, start.dtype), given.jump[:, 0].shape), 0.0) for x in (events.reset, events.clear))
    return Moving(**whole | {"times": start + rest}), Fixed(*flags, segment)


def _integrator(work: Work) -> Callable[[Moving, Fixed], Any]:
    """(y[M, n, B], status[B], steps[B]) with derivatives, as in `batched.solve`; where none is asked for, no tape is kept."""
    field, method = make_field(work.rhs), bind(work.tableau)

    @jax.custom_jvp
    def integrate(moving: Moving, fixed: Fixed) -> tuple:
        return values(work, moving, fixed)

    @partial(integrate.defjvp, symbolic_zeros=True)
    def rule(primals: tuple, tangents: tuple) -> tuple:
        record, out = recorded(work, *primals)
        parts = {n: x for n, x in tangents[0]._asdict().items() if not isinstance(x, SymbolicZero)}
        names = frozenset(parts)

        def there(record: Record, parts: dict[str, Any]) -> Any:
            return shaped(forwards(field, True, method, record._replace(rows=jnp.max(record.rows)), parts), record.moving)

        zeros = (jnp.zeros(x.shape, jax.dtypes.float0) for x in out[1:])
        return out, (linear_map(there, lambda record, given: cotangents(work, record, names, given), record, parts, out[0]), *zeros)

    return integrate
