"""A large cohort as quantile bands: 100,000 patients of problem C over 28 days, all ten states at 27 times, on all cores, by the wall clock.

The benchmark's equations as a model of the library, one hour standing for a day; every patient has its three infusions. The first call, which compiles
the solve in XLA (machine code is ready by then), is what a user waits for; memory is the most that the process held, JAX and all.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd import Component, Dose, Model, Observable, Param, Solver, State, infusion, stream_bands, sum_of
from pkpd.components import gain
from pkpd.simulate import design
from pkpd.simulate.bands import Bands
from pkpd.solve.native import available
from tests.benchmarks.problem_c import LOOKS, SPREAD, STATES, TYPICAL, rates
from tests.benchmarks.table import Row, row, skipped
from tests.benchmarks.timing import Time

CORES = "all"
TIMES = np.union1d(LOOKS, [0.75, 1.5, 4.5, 6.0, 8.0, 12.0, 17.0, 19.0, 24.0])  # 27 of them
N, FEW, RTOL, TARGET, CHECKED = 100_000, 1000, 1e-4, 8.0, (0.05, 0.5, 0.95)
START = {"il6": 1.0 + 0.3 / 1.1, "tnf": 1.0, "ifng": 1.0, "tumour_size": 1.0}
WEEK = sum_of(infusion((amount, "mg"), over=(0.02, "h"), into="blood").at((start, "h")) for start, amount in ((0, 3.0), (2, 3.0), (4, 4.0)))


class ProblemC(Model):
    """The rates as they are frozen: an infusion also stimulates, which no component can say."""

    def rhs(self, t: Any, y: Sequence[Any], p: Sequence[Any], q: Sequence[Any], r: Sequence[Any]) -> list[Any]:
        return rates(t, y, p, q, r)


def model() -> Model:
    body = Component(
        "patient",
        states=tuple(State(name, "mg", "of problem C", initial=START.get(name, 0.0)) for name in STATES),
        params=tuple(Param(name, value, "1", "of problem C", source="problem C") for name, value in TYPICAL.items()),
        rates=lambda t, y, p, s: gain("blood", 0.0),
        doses=Dose("blood", into="blood"),
    )
    size = Observable("size", "mg", lambda y, p, s: y.tumour_size, "tumour size")
    return ProblemC("problem_c", (body,), (size,))


def draw(key: Any, n: int) -> dict[str, Any]:
    spread = jnp.array(list(SPREAD.values()))[:, None] * jax.random.normal(key, (len(SPREAD), n))
    return {name: TYPICAL[name] * jnp.exp(x) for name, x in zip(SPREAD, spread, strict=True)}


def cohort(solver: Solver, n: int = N) -> Bands:
    return stream_bands(model(), WEEK, draw, times=TIMES, n_subjects=n, key=jax.random.key(2), names=STATES, solver=solver, progress=False)


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    for method in ("native_rodas4", "native_tsit5"):
        work = f"100,000 CAR-M patients x 28 days, 10 states at 27 times, streamed, {method}"
        refusal = available(model().rhs, (len(STATES), len(TYPICAL), 0), method.removeprefix("native_"))
        if refusal:
            yield skipped(work, refusal)
            continue
        solver = Solver(method=method, rtol=RTOL, atol=RTOL, threads=0)
        cohort(solver, FEW)  # compiles machine code, once for ever
        before = memory()
        took, bands = timed(lambda solver=solver: cohort(solver))
        say(f"{method}: {took.wall:.2f} s wall, {took.cpu:.2f} s CPU; {bands}")
        held = f"{memory():.2f} GB resident at most, {before:.2f} GB of them before"
        notes = f"{took.cpu:.3g} s CPU, first call in a process that has solved {FEW} patients; {held}; {bands.n_failed} failed; {apart(solver):.1e} off"
        yield row(work, "target of 8 s", took.wall, TARGET, "s wall", 1.0, notes)


def timed(run: Callable[[], Bands]) -> tuple[Time, Bands]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = run()
    return Time(time.process_time() - cpu, time.perf_counter() - wall), found


def memory() -> float:
    """The most this process has held so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def apart(solver: Solver) -> float:
    """The largest relative difference of bands from the quantiles of the same thousand patients in one table (of values above 1e-9)."""
    arm = design(model(), WEEK, TIMES, pd.DataFrame(index=range(FEW)), "at once", solver=solver).predictor
    theta = draw(jax.random.fold_in(jax.random.key(2), 0), FEW)
    exact = np.moveaxis(np.quantile(np.asarray(jax.jit(lambda theta: arm.solve(theta)[0].y)(theta)), CHECKED, axis=2), 2, 1)
    found = cohort(solver, FEW).quantile(CHECKED)
    return float(np.max(np.abs(found - exact)[np.abs(exact) > 1e-9] / np.abs(exact)[np.abs(exact) > 1e-9]))
