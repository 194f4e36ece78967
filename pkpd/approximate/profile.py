"""Profile likelihood: how the objective rises as one value is moved and all others follow."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.approximate.bfgs import minimise
from pkpd.approximate.compiled import marginal_of
from pkpd.approximate.maximise import ENOUGH, MOST, PointEstimates
from pkpd.approximate.surface import Surface
from pkpd.errors import FitError, choices
from pkpd.inference.problem import FitProblem

log = logging.getLogger("pkpd")
LEVEL = 3.841458820694124
"""By how much -2 log likelihood rises at the ends of a 95 % interval: chi-square with one degree of freedom."""
STEPS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
"""Looks on each side, in standard errors, until the objective has risen by LEVEL."""
LOWER = 0.1
"""A profile that falls by more below the estimates' objective has found better ones."""
NO_MAXIMUM = "they are not the maximum; run maximise with more starts."


@dataclass(frozen=True, eq=False)
class Profile:
    """`table` has a line a look: name, value, rise (of the objective), and every other value there. `intervals` by name: estimate, lower and upper (NaN where
    the objective does not rise by 3.84 as far as was looked), wald_lower and wald_upper, unit."""

    table: pd.DataFrame
    intervals: pd.DataFrame
    method: str

    @property
    def verdict(self) -> str:
        """A sentence a value: its interval, or on which side the data set no bound."""
        return " ".join(_sentence(str(n), line, self.table[self.table["name"] == n]) for n, line in self.intervals.iterrows())


def profile(problem: FitProblem, found: PointEstimates, names: Sequence[str], *, nodes: int = 9) -> Profile:
    """The profile likelihood of some values around point estimates, and 95 % intervals by it.

        rise(v) = min over all other values of -2 log L(v, others) - (-2 log L at the estimates);   the interval holds v with rise(v) <= 3.84

    `found` is what `maximise(problem, method)` gave, by whose objective it goes, priors left out; `names` are values of its table other than correlations.
    Each is moved on its own unconstrained scale, in both directions, by up to 6 standard errors, and the others follow from look to look. Unlike
    estimate +- 1.96 SE the interval need not be symmetric, and it may be open: then the data set no bound on that side. Returns a `Profile`. Raises
    `FitError` for names that are not there and for estimates of another problem.
    Source: Venzon & Moolgavkar 1988, Appl Stat 37:87; Raue et al. 2009, Bioinformatics 25:1923 (what open intervals say of identifiability).

    >>> profile(problem, maximise(problem), ["CL", "ka"]).verdict                          # doctest: +SKIP
    'CL: 2.31 to 3.3 (95 %, by the likelihood). ka: 1.06 to 2.42 (95 %, by the likelihood).'
    """
    surface = Surface(marginal_of(problem, found.method, nodes))
    values = surface.marginal.rows.values
    known = [n for n in problem.population_sites if n in values.labels]
    for name in names:
        if name not in known:
            raise FitError(f"{problem.name}: '{name}' cannot be profiled. {choices(name, known)}")
    if set(found.values) != set(problem.population_sites):
        raise FitError(f"{problem.name}: these estimates are of another problem. Give what maximise(problem, ...) returned for this one.")
    z = np.asarray(values.flat(values.sampled(found.values)))
    best, _, u = surface.evaluate(z, np.zeros(surface.marginal.rows.shape))
    errors = _errors(surface, z, u)
    tables, ends = [], {}
    for name in names:
        k = values.labels.index(name)
        looks = pd.concat([_side(surface, z, u, k, -errors[k], best), _side(surface, z, u, k, errors[k], best)])
        middle = pd.DataFrame([_look(surface, z, 0.0)])
        looks = pd.concat([looks, middle]).sort_values(name, ignore_index=True)
        tables.append(looks.assign(name=name, value=looks[name]))
        ends[name] = _interval(looks, name, found, problem.site_unit(name))
    table = pd.concat(tables, ignore_index=True)
    return Profile(table[["name", "value", "rise", *problem.population_sites]], pd.DataFrame(ends).T, found.method)


def _errors(surface: Surface, z: np.ndarray, u: Any) -> np.ndarray:
    """Standard errors on the unconstrained scale; 1 where the curvature has none to give."""
    curvature = surface.curvature(z, u)
    if not np.all(np.linalg.eigvalsh(curvature) > 0):
        return np.ones(len(z))
    return np.minimum(np.sqrt(np.diag(2.0 * np.linalg.inv(curvature))), 1.0)


def _side(surface: Surface, z: np.ndarray, u: Any, k: int, error: float, best: float) -> pd.DataFrame:
    """Looks in one direction, each from the one before, until the objective has risen enough."""
    rest, lines = np.delete(z, k), []
    for step in STEPS:
        at = z[k] + step * error

        def held(y: np.ndarray, carried: Any, at: float = at) -> tuple[float, np.ndarray, Any]:
            value, gradient, mode = surface.evaluate(np.insert(y, k, at), carried)
            return value, np.delete(gradient, k), mode

        found = minimise(held, rest, u, ENOUGH, MOST, log.debug)
        if not np.isfinite(found.value):
            break
        rest, u = found.z, found.carried
        lines.append(_look(surface, np.insert(rest, k, at), found.value - best))
        if found.value - best > LEVEL:
            break
    return pd.DataFrame(lines)


def _look(surface: Surface, z: np.ndarray, rise: float) -> dict[str, float]:
    values = surface.marginal.rows.values
    return {"rise": rise, **{n: float(x) for n, x in values.named(values.constrained(z)).items()}}


def _interval(looks: pd.DataFrame, name: str, found: PointEstimates, unit: str) -> dict[str, Any]:
    estimate, se = (float(found.table.loc[name, c]) for c in ("estimate", "se"))
    below, above = looks[looks[name] <= estimate], looks[looks[name] >= estimate]
    lower, upper = _crossing(below[name], below["rise"], estimate), _crossing(above[name], above["rise"], estimate)
    return {
        "estimate": estimate, "lower": lower, "upper": upper, "wald_lower": estimate - 1.96 * se, "wald_upper": estimate + 1.96 * se, "unit": unit,
    }  # fmt: skip


def _crossing(value: Any, rise: Any, estimate: float) -> float:
    """Where the rise is LEVEL: its root is nearly a line in the value, and is interpolated; NaN where it is not reached.

    >>> float(round(_crossing([1.0, 2.0, 3.0], [0.0, 1.0, 4.0], 1.0), 3))
    2.96
    """
    order = np.argsort(np.abs(np.asarray(value, float) - estimate))
    v, root = np.asarray(value, float)[order], np.sqrt(np.maximum(np.asarray(rise, float)[order], 0.0))
    beyond = np.flatnonzero(root >= np.sqrt(LEVEL))
    if not len(beyond):
        return float("nan")
    i = int(beyond[0])
    return float(v[i - 1] + (np.sqrt(LEVEL) - root[i - 1]) / (root[i] - root[i - 1]) * (v[i] - v[i - 1]))


def _sentence(name: str, line: pd.Series, looks: pd.DataFrame) -> str:
    low, high = float(line["lower"]), float(line["upper"])
    fallen = -float(looks["rise"].min())
    better = f" The objective falls by {fallen:.2g} below that of the estimates: {NO_MAXIMUM}" if fallen > LOWER else ""
    if np.isfinite(low) and np.isfinite(high):
        return f"{name}: {low:.3g} to {high:.3g} (95 %, by the likelihood).{better}"
    open_at = " and ".join(
        f"{side} ({edge:.3g} raises the objective by {float(looks.loc[looks['value'] == edge, 'rise'].iloc[0]):.2g})"
        for side, end, edge in (("below", low, looks["value"].min()), ("above", high, looks["value"].max()))
        if not np.isfinite(end)
    )
    return f"{name}: NOT BOUNDED by the data {open_at}.{better}"
