"""The contract under every solver: one call integrates a cohort, subject lanes last, differentiable, and never throws inside jit."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp

Rhs = Callable[[Any, Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]], list[Any]]


class Status(enum.IntEnum):
    """How the integration of one subject ended; `sentence` says it in words."""

    OK = 0
    STEPS_EXHAUSTED = 1
    NOT_FINITE = 2
    MESH_TOO_COARSE = 3

    @property
    def sentence(self) -> str:
        return {
            0: "solved",
            1: "the step limit was reached before the last time: the equations are stiffer or faster here than the limit allows",
            2: "a state became infinite or not a number",
            3: "the fixed mesh is too coarse for these rates: the estimated error exceeds the tolerance",
        }[int(self)]


class Events(NamedTuple):
    """Segments of every subject: `edges[E+1, B]`; at the start of segment e the state is reset where `reset[E, B]` is 1, then `jump[E, n, B]` is
    added; `rate[E, n, B]` flows in until the next edge. Observation m is read in segment `segment[M, B]` (static integers).
    """

    edges: Any
    jump: Any
    rate: Any
    reset: Any
    segment: Any


class Solution(NamedTuple):
    """`y[M, n, B]` at the observation times (NaN, with NaN gradient, for a failed subject), `status[B]` and `steps[B]`."""

    y: Any
    status: Any
    steps: Any


class Solve(Protocol):
    """y0[n, B], p[k, B], q[j, E, B], times[M, B] -> Solution; differentiable in p, q, y0, and in edges, jumps, rates and times."""

    def __call__(self, rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution: ...


def finish(y: Any, status: Any, steps: Any) -> Solution:
    """Turn failures into NaN in value *and* gradient: multiplying by NaN poisons the cotangent, which `where` alone would not."""
    finite = jnp.all(jnp.isfinite(y), axis=(0, 1))
    status = jnp.where((status == Status.OK) & ~finite, int(Status.NOT_FINITE), status)
    poison = jnp.where(status == Status.OK, 1.0, jnp.nan)
    return Solution(y * poison, status, steps)
