"""Native code with two threads of XLA's pool against one, by the wall clock: it means something on idle cores only, so the load stands beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import jax
import numpy as np

from pkpd.solve.native import available, make_native
from tests.benchmarks import floor
from tests.benchmarks.problem_c import STATES, objective, problem, rates
from tests.benchmarks.table import Row, row, skipped
from tests.benchmarks.timing import Run, together

CORES = "all"
RTOL, STEPS = 1e-4, 4096


def gradient(method: str, subjects: int, threads: int) -> Run:
    given = problem(subjects)
    solve = make_native(method, RTOL, np.full(len(STATES), RTOL * 1e-2), STEPS, threads)
    run = jax.jit(jax.value_and_grad(lambda p: objective(solve(rates, given.events, given.y0, p, given.q, given.times).y)))
    return lambda: jax.block_until_ready(run(given.p))


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    best = None
    for method, subjects, target in (("rodas4", 18, None), ("tsit5", 18, None), ("rodas4", 144, 1.7), ("tsit5", 144, 1.7)):
        work = f"problem C with {subjects} subjects, native_{method}, two threads"
        if (os.cpu_count() or 1) < 2 or available(rates, (len(STATES), 12, 0), method):
            yield skipped(work, "one core, or no C++ compiler")
            continue
        best = best or floor.two_cores()
        say(f"{method}, {subjects} subjects; two copies of bare arithmetic run {best:.2f} times as fast as one")
        times = together({str(n): gradient(method, subjects, n) for n in (1, 2)}, seconds=3.0, rounds=10)
        notes = f"two copies of bare arithmetic at once: {best:.2f} x; CPU {1e3 * times['2'].cpu:.3g} and {1e3 * times['1'].cpu:.3g} ms"
        yield row(work, "one thread", times["2"].wall, times["1"].wall, "ms wall a gradient", target, notes)
