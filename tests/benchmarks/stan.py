"""Stan beside us on the same posteriors: gradients of the log density as each side's sampler takes them, on one core.

Both sides loop: ours inside one compiled JAX loop, Stan's in C++ around the function its sampler calls. Log densities may differ by a constant only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from pkpd import FitProblem, Solver
from pkpd.solve.native import build
from tests.benchmarks import stan_build, theophylline, two_compartment
from tests.benchmarks.posterior import density, point
from tests.benchmarks.stan_build import Gradients, Unavailable
from tests.benchmarks.table import Row, row, skipped
from tests.benchmarks.timing import alone, repeated

TOLERANCE, POINTS, SECONDS = 1e-6, 4, 2.0
METHODS = {"closed form": 0, "ode_rk45": 1, "ode_bdf": 2, "matrix_exp": 3, "closed form row by row": 3}

EVERY = ("closed form", "ode_rk45", "ode_bdf", "matrix_exp")


class Ours(NamedTuple):
    """At the same points: -log density, its gradient, CPU seconds of one gradient in a loop and by a call, and how it was solved."""

    value: np.ndarray
    slope: np.ndarray
    seconds: float
    called: float
    how: str


def ours(problem: FitProblem, weights: Mapping[str, Any], points: np.ndarray, calls: int) -> Ours:
    value_and_grad = jax.value_and_grad(density(problem, weights))
    one = jax.jit(value_and_grad)
    found = [one(z) for z in points]
    seconds = alone(repeated(value_and_grad, points[-1], calls), SECONDS).cpu / calls
    called = alone(lambda: jax.block_until_ready(one(points[-1])), SECONDS).cpu
    how = f"{problem.predictor.chosen.name}"
    return Ours(np.array([float(v) for v, _ in found]), np.array([g for _, g in found]), seconds, called, how)


def around(z: np.ndarray) -> np.ndarray:
    """Points about one: the last is where time is taken."""
    return np.stack([z + 0.05 * np.random.default_rng(n).normal(size=z.shape) for n in range(POINTS - 1)] + [z])


def apart(slope: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(slope - exact).max() / np.abs(exact).max())


def agreement(mine: Ours, stan: Gradients) -> str:
    """How far log densities (but for a constant) and gradients are apart."""
    constant = mine.value + stan.value
    return f"log densities agree to {np.ptp(constant):.0e}, gradients to {apart(-stan.slope, mine.slope):.0e}"


def stan_data_of_theophylline(problem: FitProblem) -> dict[str, Any]:
    table = problem.cohort.observations.reset_index(drop=True)
    subject, times = table["subject"].to_numpy(int), table["time"].to_numpy(float)
    row_of = lambda keep, end: [int(np.flatnonzero((subject == i) & keep)[end]) + 1 for i in range(problem.cohort.n_subjects)]  # noqa: E731
    doses = problem.cohort.doses.set_index("subject")["amount"]
    spans = {"first": row_of(times >= 0, 0), "later": row_of(times > 0, 0), "last": row_of(times >= 0, -1)}
    rows = {"times": times.tolist(), "hours": times.tolist(), "cp": table["dv"].to_numpy(float).tolist()}
    dose = [float(doses[i]) for i in range(problem.cohort.n_subjects)]
    return {"subjects": problem.cohort.n_subjects, "rows": len(table), "dose": dose, **spans, **rows}


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    try:
        say("Stan's compiler and headers")
        programs = {name: stan_build.program(name) for name in ("theophylline", "two_compartment")}
    except Unavailable as reason:
        yield skipped("Stan", f"{reason}.")
        return
    yield from theophylline_rows(programs["theophylline"], say)
    yield from two_compartment_rows(programs["two_compartment"], say)


def theophylline_rows(program: Any, say: Callable[[str], None]) -> Iterator[Row]:
    problem, weights, z = theophylline.given()
    points, data = around(z), stan_data_of_theophylline(problem)
    mine = ours(problem, weights, points, 1000)
    say(f"ours: {1e6 * mine.seconds:.1f} us in a loop, {1e6 * mine.called:.1f} us called from Python")
    for method, target in (("closed form", 4.0), ("closed form row by row", 4.0), ("ode_rk45", 60.0), ("ode_bdf", None)):
        stan = stan_build.gradients(program, data | {"method": METHODS[method], "tolerance": TOLERANCE}, points, SECONDS)
        notes = f"{mine.how}; {agreement(mine, stan)}; ours called from Python {1e6 * mine.called:.1f} us"
        yield row("theophylline posterior, gradient", f"Stan, {method}", mine.seconds, stan.seconds, "us CPU a gradient", target, notes)


def two_compartment_rows(program: Any, say: Callable[[str], None]) -> Iterator[Row]:
    weights, data = two_compartment.WEIGHTS, two_compartment.for_stan()
    held = {f"omega_{n}": 0.3 for n in two_compartment.TRUTH} | {"sigma_cp": 0.15} | two_compartment.TRUTH
    points = around(point(two_compartment.problem(), held, weights))
    exact = ours(two_compartment.problem(), weights, points, 500)
    stan = {m: stan_build.gradients(program, data | {"method": METHODS[m], "tolerance": TOLERANCE}, points, SECONDS) for m in EVERY}
    for method in ("closed form", "matrix_exp"):
        notes = f"{exact.how}; {agreement(exact, stan[method])}; ours called from Python {1e6 * exact.called:.0f} us"
        work = "two compartments, exactly, gradient"
        yield row(work, f"Stan, {method}", exact.seconds, stan[method].seconds, "us CPU a gradient", None, notes)
    native = ("native_rodas4", "native_tsit5") if build.why_not() is None else ()
    for name in (*native, "rosenbrock"):
        scale = float(two_compartment.problem().predictor.scales().max())  # `atol` is relative to it, Stan's is not
        solver = Solver(method=name, rtol=TOLERANCE, atol=TOLERANCE / scale)
        mine = ours(two_compartment.by(solver), weights, points, 20)
        for method, target in (("ode_rk45", 10.0), ("ode_bdf", 20.0)):
            goal = target if name in native or not native else None
            errors = f"errors of the gradient {apart(mine.slope, exact.slope):.0e} and {apart(-stan[method].slope, exact.slope):.0e}"
            work = f"two compartments as an ODE, gradient, {name}"
            yield row(
                work, f"Stan, {method}", mine.seconds, stan[method].seconds, "ms CPU a gradient", goal, f"both at 1e-6, 1e-6; {errors}"
            )
