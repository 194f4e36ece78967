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

    field = dfx.ODETerm(lambda t, y, args: jnp.stack(rhs(t, list(y), list(p), list(args[0]), list(args[1]))))
    solver = dfx.Tsit5() if method == "tsit5" else dfx.Kvaerno5()

    def segment(y: Any, given: Any) -> Any:
        e, begin, end, jump, rate, reset, q_e = given
        y = y * (1.0 - reset) + y0 * reset + jump
        length = end - begin
        inside = jnp.clip(jnp.where(ev.segment == e, times, end), begin, end)
        controller = dfx.ClipStepSizeController(dfx.PIDController(rtol=rtol, atol=atol), step_ts=jnp.sort(inside))
        safe_end = jnp.where(length > 0, end, begin + 1.0)
        stops = jnp.sort(inside)
        solution = dfx.diffeqsolve(
            field, solver, begin, safe_end, None, y, (q_e, rate), stepsize_controller=controller,
            saveat=dfx.SaveAt(ts=jnp.minimum(stops, safe_end), t1=True), max_steps=max_steps, throw=False,
        )  # fmt: skip
        saved, final = solution.ys[:-1], solution.ys[-1]
        values = saved[jnp.argsort(jnp.argsort(inside))]
        moved = length > 0
        failed = moved & (solution.result != dfx.RESULTS.successful)
        values = jnp.where(moved & (inside > begin)[:, None], values, y)
        return jnp.where(moved, final, y), (values, failed, jnp.where(moved, solution.stats["num_steps"], 0))

    n_segments = ev.jump.shape[0]
    rows = (jnp.arange(n_segments), ev.edges[:-1], ev.edges[1:], ev.jump, ev.rate, ev.reset, jnp.moveaxis(q, 1, 0))
    _, (values, failed, steps) = jax.lax.scan(segment, y0, rows)
    y = jnp.take_along_axis(values, ev.segment[None, :, None], 0)[0]
    return y, jnp.any(failed), jnp.sum(steps)
