"""Any system, through diffrax: each subject's segments in turn, stepping exactly onto observation times, never throwing inside jit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Events, Rhs, Solution, Status, finish


def make_diffrax(method: str, rtol: float, atol: Any, max_steps: int):
    """The contract's solve by diffrax: "kvaerno5" (L-stable, default) or "tsit5"; atol[n] may differ by state.

    Jumps separate segments, so no event is ever inside a step; observation times are step times, so nothing is interpolated.
    """

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        def lane(y0: Any, p: Any, q: Any, times: Any, *tables: Any) -> tuple[Any, Any, Any]:
            return _one_subject(rhs, Events(*tables), y0, p, q, times, method, rtol, atol, max_steps)

        last = lambda x: jnp.moveaxis(jnp.asarray(x), -1, 0)  # noqa: E731
        y, failed, steps = jax.vmap(lane)(last(y0), last(p), last(q), last(times), *map(last, events))
        status = jnp.where(failed, int(Status.STEPS_EXHAUSTED), int(Status.OK))
        return finish(jnp.moveaxis(y, 0, -1), status, steps)

    return solve


def _one_subject(rhs: Rhs, ev: Events, y0: Any, p: Any, q: Any, times: Any, method: str, rtol: float, atol: Any, max_steps: int) -> Any:
    import diffrax as dfx

    def field(t: Any, y: Any, inputs: Any) -> Any:
        q_e, rate = inputs
        return jnp.stack(rhs(t, list(y), list(p), list(q_e), list(rate)))

    def segment(y: Any, given: Any) -> Any:
        e, begin, end, jump, rate, reset, q_e = given
        moved = end > begin
        inputs = (q_e, rate)
        y = y * (1.0 - reset) + y0 * reset + jump
        mine = jnp.where(ev.segment == e, times, end)
        inside = jnp.where(mine < begin, begin, jnp.where(mine > end, end, mine))  # not clip: its slope at a tie is a half
        stops = jnp.sort(_held(inside))
        start, stop = _held(begin), jnp.where(moved, _held(end), _held(begin) + 1.0)
        solution = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, y, _: field(t, y, inputs) * moved), dfx.Tsit5() if method == "tsit5" else dfx.Kvaerno5(), start, stop, None, y - _drift(field, begin, y, inputs), None,
            stepsize_controller=dfx.ClipStepSizeController(dfx.PIDController(rtol=rtol, atol=atol), step_ts=stops),
            saveat=dfx.SaveAt(ts=stops, t1=True), max_steps=max_steps, throw=False,
        )  # fmt: skip
        saved, final = solution.ys[:-1][jnp.argsort(jnp.argsort(_held(inside)))], solution.ys[-1]
        values = saved + jax.vmap(lambda t, x: _drift(field, t, x, inputs))(inside, saved)
        failed = moved & (solution.result != dfx.RESULTS.successful)
        return final + _drift(field, end, final, inputs), (values, failed, jnp.where(moved, solution.stats["num_steps"], 0))

    rows = (jnp.arange(ev.jump.shape[0]), ev.edges[:-1], ev.edges[1:], ev.jump, ev.rate, ev.reset, jnp.moveaxis(q, 1, 0))
    _, (values, failed, steps) = jax.lax.scan(segment, y0, rows)
    y = jnp.take_along_axis(values, ev.segment[None, :, None], 0)[0]
    return y, jnp.any(failed), jnp.sum(steps)


_held = jax.lax.stop_gradient


def _drift(field: Any, t: Any, y: Any, inputs: Any) -> Any:
    """Zero, with the slope dy/dt in t: the solver sees held times, so ties of looks and events cannot split a gradient inside it."""
    return field(t, y, inputs) * (t - _held(t))
