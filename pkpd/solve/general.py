"""Any system, through diffrax: each subject's segments in turn, stepping exactly onto observation times, never throwing inside jit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Events, Rhs, Solution, Solve, Status, Train, finish


def make_diffrax(method: str, rtol: float, atol: Any, max_steps: int):
    """The contract's solve by diffrax: "kvaerno5" (L-stable, default) or "tsit5"; atol[n] may differ by state.

    Jumps separate segments, so no event is ever inside a step; observation times are step times, so nothing is interpolated.
    """

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        def lane(y0: Any, p: Any, q: Any, times: Any, *tables: Any) -> tuple[Any, Any, Any]:
            return _one_subject(rhs, Events(*tables[:4], tables[5], tables[4]), y0, p, q, times, method, rtol, atol, max_steps)

        events = events._replace(clear=jnp.broadcast_to(events.clear, events.reset.shape))
        given = (y0, p, q, times, *events[:4])
        sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x), axis=tuple(range(jnp.ndim(x) - 1))) for x in given]), 0)
        safe = [jnp.where(sound, x, 1.0) for x in (y0, p, q)] + [times] + [jnp.where(sound, x, 0.0) for x in (*events[:4], events.clear)]
        last = lambda x: jnp.moveaxis(jnp.asarray(x), -1, 0)  # noqa: E731
        y, failed, steps = jax.vmap(lane)(*map(last, safe), last(events.segment))
        status = jnp.where(failed, int(Status.STEPS_EXHAUSTED), int(Status.OK))
        status = jnp.where(sound, status, int(Status.NOT_FINITE))
        return finish_from(given, jnp.moveaxis(y, 0, -1), status, steps)

    return solve


def finish_from(given: Any, y: Any, status: Any, steps: Any) -> Solution:
    """As `finish`, with the NaN gradient of a failed subject sent straight to what was given: diffrax's linear solves throw when handed a NaN."""
    failed = status != Status.OK
    poison = jnp.where(failed, jnp.nan, 0.0) * sum(jnp.sum(x, axis=tuple(range(jnp.ndim(x) - 1))) for x in given)
    return finish(jnp.where(failed, 0.0, y) + jnp.where(failed, poison, 0.0), status, steps)


def _one_subject(rhs: Rhs, ev: Events, y0: Any, p: Any, q: Any, times: Any, method: str, rtol: float, atol: Any, max_steps: int) -> Any:
    import diffrax as dfx

    solver = dfx.Tsit5() if method == "tsit5" else dfx.Kvaerno5()

    def field(t: Any, y: Any, inputs: Any) -> Any:
        q_e, rate = inputs
        return jnp.stack(rhs(t, list(y), list(p), list(q_e), list(rate)))

    def segment(y: Any, given: Any) -> Any:
        e, begin, end, jump, rate, reset, clear, q_e = given
        moved, inputs = end > begin, (q_e, rate)
        y = Events(None, jump, None, reset, None, clear).starts(y, y0)
        mine = jnp.where(ev.segment == e, times, end)
        inside = jnp.where(mine < begin, begin, jnp.where(mine > end, end, mine))  # not clip: its slope at a tie is a half
        stops = jnp.sort(_held(inside))
        solution = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, y, _: field(t, y, inputs) * moved), solver, _held(begin), jnp.where(moved, _held(end), _held(begin) + 1.0),
            None, y - _drift(field, begin, y, inputs), stepsize_controller=dfx.ClipStepSizeController(dfx.PIDController(rtol=rtol, atol=atol), step_ts=stops),
            saveat=dfx.SaveAt(ts=stops, t1=True), max_steps=max_steps, throw=False,
        )  # fmt: skip
        failed = moved & (solution.result != dfx.RESULTS.successful)
        ys = jnp.where(failed, y, solution.ys)  # where it failed they are infinite, and the next segment must not start there
        saved, final = ys[:-1][jnp.argsort(jnp.argsort(_held(inside)))], ys[-1]
        values = saved + jax.vmap(lambda t, x: _drift(field, t, x, inputs))(inside, saved)
        return final + _drift(field, end, final, inputs), (values, failed, jnp.where(moved, solution.stats["num_steps"], 0))

    rows = (jnp.arange(ev.jump.shape[0]), ev.edges[:-1], ev.edges[1:], ev.jump, ev.rate, ev.reset, ev.clear, jnp.moveaxis(q, 1, 0))
    _, (values, failed, steps) = jax.lax.scan(segment, y0, rows)
    y = jnp.take_along_axis(values, ev.segment[None, :, None], 0)[0]
    return y, jnp.any(failed), jnp.sum(steps)


_held = jax.lax.stop_gradient


def _drift(field: Any, t: Any, y: Any, inputs: Any) -> Any:
    """Zero, with the slope dy/dt in t: the solver sees held times, so ties of looks and events cannot split a gradient inside it."""
    return field(t, y, inputs) * (t - _held(t))


def make_periodic(solve: Solve, n: int, scale: Any, rtol: float):
    """Steady state of a train as the root of the one-period map: some periods as they come, then Newton's method; gradients by the implicit function.

    The last step, y - (I - J)^-1 (y - P(y)) with J held, has the value of the root and its exact slope.
    """
    size = jnp.asarray(scale)[:, None]

    def periodic(rhs: Rhs, train: Train, p: Any, q: Any) -> tuple[Any, Any]:
        lanes = train.period.shape[0]

        def at(y: Any, time: Any, train: Train, p: Any, q: Any) -> Any:
            table = jnp.broadcast_to(q[:, None], (q.shape[0], 2, lanes))
            return solve(rhs, train.events(time[None]), y, p, table, time[None]).y[0]

        fixed = _held((train, p, q))
        root, left, moved = _root(lambda y: at(y, fixed[0].period, *fixed), n, lanes, size, rtol)
        y = root - _solved(left, root - at(root, train.period, train, p, q))
        found = jnp.isfinite(y).all(0) & (moved < max(1e-6, 10.0 * rtol))
        return at(y, train.phase, train, p, q), jnp.where(found, int(Status.OK), int(Status.NO_STEADY_STATE))

    return periodic


def _root(one_period: Any, n: int, lanes: int, size: Any, rtol: float) -> tuple[Any, Any, Any]:
    """y = P(y) by at most 30 Newton steps after three periods; also I - P' there [L, n, n], and the last relative move [L]."""

    def newton(y: Any) -> tuple[Any, Any]:
        value, back = jax.vjp(one_period, y)
        rows = jax.lax.map(lambda i: back(jnp.zeros((n, lanes)).at[i].set(1.0))[0], jnp.arange(n))  # [n, n, L]
        left = jnp.eye(n) - jnp.moveaxis(rows, -1, 0)
        return y - _solved(left, y - value), left

    def step(carry: tuple) -> tuple:
        count, y, _, _ = carry
        new, left = newton(y)
        return count + 1, new, left, jnp.max(jnp.abs(new - y) / (size + jnp.abs(new)), 0)

    start = jax.lax.fori_loop(0, 3, lambda _, y: one_period(y), jnp.zeros((n, lanes)))
    first = (0, start, jnp.zeros((lanes, n, n)), jnp.full(lanes, jnp.inf))
    _, y, left, moved = jax.lax.while_loop(lambda c: (c[0] < 30) & jnp.any(c[3] > max(rtol, 1e-9)), step, first)
    return _held((y, left, moved))


def _solved(left: Any, right: Any) -> Any:
    return jnp.linalg.solve(left, right.T[..., None])[..., 0].T
