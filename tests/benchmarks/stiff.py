"""Stiff systems: one value and gradient of eight subjects beside diffrax Kvaerno5 at the same tolerances, on one core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from pkpd.solve.batched import make_batched
from pkpd.solve.general import make_diffrax
from pkpd.solve.native import build, make_native
from tests.benchmarks.accuracy import Way
from tests.benchmarks.stiff_problems import NAMES, Problem, problem
from tests.benchmarks.table import Row, row, skipped
from tests.benchmarks.timing import together

RTOL, EXACT, STEPS = 1e-6, 1e-9, 8192
OURS = {"rosenbrock": (make_batched, "rodas5p", True), "native_rodas4": (partial(make_native, threads=1), "rodas4", False)}

# Behind a jump of the oscillator no solver here controls the error of the slope (at rtol 1e-6 it is 20 %, that of the value 2e-7): looks before it.
LOOKS = {"van der Pol": 4}


def solved(given: Problem, make: Callable[..., Any], method: str, p: Any, rtol: Any) -> Any:
    """(total of the states at the looks, each relative to its size, (status, steps)) under the logarithms of the parameters."""
    found = make(method, rtol, given.scale * (1e-2 * rtol), STEPS)(given.rates, given.events, given.y0, jnp.exp(p), given.q, given.times)
    return jnp.sum(found.y[: LOOKS.get(given.name)] / given.scale[:, None]), (found.status, found.steps)


def ways(given: Problem) -> dict[str, Way]:
    """Ours, and Kvaerno5 stepping onto every look: the gradient of one plain `diffeqsolve` throws on Robertson's problem."""
    every = OURS | {"kvaerno5": (make_diffrax, "kvaerno5", True)}
    chosen = {name: way for name, way in every.items() if not name.startswith("native") or build.why_not() is None}
    return {
        name: Way(name, partial(solved, given, make, method), np.log(given.p), traced) for name, (make, method, traced) in chosen.items()
    }


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    for name in NAMES:
        given = problem(name)
        every = ways(given)
        every["rosenbrock"].compile()
        exact = every["rosenbrock"].gradient(EXACT)
        for way in every.values():
            way.compile(RTOL)
            way.try_all(exact, (RTOL,))
        say(f"{given.name}: " + ", ".join(f"{n} {w.said(RTOL)}, compiled in {w.compile_seconds:.1f} s" for n, w in every.items()))
        yield from compared(given, every)


def compared(given: Problem, every: dict[str, Way]) -> Iterator[Row]:
    runs = {name: way.run(RTOL) for name, way in every.items() if way.tried[RTOL].failed == 0}
    times = together(runs, seconds=1.5)
    for name in (n for n in every if n != "kvaerno5"):
        work = f"{given.name} ({len(given.scale)} states), gradient, {name}"
        if name not in runs or "kvaerno5" not in runs:
            yield skipped(
                work, f"{name if name not in runs else 'kvaerno5'} failed on {max(w.tried[RTOL].failed for w in every.values())} subjects"
            )
            continue
        notes = f"both at rtol 1e-6; {every[name].said(RTOL)}; Kvaerno5: {every['kvaerno5'].said(RTOL)}"
        yield row(work, "diffrax Kvaerno5", times[name].cpu, times["kvaerno5"].cpu, "ms CPU a gradient", 1.0, notes)
