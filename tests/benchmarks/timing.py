"""How long a call takes: CPU time of the whole process over many calls, wall time beside it, and how busy the machine was.

XLA works on threads of its own pool, so the clock around one short call misses part of what it costs; over a batch of calls nothing is missed. Batches
of runs that are compared alternate, so that a neighbour's work falls on all of them, and the least of each counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

Run = Callable[[], Any]


class Time(NamedTuple):
    """Seconds a call: CPU of all threads of this process, and wall."""

    cpu: float
    wall: float


def batch(run: Run, calls: int) -> Time:
    """The mean over `calls` calls in a row."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        run()
    return Time((time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls)


def together(runs: Mapping[str, Run], seconds: float = 2.0, rounds: int = 4) -> dict[str, Time]:
    """About `seconds` of each run, in alternating batches after a first call that compiles; the least batch mean, CPU and wall apart."""
    for run in runs.values():
        run()
    calls = {name: max(1, round(seconds / rounds / max(batch(run, 2).wall, 1e-6))) for name, run in runs.items()}
    laps = [{name: batch(run, calls[name]) for name, run in runs.items()} for _ in range(rounds)]
    return {name: Time(min(lap[name].cpu for lap in laps), min(lap[name].wall for lap in laps)) for name in runs}


def alone(run: Run, seconds: float = 2.0) -> Time:
    return together({"": run}, seconds)[""]


def repeated(value_and_grad: Callable, z: Any, calls: int) -> Run:
    """`calls` gradients in one compiled loop, as a sampler makes them: each begins where the one before led, so none can be left out."""

    def step(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        at, total = carry
        value, slope = value_and_grad(at)
        return at - 1e-13 * slope, total + value

    many = jax.jit(lambda z: jax.lax.fori_loop(0, calls, step, (z, 0.0)))
    return lambda: jax.block_until_ready(many(z))


def first(run: Run) -> float:
    """Seconds of the first call, which compiles."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def load() -> str:
    """The load average of the last minute beside the number of processors."""
    return f"{os.getloadavg()[0]:.1f} of {os.cpu_count()}"
