"""Plain diffrax as its users write it, under our contract: one `diffeqsolve` a subject, vmapped, jump times told to the step control.

The library's own general solver (`pkpd.solve.general`) goes segment by segment and steps onto every look: slower with an explicit method, faster at
equal accuracy with an implicit one. A bench tries both and takes the better for the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp

from pkpd.inference.problem import FitProblem
from pkpd.solve import Events, Solution, Status
from pkpd.solve.contract import Solve
from pkpd.solve.general import finish_from, make_diffrax

SOLVERS = {"tsit5": dfx.Tsit5, "kvaerno5": dfx.Kvaerno5}


def make_plain(method: str, rtol: Any, atol: Any, max_steps: int) -> Solve:
    """The contract's solve where every jump is at the start (a look there before the jump sees `y0`); looks by interpolation."""

    def solve(rhs: Any, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        def lane(edges: Any, jump: Any, rate: Any, y0: Any, p: Any, q: Any, times: Any, segment: Any) -> Any:
            def field(t: Any, y: Any, _: Any) -> Any:
                e = jnp.clip(jnp.searchsorted(edges, t, side="right") - 1, 0, rate.shape[0] - 1)
                return jnp.stack(rhs(t, list(y), list(p), list(q[e]), list(rate[e])))

            at_start = edges[:-1] == edges[0]
            y_start, order = y0 + jnp.sum(jnp.where(at_start[:, None], jump, 0.0), 0), jnp.argsort(times)
            found = dfx.diffeqsolve(
                dfx.ODETerm(field), SOLVERS[method](), edges[0], jnp.max(times), None, y_start, saveat=dfx.SaveAt(ts=times[order]),
                stepsize_controller=dfx.ClipStepSizeController(dfx.PIDController(rtol=rtol, atol=atol), jump_ts=edges[1:]),
                max_steps=max_steps, throw=False,
            )  # fmt: skip
            y = jnp.where((segment < jnp.sum(at_start) - 1)[:, None], y0, found.ys[jnp.argsort(order)])
            return y, found.result == dfx.RESULTS.successful, found.stats["num_steps"]

        given = (events.edges, events.jump, events.rate, y0, p, jnp.moveaxis(jnp.asarray(q), 1, 0), times, events.segment)
        y, sound, steps = jax.vmap(lane)(*(jnp.moveaxis(jnp.asarray(x), -1, 0) for x in given))
        status = jnp.where(sound, int(Status.OK), int(Status.STEPS_EXHAUSTED))
        return finish_from((y0, p), jnp.moveaxis(y, 0, -1), status, steps)

    return solve


PEERS = ("diffrax Tsit5", "diffrax Kvaerno5")
WAYS: dict[str, tuple[str, Callable[..., Solve]]] = {  # Tsit5 by segments is always the slower
    "diffrax Tsit5, one solve": ("tsit5", make_plain),
    "diffrax Kvaerno5, one solve": ("kvaerno5", make_plain),
    "diffrax Kvaerno5, by segments": ("kvaerno5", make_diffrax),
}


def with_solve(problem: FitProblem, make: Callable[[Any], Solve]) -> FitProblem:
    """A copy of the problem whose predictor integrates with `make(scale of each state)`."""
    other = replace(problem)
    bound = other.predictor
    for part in [part for _, part in bound.parts] or [bound]:
        with jax.ensure_compile_time_eval():  # numbers, also inside a trace
            scale = part.scales()
        part.__dict__["chosen"] = replace(part.chosen, name="peer", solve=make(scale))
    return other
