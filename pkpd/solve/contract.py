"""The contract under every solver: one call integrates a cohort, subject lanes last, differentiable, and never throws inside jit."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

Rhs = Callable[[Any, Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]], list[Any]]


class Status(enum.IntEnum):
    """How the integration of one subject ended; `sentence` says it in words."""

    OK = 0
    STEPS_EXHAUSTED = 1
    NOT_FINITE = 2
    MESH_TOO_COARSE = 3
    NO_STEADY_STATE = 4
    BAD_DOSE = 5
    LAG_BEYOND_INTERVAL = 6
    OVERLAP = 7
    CROSSED = 8

    @property
    def sentence(self) -> str:
        return {
            0: "solved",
            1: "the step limit was reached before the last time: the equations are stiffer or faster here than the limit allows",
            2: "a state became infinite or not a number",
            3: "the fixed mesh is too coarse for these rates: the estimated error exceeds the tolerance",
            4: "a dose at steady state was asked for, but the system has no steady state under that dosing: a state keeps growing",
            5: "a lag is negative, a bioavailability is negative, or a modelled rate or duration is not above zero",
            6: "the lag of a dose at steady state is longer than its interval II: programs disagree on what that means",
            7: "more infusions of a steady-state train overlap than typical values left room for",
            8: "a dose moved across a reset or a steady-state record, which makes the likelihood jump",
        }[int(self)]


class Events(NamedTuple):
    """Segments of every subject: `edges[E+1, B]`; at the start of segment e the state goes back to its initial value where `reset[E, B]` is 1 and to
    nothing where `clear[E, B]` is 1, then `jump[E, n, B]` is added; `rate[E, n, B]` flows in until the next edge. Observation m is read in segment
    `segment[M, B]` (integers).
    """

    edges: Any
    jump: Any
    rate: Any
    reset: Any
    segment: Any
    clear: Any = 0.0

    def starts(self, y: Any, y0: Any) -> Any:
        """The state after what happens at the start of one segment (`self` sliced to it)."""
        return y * (1.0 - self.reset - self.clear) + y0 * self.reset + self.jump

    def whole(self) -> Events:
        """With `clear` as a table like the others, so that all have subjects last."""
        return self._replace(clear=jnp.broadcast_to(self.clear, jnp.shape(self.reset)))


class Train(NamedTuple):
    """A dose repeated for ever: `jump[n, L]` each `period[L]` (h), or `rate[n, L]` for `duration[L]` from then on; read `phase[L]` h after a dose."""

    jump: Any
    rate: Any
    duration: Any
    period: Any
    phase: Any

    def split(self) -> tuple[Any, Any]:
        """(whole, rest): `whole` infusions run all the time, one more during the first `rest` hours of each period."""
        whole = jax.lax.stop_gradient(jnp.maximum(jnp.ceil(self.duration / self.period) - 1.0, 0.0))
        return whole, self.duration - whole * self.period

    def events(self, until: Any) -> Events:
        """One period as two segments on [0, rest] and [rest, period], read at `until[1, L]`."""
        whole, rest = self.split()
        edges = jnp.stack([jnp.zeros_like(rest), rest, self.period])
        rate = jnp.stack([self.rate * (whole + 1.0), self.rate * whole])
        jump = jnp.stack([self.jump, jnp.zeros_like(self.jump)])
        return Events(edges, jump, rate, jnp.zeros_like(edges[:2]), jnp.where(until > rest, 1, 0), jnp.zeros_like(edges[:2]))


class Solution(NamedTuple):
    """`y[M, n, B]` at the observation times (NaN, with NaN gradient, for a failed subject), `status[B]` and `steps[B]`."""

    y: Any
    status: Any
    steps: Any


class Periodic(Protocol):
    """The state `y[n, L]` a train's `phase` after a dose once it has gone on for ever, and `status[L]`; p[k, L], q[j, L]."""

    def __call__(self, rhs: Rhs, train: Train, p: Any, q: Any) -> tuple[Any, Any]: ...


class Solve(Protocol):
    """y0[n, B], p[k, B], q[j, E, B], times[M, B] -> Solution; differentiable in p, q, y0, and in edges, jumps, rates and times."""

    def __call__(self, rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution: ...


def finish(y: Any, status: Any, steps: Any) -> Solution:
    """Turn failures into NaN in value *and* gradient: multiplying by NaN poisons the cotangent, which `where` alone would not."""
    finite = jnp.all(jnp.isfinite(y), axis=(0, 1))
    status = jnp.where((status == Status.OK) & ~finite, int(Status.NOT_FINITE), status)
    poison = jnp.where(status == Status.OK, 1.0, jnp.nan)
    return Solution(y * poison, status, steps)
