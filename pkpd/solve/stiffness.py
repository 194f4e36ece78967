"""How stiff a system is at typical values, measured: the fastest mode along the typical course, and the steps to which it holds an explicit method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.solve.contract import Rhs

STABLE = 3.3  # an explicit method of order 5 with six stages is stable up to about h |lambda| = 3.3 on the negative real axis (Hairer & Wanner II, IV.2)
POINTS = 24  # along a subject's course, crowded where events are


MOST = 3.0  # steps of that length between two events, up to which an explicit method is used


@dataclass(frozen=True)
class Stiffness:
    """`fastest` mode (1/h) met at typical values, and the `steps` to which stability holds an explicit method between two events (the most of them).

    Where stability, not accuracy, sets the steps of an explicit method, its values are right and its slopes are not to be trusted: on the border a step
    may enlarge a small disturbance; in the values the step control sees and mends that, in the slopes nobody does. On the flagship, one draw in eight
    of the posterior had a gradient off by 1 % and some by factors of 1e7 (rtol 1e-6), with values right to 1e-6. An L-stable method has no such border.
    """

    fastest: float
    steps: float

    @property
    def stiff(self) -> bool:
        return not self.steps <= MOST

    @property
    def sentence(self) -> str:
        """What was found, and what follows from it."""
        if not np.isfinite(self.steps):
            return "taken as stiff: its fastest mode at typical values is not known"
        verdict = "stiff" if self.stiff else "not stiff"
        return f"{verdict} at typical values: fastest mode {self.fastest:.3g}/h, which holds an explicit method to {self.steps:.3g} steps between two events"


def measure(rhs: Rhs, edges: Any, jump: Any, rate: Any, y0: Any, p: Any, q: Any) -> Stiffness:
    """Along the course of one subject (edges[E+1], jump[E, n], rate[E, n], parameters p[k], covariates q[j]), roughly integrated.

    The course is followed by linearly implicit Euler steps that grow from each event; the modes are the eigenvalues of the Jacobian at each.
    """
    y, inputs = jnp.asarray(y0, float), (list(map(float, p)), list(map(float, q)))

    @jax.jit
    def at(t: Any, y: Any, r: Any) -> tuple[Any, Any]:
        field = lambda y: jnp.stack([jnp.asarray(x, float) for x in rhs(t, list(y), *inputs, list(r))])  # noqa: E731
        return field(y), jax.jacfwd(field)(y)

    y, fastest, most = np.asarray(y), 0.0, 0.0
    for begin, end, dose, flow in zip(edges[:-1], edges[1:], jump, rate, strict=True):
        y, steps = y + dose, 0.0
        for t, h in _steps(float(begin), float(end)):
            f, slope = (np.asarray(x) for x in at(t, y, flow))
            if not (np.all(np.isfinite(f)) and np.all(np.isfinite(slope))):
                return Stiffness(np.inf, np.inf)
            mode = float(np.max(np.abs(np.linalg.eigvals(slope)), initial=0.0))
            fastest, steps = max(fastest, mode), steps + mode * h / STABLE
            y = y + h * np.linalg.solve(np.eye(len(y)) - h * slope, f)
        most = max(most, steps)
    return Stiffness(fastest, most)


def _steps(begin: float, end: float) -> list[tuple[float, float]]:
    """(time, length) of steps that begin small after an event."""
    if end <= begin:
        return []
    cuts = begin + (end - begin) * np.linspace(0.0, 1.0, POINTS + 1) ** 3
    return [(float(t), float(h)) for t, h in zip(cuts[:-1], np.diff(cuts), strict=True)]
