"""Published summaries in a fit: bound to the problem, kept apart from its own patients, integrated finely enough, and what the report says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from pkpd.errors import FitError
from pkpd.inference.arrow import clipped, dense
from pkpd.inference.over_time import levels_of
from pkpd.inference.published import Published, told
from pkpd.inference.summary_checks import check_no_overlap
from pkpd.inference.summary_model import GOOD_ERROR
from pkpd.population.shrink import of_subjects

LOOKED, MOST = 20, 16384
UNNAMED = "DataFrame"  # what a cohort read from a table is called
STEP = 1e-3
"""Of central differences of the log-likelihood's gradient, in unconstrained coordinates: their error is of order 1e-6, that of a solver 1e-3."""


def bound(problem: Any) -> Published:
    """The summaries of a problem with its population, residual errors and solver. Raises `FitError` for what does not fit together."""
    arms, population = [arm for arm, _ in problem.summaries], problem.population
    named = {e.covariate for v in population.parameters.values() for e in v.effects if e.kind == "categorical"}
    known = {c: levels_of(problem.cohort, c) for c in sorted(named)}
    found = Published(problem.summaries, population, problem.noise, problem.summary_draws, 0, problem.solver, known)
    for arm in arms:
        _same_model(problem, arm)
        _named_patients(problem, arm)
    check_no_overlap(problem.cohort.name, arms)
    new = [s for s in population.sites(found.levels) if s not in population.sites(problem.design)]
    if new:
        raise FitError(
            f"{problem.name}: the arms of the summaries have a level of a covariate that no subject of the cohort has (it would need the site "
            f"'{new[0]}'). Leave that arm out, or merge the level with another one."
        )
    return found


def _same_model(problem: Any, arm: Any) -> None:
    if arm.model.digest != problem.model.digest:
        raise FitError(
            f"{problem.name}: arm '{arm.name}' is of the model {arm.model.name} ({arm.model.digest[:8]}), the fit of {problem.model.name} "
            f"({problem.model.digest[:8]}). Give SummaryArm the fit's model."
        )


def _named_patients(problem: Any, arm: Any) -> None:
    if not arm.patients:
        raise FitError(
            f"{problem.name}: arm '{arm.name}' does not say whose patients it summarises. Give SummaryArm(..., patients='study B'): it is compared "
            f"with the cohort's name, '{problem.cohort.name}', since patients with individual data would count twice."
        )
    if problem.cohort.name == UNNAMED:
        raise FitError(
            f"{problem.name}: the cohort was read from a table and has no name, so that nobody can tell whether arm '{arm.name}' summarises the same "
            f"patients ('{arm.patients}'). Give read_cohort(..., name='study A')."
        )


def curvature(value: Callable, z: Any, at: np.ndarray) -> Any:
    """-Hessian of `value` in the coordinates `at` of z, its negative eigenvalues at zero, as a matrix over all of z.

    By central differences of the gradient: solvers have first derivatives only.
    """
    slope, here = jax.grad(lambda x: value(z.at[at].set(x))), z[at]
    rows = jax.lax.map(lambda e: (slope(here - STEP * e) - slope(here + STEP * e)) / (2 * STEP), jnp.eye(len(at)))
    values, vectors = jnp.linalg.eigh(0.5 * (rows + rows.T))
    return jnp.zeros((len(z), len(z))).at[np.ix_(at, at)].set((vectors * jnp.maximum(values, 0.0)) @ vectors.T)


def settle(space: Any, geometry: Any, find: Callable, report: Callable[[str], None]) -> tuple[Any, Any]:
    """Space and geometry with enough virtual subjects: the error is below 0.05 at the mode and at 4 draws around it (spreads held); at most 16384."""
    problem = space.problem
    points, draws = _around(space, geometry), problem.summary_draws
    while (error := _worst(problem, draws, points)) >= GOOD_ERROR / 2 and draws < MOST:  # the posterior reaches farther than these points
        draws *= 2
    report(f"summaries: standard error of the log-likelihood {error:.2g} at most around the mode, with {draws} virtual subjects an arm")
    if draws == problem.summary_draws:
        return space, geometry
    space = replace(space, problem=replace(problem, summary_draws=draws))
    return space, find(space, report)


def _worst(problem: Any, draws: int, points: list[dict[str, Any]]) -> float:
    """The largest error at the points that can be solved."""
    published = problem.published if draws == problem.summary_draws else replace(problem, summary_draws=draws).published
    return float(np.nanmax([published.error(p) for p in points]))


def _around(space: Any, geometry: Any, n: int = 4) -> list[dict[str, Any]]:
    """Sites at the mode and at n draws of the normal law that has the information of the coordinates that are not held."""
    free = np.flatnonzero(~space.held)
    root = np.linalg.inv(np.linalg.cholesky(clipped(dense(geometry.information, space)[np.ix_(free, free)]))).T
    away = np.zeros((n + 1, len(space.held)))
    away[1:, free] = np.asarray(jax.random.normal(jax.random.key(0), (n, len(free)))) @ root.T
    return [population_values(space.constrain(jnp.asarray(geometry.mode) + a)) for a in away]


def population_values(sites: Mapping[str, Any]) -> dict[str, Any]:
    """Sites without random effects."""
    return {n: v for n, v in sites.items() if not of_subjects(n)}


@dataclass(frozen=True)
class SummaryError:
    """Standard error of the summaries' log-likelihood at posterior draws: middle and largest, with `draws` virtual subjects an arm."""

    draws: int
    looked: int
    middle: float
    largest: float

    @property
    def good(self) -> bool:
        return self.largest < GOOD_ERROR

    @property
    def sentence(self) -> str:
        return (
            f"standard error of the summaries' log-likelihood at {self.looked} posterior draws (8 scramblings each): middle {self.middle:.2g}, "
            f"largest {self.largest:.2g}; below {GOOD_ERROR:g} is accepted"
        )

    @property
    def warned(self) -> tuple[tuple[str, str, str], ...]:
        """In few words, in full, and what to do, for the verdict."""
        if self.good:
            return ()
        brief = f"the summaries' log-likelihood is uncertain by {self.largest:.2g}"
        return ((brief, f"{self.sentence[0].upper()}{self.sentence[1:]}.", f"Give summary_draws={4 * self.draws}, and sample again."),)


def look_again(published: Published, sites: Mapping[str, np.ndarray]) -> SummaryError:
    """The standard error at 20 of the posterior draws in `sites` [S, ...]."""
    total = len(next(iter(sites.values())))
    index = np.unique(np.linspace(0, total - 1, min(LOOKED, total)).astype(int))
    errors = [published.error({n: v[i] for n, v in sites.items()}) for i in index]
    return SummaryError(published.draws, len(index), float(np.median(errors)), float(np.max(errors)))


def summary_facts(published: Published, error: SummaryError) -> list[str]:
    """Sentences of the report: what was taken from papers, of whom, how it was integrated."""
    said = [
        f"Published summaries of arm '{arm.name}' ({arm.n_patients} patients of '{arm.patients or 'not said'}', none of them among the individual "
        f"data): {'; '.join(told(t) for t in terms)}."
        for arm, terms in published.arms
    ]
    many = [arm.name for arm, terms in published.arms if len(terms) > 1]
    apart = [f"Terms of one arm ({', '.join(many)}) are multiplied as if they were independent."] if many else []
    return [*said, *apart, f"Summaries: {published.draws} virtual subjects an arm; {error.sentence}."]


def summary_group(published: Published, terms: np.ndarray, error: SummaryError) -> xr.Dataset:
    """log L of each term [chain, draw, summary] on thinned draws, and the standard error of their sum."""
    data = xr.Dataset({"log_likelihood": (("chain", "draw", "summary"), terms)}, coords={"summary": published.names})
    return data.assign_attrs({f"error_{k}": v for k, v in asdict(error).items()} | {"error_sentence": error.sentence})
