"""Theophylline (fits/theophylline.py): one gradient of its posterior in closed form beside plain diffrax, in the sampler's loop and by a call from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.inference.space import Space
from pkpd.solve import Solution
from tests.benchmarks.accuracy import Way, best
from tests.benchmarks.peers import PEERS, WAYS, with_solve
from tests.benchmarks.posterior import density, fit_problem, point, with_tolerance
from tests.benchmarks.table import Row, row
from tests.benchmarks.timing import repeated, together

LOOP, LEVEL = 1000, 1e-6
AT = {"ka": 1.5, "CL": 2.8, "V": 32.0, "omega_ka": 0.6, "omega_CL": 0.25, "omega_V": 0.15, "sigma_cp": 0.7}


def given() -> tuple[Any, dict[str, Any], np.ndarray]:
    """(problem, weights, z): centred, near the posterior's middle."""
    problem = fit_problem("theophylline")
    weights = Space(problem).full_weights
    return problem, weights, point(problem, AT, weights)


def unsolved(scale: Any) -> Callable[..., Solution]:
    """In the place of a solver: every state is the first parameter."""

    def solve(rhs: Any, events: Any, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        fine = jnp.zeros(y0.shape[1], int)
        return Solution(jnp.broadcast_to(p[0], (times.shape[0], *y0.shape)), fine, fine)

    return solve


def rows(say: Callable[[str], None]) -> Iterator[Row]:
    problem, weights, z = given()
    value_and_grad = jax.value_and_grad(density(problem, weights))
    called = jax.jit(value_and_grad)
    exact = np.asarray(called(z)[1])
    ours = {"": repeated(value_and_grad, z, LOOP), "called": lambda: jax.block_until_ready(called(z))}
    peers = {name: Way(name, with_tolerance(problem, make, method, weights, 1024), z) for name, (method, make) in WAYS.items()}
    for name, way in peers.items():
        way.compile()
        way.try_all(exact)
        say(f"{name}: compiled in {way.compile_seconds:.1f} s; " + "; ".join(f"{r:.0e}: {t.error:.0e}" for r, t in way.tried.items()))
    chosen = {name: way.loosest(LEVEL) or min(way.tried) for name, way in peers.items()}
    ours["none"] = repeated(jax.value_and_grad(density(with_solve(problem, unsolved), weights)), z, LOOP)
    times = together(ours | {name: way.run(chosen[name]) for name, way in peers.items()})
    work = "theophylline posterior, gradient in a loop"
    yield row(work, "the same without a solve (floor)", times[""].cpu / LOOP, times["none"].cpu / LOOP, "us CPU a gradient")
    for peer in PEERS:
        fast = best({name: times[name].cpu for name in peers if name.startswith(peer)})
        notes = f"{problem.predictor.chosen.name}, called from Python {1e6 * times['called'].cpu:.0f} us; {fast}: {peers[fast].said(chosen[fast])}"
        yield row(work, peer, times[""].cpu / LOOP, times[fast].cpu, "us CPU a gradient", None, notes)
