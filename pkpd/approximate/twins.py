"""`find_twins`: other typical values with the same noise-free predictions at every row of a design, as of a flip-flop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.as_fit import checked
from pkpd.approximate.distinct import SHOWN, symmetry
from pkpd.errors import FitError
from pkpd.inference.identify import prior_width
from pkpd.inference.linearised import check_solved, expected_rows, is_positive, is_typical, moves_of, site_slopes
from pkpd.inference.problem import FitProblem
from pkpd.inference.quality import finer
from pkpd.inference.space import Space
from pkpd.noise import ResidualError
from pkpd.solve.choose import waiting

AGREE = 1e-3
"""Predictions agree where none differs by more than this many residual sds; and a direction along which a whole prior sd moves none by more is null."""
EXACT = 1e-8
"""Residual sds at which a descent has arrived: far below `AGREE`, so that a direction just above it is known to 1e-5 prior sds."""
WALL = 0.05
"""Largest difference of predictions, in residual sds, on the straight way between two places that are taken for one."""
HOME = 0.05
"""Prior sds within which two ends are one place."""
SPREAD, LONGEST = 1.5, 1.0
"""Starts are scattered by this many prior sds around the medians; no step is longer than so many."""
MOST, SLIDES, GAIN = 80, 200, 1e-3
"""Most steps of a descent and of a slide; a step that lowers the sum of squares by less than this share is the last."""


@dataclass(frozen=True, eq=False)
class Twins:
    """Other values with the same predictions; `verdict` says them in sentences.

    `table` has a line a place: the values themselves first ("here"), then each twin at its point nearest to them in prior sds, with `starts` (how many
    ended there), `worst` (largest difference of predictions, in residual sds) and the value of each parameter. `starts` says where each start ended: "here",
    "twin 1", or "none" (predictions that do not agree). `null` is the number of directions along which the predictions do not change at all.
    """

    name: str
    table: pd.DataFrame
    starts: pd.DataFrame
    null: int
    units: dict[str, str]

    @property
    def verdict(self) -> str:
        """A sentence for each twin, or that none was found in so many starts."""
        n, back = len(self.starts), int((self.starts["ended"] == "here").sum())
        lost = int((self.starts["ended"] == "none").sum())
        told = f"{back} came back to the values here" + (f", {lost} ended where the predictions differ" if lost else "")
        if len(self.table) == 1:
            said = f"No twin found in {n} starts: {told}. That none was found is no proof that there is none."
        else:
            said = " ".join(self._sentence(i) for i in range(1, len(self.table))) + f" ({n} starts: {told}.)"
        free = "" if not self.null else (
            f" Along {self.null} direction{'s' if self.null > 1 else ''} the predictions do not change at all; that is no twin, and the ranks tell it."
        )  # fmt: skip
        return said + free

    def _sentence(self, i: int) -> str:
        here, there = ({n: float(self.table.iloc[k][n]) for n in self.units} for k in (0, i))
        moved = {n: _apart(here[n], there[n]) for n in self.units}
        names = [n for n in sorted(moved, key=lambda n: -moved[n]) if moved[n] > 1e-3]
        told = [
            f"{n} {there[n]:.4g}{'' if self.units[n] in ('1', '') else ' ' + self.units[n]} (here {here[n]:.4g})" for n in names[:SHOWN]
        ]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        how = symmetry(here, there, self.units)
        return f"Twin {i}: the same predictions with {', '.join(told)}{more}{f'; {how}' if how else ''}. A prior or an order must choose between them."


def _apart(a: float, b: float) -> float:
    return abs(np.log(b / a)) if a > 0 and b > 0 else abs(a - b) / max(abs(a), 1.0)


def find_twins(problem: FitProblem, *, seed: Any, starts: int = 16) -> Twins:
    """Search for other typical values that predict the same at every row, without noise and without random effects: a flip-flop, for example.

    From `starts` places scattered around the prior medians (1.5 prior sds) the differences of predictions from those at the medians, in residual sds, are
    brought to zero by Levenberg-Marquardt steps, priors left out. Directions along which nothing changes are followed to the point nearest to the medians, so
    that what is not identified is no twin; what comes back to the medians, or can be reached from them by a straight way without a change, is no twin either.
    A twin is a solution that was found; none found is no proof. The values are the typical ones only: rows of all observables with a plain residual error.
    `seed` is required and repeats the starts. Returns `Twins`. Raises `FitError` where the medians cannot be solved.
    Source: Marquardt 1963, J Soc Ind Appl Math 11:431.

    >>> find_twins(problem, seed=1).verdict                                                # doctest: +SKIP
    'Twin 1: the same predictions with ka 0.0875 1/h (here 1.5), V 1.867 L (here 32); flip-flop: ka and CL/V change places. ...'
    """
    checked("find_twins", seed=seed, starts=starts)
    problem = replace(problem, solver=waiting(finer(problem.solver)))
    at = Differences(problem)
    if not at.names:
        raise FitError(f"{problem.name}: every typical value is held, so there is nothing to look for.")
    if not np.isfinite(at.slopes(np.zeros(len(at.names)))).all():
        raise FitError(f"{problem.name}: the predictions have no derivative at the prior medians; `identify` says in which parameter.")
    scattered = SPREAD * np.asarray(jax.random.normal(jax.random.PRNGKey(seed), (starts, len(at.names))))
    ends, places = [], [np.zeros(len(at.names))]
    for u in scattered:
        found = fitted(at, u)
        near = None if found is None else slid(at, found)
        home = None if near is None else next((k for k, place in enumerate(places) if _one_place(at, near, place)), None)
        if near is not None and home is None:
            places.append(near)
            home = len(places) - 1
        ends.append("none" if home is None else "here" if home == 0 else f"twin {home}")
    return _told(problem, at, places, ends)


def _told(problem: FitProblem, at: Differences, places: list[np.ndarray], ends: list[str]) -> Twins:
    names = ["here", *(f"twin {k}" for k in range(1, len(places)))]
    lines = [
        {"starts": ends.count(n), "worst": float(np.abs(at.values(u)).max()), **at.named(u)} for n, u in zip(names, places, strict=True)
    ]
    null = len(at.names) - int((np.linalg.svd(at.slopes(places[0]), compute_uv=False) > AGREE).sum())
    units = {n: problem.site_unit(n) for n in at.names}
    return Twins(problem.name, pd.DataFrame(lines, index=pd.Index(names, name="place")), pd.DataFrame({"ended": ends}), null, units)


def _one_place(at: Differences, u: np.ndarray, place: np.ndarray) -> bool:
    """Whether two ends are near, or nothing changes on the straight way between them."""
    if np.linalg.norm(u - place) < HOME:
        return True
    way = [at.values(place + t * (u - place)) for t in (0.25, 0.5, 0.75)]
    return all(np.isfinite(r).all() and np.abs(r).max() < WALL for r in way)


class Differences:
    """Predictions less those at the prior medians, in residual sds there, as a function of u [P]: typical values `names` in prior sds from their medians."""

    def __init__(self, problem: FitProblem) -> None:
        space = Space(problem)
        moves = [(n, t) for n, t in moves_of(space) if not n.startswith("effect:") and is_typical(problem, n)]
        z = jnp.asarray(space.start({}))
        lean, sites = site_slopes(space, z), space.constrain(z)
        self.space, self.centre, self.names = space, z, [n for n, _ in moves]
        widths = [_width(problem, n, float(sites[n]), lean[n]) for n in self.names]
        self.basis = jnp.asarray(np.array([w * t for w, (_, t) in zip(widths, moves, strict=True)]).reshape(len(moves), len(z)))
        plain = [i for i, o in enumerate(problem.observed_names) if isinstance(problem.observations[o], ResidualError)]
        kept = np.flatnonzero(np.isin(problem.rows.observable, plain))
        self._rows = lambda u: tuple(x[kept] for x in expected_rows(problem, space.constrain(z + u @ self.basis)))
        mean, sd = jax.jit(self._rows)(jnp.zeros(len(moves)))
        check_solved(problem, np.asarray(mean))
        self._mean, self._sd = mean, sd

    @cached_property
    def _values(self) -> Any:
        return jax.jit(lambda u: (self._rows(u)[0] - self._mean) / self._sd)

    @cached_property
    def _slopes(self) -> Any:
        n = len(self.names)
        tangents = jnp.pad(jnp.eye(n), ((0, -n % 8), (0, 0)))  # whole batches: a remainder would be compiled a second time
        one = lambda u: lambda v: jax.jvp(self._values, (u,), (v,))[1]  # noqa: E731
        return jax.jit(lambda u: jax.lax.map(one(u), tangents, batch_size=8)[:n].T)

    def values(self, u: np.ndarray) -> np.ndarray:
        """[rows]"""
        return np.asarray(self._values(jnp.asarray(u)))

    def slopes(self, u: np.ndarray) -> np.ndarray:
        """[rows, P]"""
        return np.asarray(self._slopes(jnp.asarray(u)))

    def named(self, u: np.ndarray) -> dict[str, float]:
        sites = self.space.constrain(self.centre + jnp.asarray(u) @ self.basis)
        return {n: float(sites[n]) for n in self.names}


def _width(problem: FitProblem, name: str, value: float, lean: float) -> float:
    """The prior sd in the unconstrained coordinate, by its slope at the median."""
    prior = problem.prior_of(name)
    log = is_positive(prior)
    return prior_width(prior, log) / (lean / value if log else lean)


def fitted(at: Differences, u: np.ndarray) -> np.ndarray | None:
    """Where the predictions are those at the medians, reached from u by damped least squares; None where they are not reached."""
    r, damping = at.values(u), 1.0
    for _ in range(8):  # moved half way to the medians while it cannot be solved
        if np.isfinite(r).all():
            break
        u = 0.5 * u
        r = at.values(u)
    for _ in range(MOST):
        if not np.isfinite(r).all() or np.abs(r).max() < EXACT:
            break
        slopes, moved = at.slopes(u), False
        if not np.isfinite(slopes).all():
            break
        left, s, right = np.linalg.svd(slopes, full_matrices=False)
        while not moved and damping < 1e12:
            step = -right.T @ (s / (s**2 + damping) * (left.T @ r))
            step *= min(1.0, LONGEST / np.abs(step).max()) if step.any() else 1.0
            there = at.values(u + step)
            moved = bool(np.isfinite(there).all() and there @ there < r @ r)
            damping *= 0.1 if moved else 10.0
        if not moved or there @ there > (1.0 - GAIN) * (r @ r):
            break
        u, r = u + step, there
    return u if np.isfinite(r).all() and np.abs(r).max() < AGREE else None


def slid(at: Differences, u: np.ndarray) -> np.ndarray:
    """The point nearest to the medians that can be reached from u without changing a prediction."""
    longest = 0.5
    for _ in range(SLIDES):
        slopes = at.slopes(u)
        if not np.isfinite(slopes).all():
            break
        _, s, right = np.linalg.svd(slopes, full_matrices=True)
        null = right[np.concatenate([s, np.zeros(len(right) - len(s))]) < AGREE]
        step = -null.T @ (null @ u)
        size = np.linalg.norm(step)
        if size < 1e-6:
            break
        there = _back(at, u + step * min(1.0, longest / size))
        if there is None or np.linalg.norm(there) >= np.linalg.norm(u):
            longest *= 0.5
            if longest < 1e-3:
                break
        else:
            u, longest = there, min(2.0 * longest, 1.0)
    return u


def _back(at: Differences, u: np.ndarray) -> np.ndarray | None:
    """Onto the predictions again, by Gauss-Newton steps across the directions that are null."""
    for _ in range(6):
        r = at.values(u)
        if not np.isfinite(r).all():
            return None
        if np.abs(r).max() < EXACT:
            return u
        slopes = at.slopes(u)
        if not np.isfinite(slopes).all():
            return None
        left, s, right = np.linalg.svd(slopes, full_matrices=False)
        seen = s > AGREE
        u = u - right[seen].T @ ((left[:, seen].T @ r) / s[seen])
    r = at.values(u)
    return u if np.isfinite(r).all() and np.abs(r).max() < AGREE else None
