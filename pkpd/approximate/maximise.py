"""`maximise`: the values of the population with the lowest objective, and how sure they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.bfgs import Descent, minimise
from pkpd.approximate.compiled import marginal_of, solver_of
from pkpd.approximate.individual import IndividualEstimates
from pkpd.approximate.judge import Found, at_boundary, judge
from pkpd.approximate.objective import ObjectiveValue, valued
from pkpd.approximate.rows import SubjectRows
from pkpd.approximate.surface import Surface
from pkpd.approximate.text import as_text
from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem
from pkpd.inference.verdict import Verdict

log = logging.getLogger("pkpd")
ENOUGH, MOST, POLISH = 1e-4, 300, 4


@dataclass(frozen=True, eq=False)
class PointEstimates:
    """Estimates that minimise an objective: `table` (estimate, se, rse in %, unit by name), and what tells how far to trust them.

    `se` is by the inverse curvature of the objective in unconstrained coordinates and the delta method (NONMEM's MATRIX=R), NaN at a boundary;
    `correlation` that of the estimates, `condition_number` the ratio of its extreme eigenvalues; `objective` and `individual` stand at the estimates.
    """

    method: str
    table: pd.DataFrame
    correlation: pd.DataFrame
    condition_number: float
    objective: ObjectiveValue
    verdict: Verdict
    evaluations: int

    @property
    def values(self) -> dict[str, float]:
        """Estimate by name: what `objective` and `ebe` take."""
        return self.table["estimate"].to_dict()

    @property
    def individual(self) -> IndividualEstimates:
        return self.objective.individual

    def __str__(self) -> str:
        return as_text(self)

    @property
    def shrinkage(self) -> pd.Series:
        return self.individual.shrinkage


def maximise(
    problem: FitProblem,
    method: str = "FOCEI",
    start: Mapping[str, float] | None = None,
    *,
    prior: bool = False,
    nodes: int = 9,
    starts: int = 1,
    seed: int = 1,
) -> PointEstimates:
    """Maximum likelihood by the objective of `method` (see `objective`): estimates, standard errors, verdict, empirical Bayes estimates.

    Priors are left out (their supports bound the values), or with `prior=True` their log density is added: penalised likelihood, the posterior mode
    on the values' own scale with random effects integrated out. `start` gives first values by name, others start at their prior medians; of `starts`
    descents the later ones begin at places scattered around it with `seed`, and the lowest is kept. Gradients follow the modes by the implicit
    function theorem. Returns `PointEstimates`. Raises `FitError` for an impossible start. Source: Almquist et al. 2015, J Pharmacokinet Pharmacodyn
    42:191 (sensitivities for FOCE).

    >>> maximise(problem, method="FOCEI").table                                            # doctest: +SKIP
    """
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        raise FitError(f"maximise(starts={starts!r}): a whole number of at least 1 is needed.")
    surface = Surface(marginal_of(problem, method, nodes), prior)
    values = surface.marginal.rows.values
    first = np.asarray(values.flat(_started(surface.marginal.rows, start or {})))
    scattered = 0.5 * np.asarray(jax.random.normal(jax.random.PRNGKey(seed), (starts - 1, len(first))))
    places = [first, *(first + x for x in scattered)]
    best = min((_descend(surface, z) for z in places), key=lambda d: d.value if np.isfinite(d.value) else np.inf)
    if not np.isfinite(best.value):
        return _impossible(surface, best)
    return _finish(surface, best)


def _started(rows: SubjectRows, start: Mapping[str, float]) -> dict[str, Any]:
    """First values, those not given at prior medians."""
    named = {n: float(x) for n, x in rows.values.named(rows.values.medians).items()}
    return rows.values.sampled(named | dict(start))


def _descend(surface: Surface, z: np.ndarray) -> Descent:
    """BFGS from z with the random effects at 0."""
    u = jnp.zeros(surface.marginal.rows.shape)
    return minimise(surface.evaluate, z, u, ENOUGH, MOST, log.info)


def _impossible(surface: Surface, best: Descent) -> Any:
    rows = surface.marginal.rows
    population = rows.values.constrained(jnp.asarray(best.z))
    valued(surface.marginal, population, solver_of(surface.marginal)(population, jnp.zeros(rows.shape)), surface.prior)
    raise FitError(
        f"{rows.problem.name}: the {surface.marginal.method} objective is not finite at the start. Give start={{...}} nearer to the data."
    )


def _polish(surface: Surface, at: Descent, rest: np.ndarray) -> tuple[Descent, np.ndarray]:
    """Newton steps while they gain, and the curvature at the last place [free, free]."""
    free = np.flatnonzero(~rest)
    for k in range(POLISH + 1):
        curvature = surface.curvature(at.z, at.carried)[np.ix_(free, free)]
        count = at.evaluations + 2 * len(at.z)
        at = Descent(at.z, at.value, at.gradient, at.inverse, at.carried, count)
        if k == POLISH or not np.all(np.linalg.eigvalsh(curvature) > 0):
            break
        step = np.zeros(len(at.z))
        step[free] = -np.linalg.solve(curvature, at.gradient[free])
        if -0.5 * float(step @ at.gradient) < 1e-7 or np.max(np.abs(step)) > 0.5:
            break
        value, gradient, modes = surface.evaluate(at.z + step, at.carried)
        if not value <= at.value:
            break
        at = Descent(at.z + step, value, gradient, at.inverse, modes, count + 1)
    return at, curvature


def _finish(surface: Surface, best: Descent) -> PointEstimates:
    rows, values = surface.marginal.rows, surface.marginal.rows.values
    population = values.constrained(jnp.asarray(best.z))
    rest = np.array([at_boundary(n, population[n], z) for n, z in zip(values.labels, best.z, strict=True)])
    at, curvature = _polish(surface, best, rest)
    population = values.constrained(jnp.asarray(at.z))
    objective = valued(surface.marginal, population, solver_of(surface.marginal)(population, at.carried), surface.prior)
    anew = solver_of(surface.marginal)(population, jnp.zeros(rows.shape))
    found = Found(surface.marginal.method, at, rest, curvature, values.labels, objective, np.asarray(anew.objective))
    table, correlation = _precision(rows, at, rest, curvature)
    kept = correlation.dropna(how="all").dropna(axis=1, how="all").to_numpy()
    eigen = np.linalg.eigvalsh(kept) if kept.size else np.array([np.nan])
    return PointEstimates(surface.marginal.method, table, correlation, float(eigen[-1] / eigen[0]), objective, judge(found), at.evaluations)


def _precision(rows: SubjectRows, at: Descent, rest: np.ndarray, curvature: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimates with standard errors, and their correlation: the objective is -2 log likelihood, so that the covariance is 2 / curvature."""
    named = lambda z: jnp.stack([jnp.asarray(x) for x in rows.values.named(rows.values.constrained(z)).values()])  # noqa: E731
    names, z = rows.problem.population_sites, jnp.asarray(at.z)
    estimate, slopes = np.asarray(named(z)), np.asarray(jax.jacfwd(named)(z))[:, ~rest]
    definite = curvature.size and bool(np.all(np.linalg.eigvalsh(curvature) > 0))
    covariance = slopes @ (2.0 * np.linalg.inv(curvature)) @ slopes.T if definite else np.full((len(names), len(names)), np.nan)
    variance = np.diagonal(covariance)
    se = np.sqrt(np.where(variance > 0, variance, np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        table = pd.DataFrame({"estimate": estimate, "se": se, "rse": 100 * se / np.abs(estimate)}, index=pd.Index(names, name="name"))
    table["unit"] = [rows.problem.site_unit(n) for n in names]
    return table, pd.DataFrame(covariance / np.outer(se, se), index=names, columns=names)
