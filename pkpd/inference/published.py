"""Summaries bound to a population, residual errors, fixed quasi-random virtual subjects and a solver: a smooth log-likelihood of the population's sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.distributions import Distribution
from scipy.stats import norm, qmc

from pkpd.errors import FitError, choices
from pkpd.inference.summaries import Seen, SummaryArm
from pkpd.inference.summary_checks import check_draws, check_summaries, observables
from pkpd.inference.summary_laws import Scatter
from pkpd.model import Predictor
from pkpd.population import Population
from pkpd.population.shrink import of_subjects
from pkpd.solve import Solver

SCRAMBLINGS = 8
Arms = Sequence[tuple[SummaryArm, Sequence[Any]]]


def sobol_normals(dimension: int, draws: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points as standard normals [draws, dimension]; `draws` is a power of two."""
    if draws < 1 or draws & (draws - 1):
        raise FitError(f"draws={draws}: Sobol points come in powers of two; give {1 << max(draws - 1, 1).bit_length()}.")
    points = qmc.Sobol(max(dimension, 1), scramble=True, seed=seed).random(draws)
    return norm.ppf(np.clip(points, 1e-12, 1 - 1e-12))


def virtual_subjects(
    population: Population, sites: Mapping[str, Any], normals: Any, covariates: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Parameters [M] of virtual subjects at population `sites`, their random effects made from `normals` [M, random effects].

    Raises `FitError` for a population-level site that is not among `sites`.
    """
    effects = _effects(normals)

    def value(site: dict) -> Any:
        if site["type"] != "sample":
            return None
        if of_subjects(site["name"]):
            return effects(site)
        if site["name"] not in sites:
            raise FitError(f"The summaries need a value of the site '{site['name']}'. {choices(site['name'], sites)}")
        return sites[site["name"]]

    with handlers.block():
        model = handlers.seed(handlers.substitute(population.draw, substitute_fn=value), jax.random.PRNGKey(0))
        return model(covariates, len(normals), {})


def _effects(normals: Any) -> Callable[[dict], Any]:
    """Gives each raw_ site its columns of `normals`, in the order in which the population asks."""
    used = 0

    def value(site: dict) -> Any:
        nonlocal used
        shape = site["fn"].event_shape  # [n], or [n, k] of a correlated group; non-centred both
        width = shape[1] if len(shape) > 1 else 1
        own = jnp.asarray(normals)[:, used : used + width]
        used += width
        return own if len(shape) > 1 else own[:, 0]

    return value


@dataclass(frozen=True, eq=False)
class Published:
    """What papers report of their `arms` ([(arm, [term, ...]), ...]), with `draws` virtual subjects an arm.

    `known` maps categorical covariates to levels beyond the arms' own, so that effects are named as in a cohort that has them.
    Raises `FitError` for terms that do not fit.
    """

    arms: Any
    population: Population
    noise: Mapping[str, Any]
    draws: int = 1024
    seed: int = 0
    solver: Solver = Solver()
    known: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_summaries(self.arms, self.noise, self.population)
        check_draws(self.arms, self.draws)

    @cached_property
    def levels(self) -> dict[str, np.ndarray]:
        """Values of each covariate with an effect, [same length]: all levels of a category, so that an arm of one names the effects as all arms do."""
        found: dict[str, np.ndarray] = {}
        for e in (e for v in self.population.parameters.values() for e in v.effects):
            own = [np.ravel(np.asarray(arm.covariates[e.covariate], float)) for arm, _ in self.arms if arm.covariates]
            own = [*own, np.ravel(self.known.get(e.covariate, []))] if e.kind == "categorical" else []
            found[e.covariate] = np.unique(np.concatenate([*own, [e.reference], found.get(e.covariate, [])]))
        most = max([len(v) for v in found.values()], default=0)
        return {c: np.resize(v, most) for c, v in found.items()}

    @cached_property
    def names(self) -> list[str]:
        """Of each term: its arm, kind, observable and visits."""
        return [f"{arm.name}: {told(term)}" for arm, terms in self.arms for term in terms]

    def normals(self, seed: int | None = None) -> list[np.ndarray]:
        """A table of standard normals for each arm."""
        base = 1000 * (self.seed if seed is None else seed)
        return [sobol_normals(len(self.population.varying), self.draws, base + i) for i in range(len(self.arms))]

    @cached_property
    def _own(self) -> list[np.ndarray]:
        return self.normals()

    @cached_property
    def predictors(self) -> list[Predictor]:
        """The model bound to the virtual subjects of each arm."""
        free = frozenset(self.population.parameters)
        return [replace(arm.predictor(self.draws), solver=self.solver, free=free) for arm, _ in self.arms]

    def terms(self, sites: Mapping[str, Any], normals: Sequence[Any] | None = None) -> Any:
        """log L of each term [terms] at population-level `sites` and standard deviations of residuals."""
        found = []
        for i, (_, terms) in enumerate(self.arms):
            seen = self._seen(i, sites, (normals or self._own)[i])
            found += [term.log_likelihood(seen) for term in terms]
        return jnp.stack(found)

    def log_likelihood(self, sites: Mapping[str, Any], normals: Sequence[Any] | None = None) -> Any:
        """The sum of `terms`."""
        return jnp.sum(self.terms(sites, normals))

    @cached_property
    def _scrambled(self) -> tuple[Callable, list[list[np.ndarray]]]:
        tables = [self.normals(self.seed + k) for k in range(1, SCRAMBLINGS + 1)]
        return jax.jit(lambda s, z: self.log_likelihood(s, z)), tables

    def error(self, sites: Mapping[str, Any]) -> float:
        """Monte Carlo standard error of the log-likelihood: its standard deviation over 8 scramblings."""
        value, tables = self._scrambled
        return float(np.std([float(value(dict(sites), z)) for z in tables], ddof=1))

    def _seen(self, i: int, sites: Mapping[str, Any], normals: Any) -> Seen:
        arm, levels = self.arms[i][0], self.levels
        extra, table = max([len(v) for v in levels.values()], default=0), arm.table(self.draws)
        covariates = {c: np.concatenate([table[c].to_numpy(float), levels[c]]) for c in levels}
        padded = jnp.concatenate([jnp.asarray(normals), jnp.zeros((extra, np.shape(normals)[1]))])
        drawn = virtual_subjects(self.population, sites, padded, covariates)
        theta = {n: v[: self.draws] if jnp.ndim(v) else v for n, v in drawn.items()}
        values = self.predictors[i].observables(theta)[0]
        f = {o: values[:, k] for k, o in enumerate(arm.model.observable_names)}
        laws = {o: self._law(o, f[o], sites) for o in observables([self.arms[i]])}
        return Seen(np.asarray(arm.times_h, float), theta, f, laws, arm.listed(self.draws))

    def _law(self, observable: str, f: Any, sites: Mapping[str, Any]) -> Scatter:
        error = self.noise[observable]
        return Scatter(*error.mean_sd(f, [_spread(f"{x}_{observable}", prior, sites) for x, prior in error.priors]), error.logs)


def _spread(name: str, prior: Any, sites: Mapping[str, Any]) -> Any:
    if isinstance(prior, Distribution) and name not in sites:
        raise FitError(f"The summaries need a value of the site '{name}'. {choices(name, sites)}")
    return jnp.asarray(sites.get(name, prior), float)


def told(term: Any) -> str:
    """A term in words: its kind, observable, visits and patients."""
    where = f" of {term.observable}" if term.observable else ""
    when = f" at {', '.join(f'{t:g}' for t in term.visits)} h" if term.visits else ""
    return f"{getattr(term, 'name', '') or type(term).__name__}{where}{when} (n = {term.of})"
