"""Problem C: one value and gradient of 18 subjects in 12 parameters each, ours and diffrax at equal achieved accuracy, on one core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pkpd.solve.batched import make_batched
from pkpd.solve.native import available, make_native
from tests.benchmarks import floor
from tests.benchmarks.accuracy import Way, best
from tests.benchmarks.peers import PEERS, WAYS
from tests.benchmarks.problem_c import STATES, objective, problem, rates
from tests.benchmarks.table import Row, row, skipped
from tests.benchmarks.timing import Time, together

STEPS, LEVELS, EXACT = 4096, (1e-4, 1e-6), 1e-10
GIVEN = problem()
SIZES = (len(STATES), GIVEN.p.shape[0], 0)
TARGETS = {
    ("native_rodas4", "diffrax Tsit5"): 60.0,
    ("native_rodas4", "diffrax Kvaerno5"): 100.0,
    ("rosenbrock", "diffrax Tsit5"): 15.0,
}


def solved(make: Callable[..., Any], method: str, p: Any, rtol: Any) -> Any:
    """(value, (status, steps)); the absolute tolerance is a hundredth of the relative one, states being of the size of 1."""
    found = make(method, rtol, np.full(len(STATES), 1e-2) * rtol, STEPS)(rates, GIVEN.events, GIVEN.y0, p, GIVEN.q, GIVEN.times)
    return objective(found.y), (found.status, found.steps)


def ours() -> dict[str, Way]:
    ways = {"rosenbrock": Way("rosenbrock", partial(solved, make_batched, "rodas5p"), GIVEN.p)}
    ways["tsit5_batched"] = Way("tsit5_batched", partial(solved, make_batched, "tsit5"), GIVEN.p)
    for method in ("rodas4", "tsit5"):
        if available(rates, SIZES, method) is None:
            one = partial(solved, partial(make_native, threads=1), method)
            ways[f"native_{method}"] = Way(f"native_{method}", one, GIVEN.p, traced=False)
    return ways


def theirs() -> dict[str, Way]:
    return {name: Way(name, partial(solved, make, method), GIVEN.p) for name, (method, make) in WAYS.items()}


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    mine, peers = ours(), theirs()
    mine["rosenbrock"].compile()
    exact = mine["rosenbrock"].gradient(EXACT)
    for name, way in (mine | peers).items():
        way.compile()
        way.try_all(exact)
        say(f"{name}: compiled in {way.compile_seconds:.1f} s; " + "; ".join(f"{r:.0e}: {t.error:.0e}" for r, t in way.tried.items()))
    for level in LEVELS:
        yield from compared(mine, peers, level)
    yield from beside_the_floor(mine)


def compared(mine: dict[str, Way], peers: dict[str, Way], level: float) -> Iterator[Row]:
    """Each of ours against the faster way of each peer."""
    chosen = {name: way.loosest(level) for name, way in (mine | peers).items()}
    runs = {name: (mine | peers)[name].run(rtol) for name, rtol in chosen.items() if rtol is not None}
    times = together(runs)
    for peer in PEERS:
        other = {name: times[name].cpu for name in runs if name.startswith(peer)}
        for name, way in mine.items():
            work = f"problem C, gradient to {level:.0e}, {name}"
            if name not in runs or not other:
                yield skipped(work, "no tolerance reaches this accuracy")
                continue
            fast = best(other)
            notes = f"{described(way, chosen[name], times[name])}; {fast}: {described(peers[fast], chosen[fast], times[fast])}"
            yield row(work, peer, times[name].cpu, times[fast].cpu, "ms CPU a gradient", TARGETS.get((name, peer)), notes)


def described(way: Way, rtol: float | None, time: Time) -> str:
    return "" if rtol is None else f"{way.said(rtol)}, {1e3 * time.wall:.3g} ms wall, compiled in {way.compile_seconds:.0f} s"


def beside_the_floor(mine: dict[str, Way]) -> Iterator[Row]:
    work = "problem C, native_tsit5 beside the arithmetic floor"
    if "native_tsit5" not in mine:
        yield skipped(work, "no C++ compiler")
        return
    way = mine["native_tsit5"]
    step = floor.seconds_a_step()
    least = way.tried[1e-4].steps * GIVEN.p.shape[1] * step * (1.0 + floor.ADJOINT)
    taken = together({"": way.run(1e-4)})[""].cpu
    counted = f"{way.tried[1e-4].steps:.0f} steps x {GIVEN.p.shape[1]} subjects x {step * 1e9:.1f} ns x (1 + {floor.ADJOINT})"
    notes = f"{counted}; {floor.ADJOINT} forward steps for the adjoint of one is an estimate; an implicit method needs fewer steps"
    yield row(work, "floor of an explicit method", taken, least, "ms CPU a gradient", None, notes)
