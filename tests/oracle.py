"""An independent reference for dosing events: a walker over a dose table with matrix exponentials (linear) or SciPy's solve_ivp (nonlinear).

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


def exponential(a: np.ndarray) -> np.ndarray:
    """exp(a) by Taylor's series of a / 2^s (norm below 1/4, 14 terms: 1e-20), squared s times.

    SciPy's expm says the same (a test compares them), but waits for BLAS threads: up to 100 times slower on a busy machine.
    """
    s = max(0, int(np.ceil(np.log2(max(np.abs(a).sum(0).max(), 1e-300) * 4))))
    term = total = np.eye(len(a))
    for k in range(1, 15):
        term = term @ a / (2.0**s * k)
        total = total + term
    for _ in range(s):
        total = total @ total
    return total


def linear(matrix: Any, constant: Any = 0.0) -> Move:
    """y' = M y + c + u by the exponential of the augmented matrix."""
    m = np.asarray(matrix, float)
    n = len(m)

    def move(t0: float, t1: float, y: np.ndarray, u: np.ndarray) -> np.ndarray:
        big = np.zeros((n + 1, n + 1))
        big[:n, :n], big[:n, n] = m, np.broadcast_to(constant, n) + u
        return (exponential(big * (t1 - t0)) @ np.append(y, 1.0))[:n]

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
    """A stand-in for a Cohort: one list of doses and of looks for each subject; nothing is cancelled or cut, as in one."""
    lines = [(b, d.time, d.rank, d.kind, d.into, d.amount, d.duration) for b, given in enumerate(doses) for d in given]
    table = pd.DataFrame(lines, columns=["subject", "time", "rank", "kind", "target", "amount", "duration"])
    rows = [(b, t, r, observable) for b, mine in enumerate(looks) for t, r in mine]
    observations = pd.DataFrame(rows, columns=["subject", "time", "rank", "observable"])
    n = len(doses)
    carried = pd.DataFrame(dict(covariates or {}), index=range(n))
    changing = pd.DataFrame({"subject": [], "time": [], "place": []})
    tables = {"doses": table, "observations": observations, "covariates": carried, "covariate_records": changing}
    return SimpleNamespace(name="oracle", subjects=tuple(map(str, range(n))), interpolation={}, ties="rows", units={}, notes=(), **tables)


def slope(f: Callable[[float], Any], at: float, step: float = 1e-3) -> Any:
    """df/dx by central differences extrapolated once (error of order step^4, relative step)."""
    h = step * max(abs(at), 1e-3)
    wide, narrow = ((np.asarray(f(at + k)) - np.asarray(f(at - k))) / (2 * k) for k in (h, h / 2))
    return (4 * narrow - wide) / 3


# Records as NONMEM reads them (USERS.md section 4): one subject's rows, followed one after another by matrix exponentials.


@dataclass(frozen=True)
class Record:
    """One row: NONMEM's words, `into` the number of a state, `dur` the DUR column, `duration` and `speed` what RATE = -2 and -1 take.

    `scales` says what F scales in an infusion of given RATE: its "duration" (NONMEM) or its "rate".
    """

    time: float
    evid: int = 0
    amt: float = 0.0
    rate: float = 0.0
    dur: float = 0.0
    addl: int = 0
    ii: float = 0.0
    ss: int = 0
    into: int = 0
    lag: float = 0.0
    f: float = 1.0
    duration: float = np.nan
    speed: float = np.nan
    scales: str = "duration"

    @property
    def form(self) -> tuple[float, float, float]:
        """(bolus, speed of an infusion, its length) after bioavailability."""
        given = self.f * self.amt
        if self.rate > 0 and self.scales == "rate":
            return 0.0, self.f * self.rate, self.amt / self.rate
        if self.rate > 0 or self.rate == -1:
            speed = self.rate if self.rate > 0 else self.speed
            return 0.0, speed, given / speed
        length = self.duration if self.rate == -2 else self.dur
        return (0.0, given / length, length) if length else (given, 0.0, 0.0)


@dataclass(frozen=True)
class System:
    """y' = M y + c, beginning (and beginning again at a reset) at `start`."""

    matrix: Any
    constant: Any = 0.0
    start: Any = 0.0

    @property
    def n(self) -> int:
        return len(self.matrix)

    @property
    def move(self) -> Move:
        return linear(self.matrix, self.constant)

    @property
    def begin(self) -> np.ndarray:
        return np.broadcast_to(np.asarray(self.start, float), self.n).copy()

    def unit(self, state: int) -> np.ndarray:
        return np.eye(self.n)[state]


def solved(system: System, r: Record) -> np.ndarray:
    """The steady state II - lag after a dose of an endless train, by the fixed point of one period: y = Phi (y + bolus) + infused."""
    bolus, speed, length = r.form
    b, u, move, zero = bolus * system.unit(r.into), speed * system.unit(r.into), system.move, np.zeros(system.n)
    whole, rest = divmod(length, r.ii)
    running = lambda y, t: move(min(t, rest), t, move(0.0, min(t, rest), y, (whole + 1) * u), whole * u)  # noqa: E731
    phi = np.stack([move(0.0, r.ii, e, zero) - move(0.0, r.ii, zero, zero) for e in np.eye(system.n)], 1)
    if np.linalg.cond(np.eye(system.n) - phi) > 1e13:
        raise ValueError("no steady state")
    before = np.linalg.solve(np.eye(system.n) - phi, running(b, r.ii))
    return running(before + b, r.ii - r.lag)


def run_in(system: System, r: Record) -> np.ndarray:
    """The same by so many doses, one after another, that what the first left has decayed by exp(-40)."""
    bolus, speed, length = r.form
    slowest = -np.linalg.eigvals(np.asarray(system.matrix, float)).real.max()
    n = int(np.ceil((40 / slowest + length) / r.ii)) + 1
    doses = [Given(k * r.ii, bolus + speed * length, "it", length, rank=0.0) for k in range(n)]
    return walk(system.move, np.zeros(system.n), {"it": system.unit(r.into)}, doses, [((n - 1) * r.ii + (r.ii - r.lag), 1.0)])[0]


def follow(
    records: Sequence[Record],
    systems: System | Sequence[System],
    steady: Callable[[System, Record], np.ndarray] = solved,
    approach: Sequence[System] | None = None,
) -> np.ndarray:
    """The state after every record [records, n].

    With a system for each record, that of the record being approached holds until it (NOCB), or else the one in `approach` (LOCF: that of the record
    before); steady states and resets are always those of the record's own system.
    """
    each = [systems] * len(records) if isinstance(systems, System) else list(systems)
    subject = _Subject(each[0].begin, records[0].time, steady)
    return np.stack([subject.meet(r, own, until) for r, own, until in zip(records, each, approach or each, strict=True)])


@dataclass
class _Subject:
    y: np.ndarray
    now: float
    steady: Callable[[System, Record], np.ndarray]

    def __post_init__(self) -> None:
        self.running: list[tuple[float, np.ndarray]] = []
        self.pending: list[tuple[float, Record]] = []

    def meet(self, r: Record, own: System, until: System) -> np.ndarray:
        """Doses that arrive until the record's time act before it; then the record acts."""
        late = 1e-12 * max(1.0, abs(r.time))
        for time, dose in sorted((p for p in self.pending if p[0] <= r.time + late), key=lambda p: p[0]):
            self._advance(min(time, r.time), until)
            self._give(dose, until)
        self.pending = [p for p in self.pending if p[0] > r.time + late]
        self._advance(r.time, until)
        if r.evid in (3, 4):
            self.y, self.running, self.pending = own.begin, [], []
        if r.evid in (1, 4):
            self._dose(r, own)
        return self.y.copy()

    def _advance(self, until: float, system: System) -> None:
        self.y, self.now = _advance(system.move, self.y, self.now, until, self.running), until

    def _give(self, r: Record, system: System) -> None:
        bolus, speed, length = r.form
        self.y = self.y + bolus * system.unit(r.into)
        if length > 0:
            self.running.append((self.now + length, speed * system.unit(r.into)))

    def _dose(self, r: Record, system: System) -> None:
        if r.ss:
            self._settle(r, system)
        if r.ss and r.amt == 0:
            return
        if r.lag == 0:
            self._give(r, system)
        first = 1 if r.lag == 0 else 0
        self.pending += [(r.time + r.lag + k * r.ii, r) for k in range(first, r.addl + 1)]

    def _settle(self, r: Record, system: System) -> None:
        """Steady state instead of (1) or on top of (2) what there is; infusions of the train that have not ended go on."""
        kept = r.ss == 2
        self.running, self.pending = (self.running, self.pending) if kept else ([], [])
        old = self.y if kept else 0.0
        if r.amt == 0:
            self.y = old + np.linalg.solve(system.matrix, -(system.constant + r.rate * system.unit(r.into)))
            return
        if r.lag > r.ii:
            raise ValueError("lag longer than II at steady state")
        self.y = old + self.steady(system, r)
        _, speed, length = r.form
        ends = [r.time + r.lag - k * r.ii + length for k in range(1, int(length / r.ii) + 3)]
        self.running += [(end, speed * system.unit(r.into)) for end in ends if end > r.time]
