"""An independent reference for dosing events: a walker over a dose table with expm (linear) or SciPy's solve_ivp (nonlinear).

It shares no code with pkpd: doses are the table as written (an infusion runs until it ends or a reset cancels it), looks are (time, rank) pairs, and
everything at one time happens in the order of ranks. States are numpy vectors of one subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from scipy.linalg import expm

Move = Callable[[float, float, np.ndarray, np.ndarray], np.ndarray]  # (from, to, state, infusion rates) -> state


@dataclass(frozen=True)
class Given:
    """One line of a dose table, before anything is cancelled or cut."""

    time: float
    amount: float = 0.0
    into: str = ""
    duration: float = 0.0
    rank: float = 0.0
    kind: str = "dose"


def linear(matrix: Any, constant: Any = 0.0) -> Move:
    """y' = M y + c + u by the exponential of the augmented matrix."""
    m = np.asarray(matrix, float)
    n = len(m)

    def move(t0: float, t1: float, y: np.ndarray, u: np.ndarray) -> np.ndarray:
        big = np.zeros((n + 1, n + 1))
        big[:n, :n], big[:n, n] = m, np.broadcast_to(constant, n) + u
        return (expm(big * (t1 - t0)) @ np.append(y, 1.0))[:n]

    return move


def nonlinear(field: Callable[[float, np.ndarray], Any], method: str = "LSODA", rtol: float = 1e-12, atol: float = 1e-13) -> Move:
    """y' = field(t, y) + u by SciPy; `atol` scales with the largest entry of the state and of what flows in, so that units do not matter."""

    def move(t0: float, t1: float, y: np.ndarray, u: np.ndarray) -> np.ndarray:
        size = max(np.abs(y).max(), np.abs(u).max() * (t1 - t0), 1e-12)
        found = solve_ivp(lambda t, x: np.asarray(field(t, x)) + u, (t0, t1), y, method=method, rtol=rtol, atol=atol * size)
        assert found.success, found.message
        return found.y[:, -1]

    return move


def walk(
    move: Move, y0: Any, routes: Mapping[str, Sequence[float]], doses: Sequence[Given], looks: Sequence[tuple[float, float]]
) -> np.ndarray:
    """The state at every look [looks, n]: `routes[into]` is the share of a dose that each state takes."""
    start = np.asarray(y0, float)
    stops = [(d.time, d.rank, 0, d) for d in doses] + [(t, r, 1, i) for i, (t, r) in enumerate(looks)]
    stops.sort(key=lambda s: s[:3])
    y, now, running, seen = start.copy(), stops[0][0], [], np.full((len(looks), len(start)), np.nan)
    for time, _, look, what in stops:
        y, now = _advance(move, y, now, time, running), time
        if look:
            seen[what] = y
            continue
        if what.kind in ("reset", "reset_dose"):
            y, running = start.copy(), []
        if what.kind in ("dose", "reset_dose"):
            share = np.asarray(routes[what.into], float) * what.amount
            if what.duration > 0:
                running = [*running, (time + what.duration, share / what.duration)]
            else:
                y = y + share
    return seen


def _advance(move: Move, y: np.ndarray, now: float, until: float, running: list[tuple[float, np.ndarray]]) -> np.ndarray:
    while now < until:
        stop = min([until, *(end for end, _ in running if end > now)])
        u = sum((rate for end, rate in running if end > now), np.zeros_like(y))
        y, now = move(now, stop, y, u), stop
    return y


# What pkpd reads: the same doses and looks as the long tables of a cohort.


def cohort(
    doses: Sequence[Sequence[Given]],
    looks: Sequence[Sequence[tuple[float, float]]],
    observable: str,
    covariates: Mapping[str, Any] | None = None,
) -> Any:
    """A stand-in for a Cohort: one list of doses and of looks for each subject; infusions are cut by resets here, as the data floor does."""
    lines = [(b, d.time, d.rank, d.kind, d.into, *_cut(d, given)) for b, given in enumerate(doses) for d in given]
    table = pd.DataFrame(lines, columns=["subject", "time", "rank", "kind", "target", "amount", "duration"])
    rows = [(b, t, r, observable) for b, mine in enumerate(looks) for t, r in mine]
    observations = pd.DataFrame(rows, columns=["subject", "time", "rank", "observable"])
    n = len(doses)
    carried = pd.DataFrame(dict(covariates or {}), index=range(n))
    return SimpleNamespace(name="oracle", subjects=tuple(map(str, range(n))), doses=table, observations=observations, covariates=carried)


def _cut(d: Given, given: Sequence[Given]) -> tuple[float, float]:
    later = [x.time for x in given if x.kind != "dose" and (x.time, x.rank) > (d.time, d.rank)]
    if d.duration == 0 or not later or d.time + d.duration <= min(later):
        return d.amount, d.duration
    left = min(later) - d.time
    return d.amount * left / d.duration, left


def slope(f: Callable[[float], Any], at: float, step: float = 1e-3) -> Any:
    """df/dx by central differences extrapolated once (error of order step^4, relative step)."""
    h = step * max(abs(at), 1e-3)
    wide, narrow = ((np.asarray(f(at + k)) - np.asarray(f(at - k))) / (2 * k) for k in (h, h / 2))
    return (4 * narrow - wide) / 3
