"""SIM10K: 10,000 virtual patients, two compartments, an oral dose a day for a week, looked at every hour: 169 records each, on one core.

Timed as a user meets it (`pkpd.simulate.design` and its predictor) and as the bare solve; the first call of each, which compiles, is in the notes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp

from pkpd import Solver, bolus
from pkpd.models.classic import two_compartment_oral
from pkpd.simulate import Design, design
from pkpd.solve.native import build
from tests.benchmarks.table import Row, row
from tests.benchmarks.timing import alone, first

N, FEW, RTOL, DOSE = 10_000, 100, 1e-6, 100.0
TIMES = np.arange(0.0, 169.0)
NAMES = ("ka", "CL", "V1", "Q", "V2")
EARLIER = {"closed form": ("mrgsolve, analytic", 0.94), "ODE": ("mrgsolve, ODE", 3.03)}
METHODS = {"closed form": ("auto",), "ODE": ("native_tsit5", "tsit5_batched") if build.why_not() is None else ("tsit5_batched",)}


def parameters(n: int) -> dict[str, np.ndarray]:
    """Typical values with 30 % between patients, a fixed seed."""
    rng = np.random.default_rng(1)
    return {name: value * np.exp(0.3 * rng.normal(size=N))[:n] for name, value in two_compartment_oral.typical.items()}


def trial(method: str, n: int = N) -> Design:
    week = bolus((DOSE, "mg"), into="oral").every((24, "h"), times=7)
    solver = Solver(method=method, rtol=RTOL, atol=RTOL)
    return design(two_compartment_oral, week, TIMES, pd.DataFrame(index=range(n)), "week", solver=solver)


def bare(arm: Design, theta: dict[str, Any]) -> Callable[[], Any]:
    """The solver alone on the arrays of the contract, as the predictor would hand them over."""
    bound = arm.predictor
    p, layout = jnp.stack([jnp.asarray(theta[n]) for n in bound.model.param_names]), bound.doses.layout(bound.named(theta))
    events, _ = bound._events(layout, bound.named(theta), p)
    q, y0 = jnp.zeros((0, events.edges.shape[0] - 1, p.shape[1])), jnp.zeros((len(bound.model.states), p.shape[1]))
    run = jax.jit(lambda p: bound.chosen.solve(bound.rhs, events, y0, p, q, jnp.asarray(bound.plan.look_time)).y)
    return lambda: jax.block_until_ready(run(p))


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    theta = {n: jnp.asarray(v) for n, v in parameters(N).items()}
    exact = np.asarray(jax.jit(lambda theta: trial("closed_form").predictor.observables(theta)[0])(theta))[:, 0]
    peers = {f"SciPy LSODA ({FEW} patients, scaled)": by_scipy(parameters(FEW)), "diffrax Tsit5": by_diffrax(theta)}
    errors = {name: apart(found, exact) for name, (found, _) in peers.items()}
    for name, (_, seconds) in peers.items():
        say(f"{name}: {seconds:.2f} s, error {errors[name]:.0e} of the peak")
    for kind, methods in METHODS.items():
        for method in methods:
            yield from one(kind, method, theta, exact, {f"{n}, error {errors[n]:.0e}": t for n, (_, t) in peers.items()})


def apart(found: Any, exact: np.ndarray) -> float:
    return float(np.abs(np.asarray(found) - exact[:, : found.shape[1]]).max() / exact.max())


def one(kind: str, method: str, theta: dict[str, Any], exact: np.ndarray, peers: dict[str, float]) -> Iterator[Row]:
    start = time.perf_counter()
    arm = trial(method)
    made = time.perf_counter() - start
    predict = jax.jit(lambda theta: arm.predictor.observables(theta)[0])
    run = lambda: jax.block_until_ready(predict(theta))  # noqa: E731
    compiled = first(run)
    whole, solve, error = alone(run), alone(bare(arm, theta)), apart(run()[:, 0], exact)
    notes = (
        f"design laid out in {made:.2f} s, first call {compiled:.1f} s, solve alone {solve.cpu:.3g} s CPU; error {error:.0e} of the peak"
    )
    work, (earlier, figure) = f"10,000 patients x 169 records, {arm.predictor.chosen.name}", EARLIER[kind]
    yield row(work, f"{earlier} (figure of an earlier run on another machine)", whole.cpu, figure, "s CPU", None, notes)
    for peer, seconds in peers.items():
        yield row(work, peer, whole.cpu, seconds, "s CPU", None, notes)


def by_scipy(theta: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Concentrations [times, patients] and CPU seconds for N of them; dose by dose."""
    found, start = np.empty((len(TIMES), FEW)), time.process_time()
    for i in range(FEW):
        ka, cl, v1, flow, v2 = (float(theta[n][i]) for n in NAMES)
        field = lambda t, y, p=(ka, cl, v1, flow, v2): rates(y, p)  # noqa: E731
        y = np.zeros(3)
        for day in range(7):
            y, hours = y + np.array([DOSE, 0.0, 0.0]), TIMES[24 * day : 24 * day + 25]
            path = solve_ivp(field, (hours[0], hours[-1]), y, "LSODA", rtol=RTOL, atol=RTOL, t_eval=hours).y
            found[24 * day : 24 * day + 25, i], y = path[1] / v1, path[:, -1]
    return found, (time.process_time() - start) * N / FEW


def rates(y: Any, p: Any) -> list[Any]:
    ka, cl, v1, flow, v2 = p
    out, back = flow / v1 * y[1], flow / v2 * y[2]
    return [-ka * y[0], ka * y[0] - cl / v1 * y[1] - out + back, out - back]


def by_diffrax(theta: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Concentrations [times, N] and CPU seconds: a day at a time, looks by interpolation, a thousand patients side by side (faster than all)."""

    def patient(p: Any) -> Any:
        def day(y: Any, start: Any) -> tuple[Any, Any]:
            found = dfx.diffeqsolve(
                dfx.ODETerm(lambda t, y, p: jnp.stack(rates(y, p))), dfx.Tsit5(), start, start + 24.0, None, y.at[0].add(DOSE), p,
                saveat=dfx.SaveAt(ts=start + jnp.arange(1.0, 25.0)), stepsize_controller=dfx.PIDController(rtol=RTOL, atol=RTOL), throw=False,
            )  # fmt: skip
            return found.ys[-1], found.ys[:, 1] / p[2]

        return jnp.append(0.0, jax.lax.scan(day, jnp.zeros(3), 24.0 * jnp.arange(7))[1])

    many = jax.jit(lambda table: jax.lax.map(patient, table, batch_size=1000))
    table = jnp.stack([theta[n] for n in NAMES], -1)
    return np.asarray(many(table)).T, alone(lambda: jax.block_until_ready(many(table))).cpu
