"""The flagship fit (fits/carm_blood_il6.py): one gradient of its whole posterior, beside diffrax at least as accurate, on one core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pkpd import FitProblem, Solver
from pkpd.inference.space import Space
from pkpd.solve.batched import make_batched
from pkpd.solve.native import available, make_native
from tests.benchmarks.accuracy import Way
from tests.benchmarks.peers import WAYS
from tests.benchmarks.posterior import as_it_is, fit_problem, point, with_tolerance
from tests.benchmarks.table import Row, row, skipped
from tests.benchmarks.timing import Run, together

CHOSEN, EXACT, ENOUGH = 1e-4, 1e-10, 1e-6  # the tolerance where ours has one, that of a fit
FASTER = {"diffrax Tsit5": "diffrax Tsit5, one solve", "diffrax Kvaerno5": "diffrax Kvaerno5, by segments"}


def ours(problem: FitProblem, z: Any, weights: Any) -> dict[str, Way]:
    found = {f"the fit's own solver ({problem.predictor.chosen.name})": as_it_is(problem, weights, "own", z)}
    auto = replace(problem, solver=Solver())
    found[f"Solver() ({auto.predictor.chosen.name})"] = as_it_is(auto, weights, "auto", z)
    found["rosenbrock"] = Way("rosenbrock", with_tolerance(problem, make_batched, "rodas5p", weights), z)
    bound = problem.predictor
    if available(bound.rhs, (len(problem.model.states), len(problem.model.params), len(problem.model.covariates)), "rodas4") is None:
        one = with_tolerance(problem, partial(make_native, threads=1), "rodas4", weights)
        found["native_rodas4"] = Way("native_rodas4", one, z, traced=False)
    return found


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    problem = fit_problem("carm_blood_il6")
    weights = Space(problem).full_weights
    z = point(problem, problem.truth, weights)
    mine = ours(problem, z, weights)
    mine["rosenbrock"].compile()
    exact = mine["rosenbrock"].gradient(EXACT)
    for name, way in mine.items():
        way.compile()
        way.try_all(exact, (CHOSEN,))
        say(f"{name}: error {way.tried[CHOSEN].error:.1e}")
    peers = {name: Way(name, with_tolerance(problem, WAYS[way][1], WAYS[way][0], weights), z) for name, way in FASTER.items()}
    for name, way in peers.items():
        way.compile()
        way.try_all(exact)
        say(f"{name}: compiled in {way.compile_seconds:.1f} s; " + "; ".join(f"{r:.0e}: {t.error:.0e}" for r, t in way.tried.items()))
    yield from compared(mine, peers)


def compared(mine: dict[str, Way], peers: dict[str, Way]) -> Iterator[Row]:
    for name, way in mine.items():
        level = max(way.tried[CHOSEN].error, ENOUGH)  # who is more accurate than this asks no more of the peer
        runs: dict[str, Run] = {name: way.run(CHOSEN)}
        rtols = {peer: other.loosest(level) for peer, other in peers.items()}
        runs |= {peer: peers[peer].run(rtol) for peer, rtol in rtols.items() if rtol is not None}
        times = together(runs, 1.0, 3)
        for peer, rtol in rtols.items():
            work = f"flagship posterior, gradient, {name}"
            if rtol is None:
                yield skipped(work, f"no tolerance of {peer} is as accurate (error {level:.1e})")
                continue
            errors = f"errors {way.tried[CHOSEN].error:.1e} and {peers[peer].tried[rtol].error:.1e} (rtol {rtol:.0e})"
            notes = f"{errors}; compiled in {way.compile_seconds:.0f} and {peers[peer].compile_seconds:.0f} s"
            yield row(work, peer, times[name].cpu, times[peer].cpu, "ms CPU a gradient", None, notes)
