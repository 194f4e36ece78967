"""What is known of a patient before any sample: a model, its population with values, and how measurements scatter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.values import PopulationValues
from pkpd.errors import FitError, choices
from pkpd.inference.fit import Fit
from pkpd.inference.predictive import thin
from pkpd.inference.problem import FitProblem
from pkpd.model import Model
from pkpd.noise import Observation, ResidualError
from pkpd.population import Population
from pkpd.population.blocks import boxcox_eta
from pkpd.solve import Solver
from pkpd.solve.choose import waiting

DRAWS = 50


@dataclass(frozen=True, eq=False)
class PatientPrior:
    """A population as the prior of one patient: `values` by name, and `draws` of them [D] where a fit left them uncertain (D = 1: held).

    `known` are covariates [N] of those the population was fitted to, which say what levels of a categorical covariate there are.
    """

    model: Model
    population: Population
    noise: Mapping[str, Observation]
    values: Mapping[str, float]
    draws: Mapping[str, np.ndarray]
    known: Mapping[str, np.ndarray] = field(default_factory=dict)
    solver: Solver = Solver()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def effects(self) -> tuple[str, ...]:
        """Names of the K random effects."""
        return tuple(f"eta_{n}" for n in self.population.varying)

    @property
    def observed(self) -> tuple[str, ...]:
        """Observables whose rows are scored."""
        return tuple(o for o in self.model.observable_names if o in self.noise)

    @cached_property
    def covariates(self) -> tuple[str, ...]:
        """What a patient must tell: covariates that the model or an effect reads."""
        return tuple(dict.fromkeys([*self.model.covariate_names, *self.read_by_effects]))

    @property
    def read_by_effects(self) -> tuple[str, ...]:
        """Covariates that an effect on a parameter reads."""
        return tuple(dict.fromkeys(e.covariate for v in self.population.parameters.values() for e in v.effects))

    def omega(self, values: Mapping[str, Any]) -> np.ndarray:
        """Covariance of the random effects [..., K, K] at values [...] by name."""
        names, specs = self.population.varying, self.population.parameters
        one = next(iter(values.values()))
        sd = [np.broadcast_to(np.asarray(values.get(f"omega_{n}", specs[n].between), float), np.shape(one)) for n in names]
        found = np.stack(
            [np.stack([a * b * (n == m) for m, b in zip(names, sd, strict=True)], -1) for n, a in zip(names, sd, strict=True)], -2
        )
        for group in self.population.correlation:
            for i, a in enumerate(group.names):
                for b in group.names[i + 1 :]:
                    at, other = names.index(a), names.index(b)
                    found[..., at, other] = found[..., other, at] = np.asarray(values[f"corr_{a}_{b}"]) * sd[at] * sd[other]
        return found

    def typical(self, covariates: Mapping[str, float], values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Parameters of the typical patient with these covariates, [D] each, at values [D] by name."""
        rows = self.rows(covariates)
        found = jax.vmap(lambda sites: self.typical_of(rows, sites))({n: jnp.asarray(x) for n, x in values.items()})
        return {n: np.asarray(x) for n, x in found.items()}

    def rows(self, covariates: Mapping[str, float]) -> dict[str, np.ndarray]:
        """The patient's covariates behind those that name the levels of categorical ones."""
        rows = {c: np.append(np.asarray(self.known.get(c, []), float), x) for c, x in covariates.items()}
        for v in self.population.parameters.values():
            for e in v.effects:
                if e.kind == "categorical" and e.reference not in rows[e.covariate]:
                    rows = {c: np.insert(x, 0, e.reference if c == e.covariate else x[0]) for c, x in rows.items()}
        return rows

    def typical_of(self, rows: Mapping[str, np.ndarray], sites: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of the typical patient in the last of `rows`, at one value of each site; traceable."""
        return {n: jnp.atleast_1d(v)[-1] for n, v in self.population.typical(sites, rows).items()}

    def theta(self, typical: Mapping[str, Any], eta: Any, shapes: Mapping[str, Any]) -> dict[str, Any]:
        """Individual parameters [L] from typical ones [L], random effects [L, K] and Box-Cox shapes [L]; traceable."""
        found, specs = dict(typical), self.population.parameters
        for k, n in enumerate(self.population.varying):
            moved = eta[:, k] if n not in shapes else boxcox_eta(eta[:, k], shapes[n])
            found[n] = specs[n].back(specs[n].forward(typical[n]) + moved)
        return found | {n: v.times * found[v.tied_to] for n, v in specs.items() if v.tied_to is not None}

    def shapes(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Box-Cox shapes [D] of the parameters that have one."""
        specs = self.population.parameters
        size = np.shape(next(iter(values.values())))
        return {
            n: np.broadcast_to(np.asarray(values.get(f"shape_{n}", specs[n].shape), float), size)
            for n in self.population.varying
            if specs[n].shape is not None
        }

    def sds(self, values: Mapping[str, Any]) -> list[list[np.ndarray]]:
        """Parameters [D] of each observable's residual error."""
        size = np.shape(next(iter(values.values())))
        told = lambda site, prior: np.broadcast_to(np.asarray(values.get(site, prior), float), size)  # noqa: E731
        return [[told(f"{prefix}_{o}", prior) for prefix, prior in self.noise[o].priors] for o in self.observed]


def _check(prior: PatientPrior) -> None:
    population, name = prior.population, prior.model.name
    heavy = [n for n, v in population.parameters.items() if v.df is not None]
    away = "Leave it out of the population of a forecast, or sample the patient with pkpd.sample."
    if population.mixture is not None:
        raise FitError(f"{name}: subpopulations give a patient several modes, which a forecast does not follow. {away}")
    if heavy:
        raise FitError(f"{name}: the random effects of '{heavy[0]}' are Student's t, and a forecast takes normal ones. {away}")
    for word, found in (("over", population.occasions), ("across", population.levels)):
        if found:
            n, column = next(iter(found.items()))
            raise FitError(f"{name}: '{n}' varies {word} '{column}', and a forecast takes random effects of the patient alone. {away}")
    if not population.varying:
        raise FitError(f"{name}: no parameter varies between subjects, so a patient's samples tell nothing. Give one between=....")
    odd = [o for o in prior.observed if not isinstance(prior.noise[o], ResidualError)]
    if odd:
        raise FitError(
            f"{name}: '{odd[0]}' has a {prior.noise[odd[0]].kind} law, and a forecast takes additive, proportional, combined, lognormal and power "
            f"residual errors. Leave '{odd[0]}' out of noise, or sample the patient with pkpd.sample."
        )


def patient_prior(
    source: Fit | FitProblem | Model,
    values: Mapping[str, float] | None = None,
    *,
    population: Population | None = None,
    noise: Mapping[str, Observation] | None = None,
    draws: int = DRAWS,
    solver: Solver | None = None,
) -> PatientPrior:
    """A population as the prior of one patient: of a fit, of a fit problem at given values, or of a model with a published population.

    From a `Fit`, `draws` of its posterior are carried along, so that a forecast knows how uncertain the population is; `values` are their medians (of
    correlations the means). From a `FitProblem` or a `Model` the population is held at `values` (typical values, omega, corr, beta, sigma by name, as in
    `ebe`); what the population or `noise` hold as numbers need not be named. Returns a `PatientPrior`. Raises `FitError` for values that are missing or
    unknown, and for populations a forecast cannot take (subpopulations, occasions, levels, Student's t).

    >>> from pkpd import Population, fixed, proportional_error
    >>> from pkpd.models.classic import one_compartment_iv
    >>> people = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2))
    >>> patient_prior(one_compartment_iv, population=people, noise={"cp": proportional_error(0.15)}).effects
    ('eta_CL', 'eta_V')
    """
    if isinstance(source, Fit):
        return _of_fit(source, draws, solver)
    if isinstance(source, FitProblem):
        if values is None:
            raise FitError(f"{source.name}: a fit problem has priors and no values; give values={{...}}, as from maximise(problem).values.")
        PopulationValues(source).sampled(values)
        held = {n: float(x) for n, x in values.items()}
        return _held(source.model, source.population, source.noise, held, source.covariates, solver or source.solver)
    if population is None or noise is None:
        raise FitError(
            f"{source.name}: a model alone is no prior; give population=Population(...) and noise={{...}}, and values of what is no number."
        )
    found = {n: float(x) for n, x in (values or {}).items()}
    _check_names(source, population, noise, found)
    return _held(source, population, noise, found, {}, solver or Solver())


def _held(model: Model, population: Population, noise: Any, values: dict, known: Mapping[str, np.ndarray], solver: Solver) -> PatientPrior:
    one = {n: np.array([x]) for n, x in values.items()} or {"none": np.zeros(1)}
    return PatientPrior(model, population, noise, values, one, known, waiting(solver))


def _check_names(model: Model, population: Population, noise: Mapping[str, Observation], values: Mapping[str, float]) -> None:
    """Every estimated name has a value; coefficients of covariates are checked when a patient's covariates are known."""
    wrong = [n for n in population.parameters if n not in model.param_names]
    if wrong:
        raise FitError(f"{model.name} has no parameter '{wrong[0]}'. {choices(wrong[0], model.param_names)}")
    known = [s for s in population.sites(_levels(population, values))]
    known += [s for o in noise for s in noise[o].sites(o)]
    missing, unknown = [n for n in known if n not in values], [n for n in values if n not in known]
    if unknown:
        raise FitError(f"{model.name}: '{unknown[0]}' is no value of this population. {choices(unknown[0], known)}")
    if missing:
        raise FitError(f"{model.name}: a value of {', '.join(missing)} is missing. Give a number for each of {', '.join(known)}.")


def _levels(population: Population, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Covariates that name the coefficients in `values`: the reference of each, and for a categorical one another level."""
    found: dict[str, np.ndarray] = {}
    for n, v in population.parameters.items():
        for e in v.effects:
            word = f"beta_{n}_{e.covariate}_"
            more = [float(s.removeprefix(word)) for s in values if s.startswith(word)] or [e.reference + 1.0]
            found[e.covariate] = np.array([e.reference, *(more if e.kind == "categorical" else ())])
    width = max(map(len, found.values()), default=0)
    return {c: np.append(x, np.full(width - len(x), x[0])) for c, x in found.items()}


def _of_fit(fit: Fit, draws: int, solver: Solver | None) -> PatientPrior:
    problem = fit.problem
    if problem is None:
        raise FitError(
            "This fit was loaded without its problem, so its model is not known here: load_fit(directory, problem=problem(quick=False))."
        )
    posterior = fit.tree["posterior"].to_dataset()
    index = thin((posterior.sizes["chain"], posterior.sizes["draw"]), draws)
    flat = {n: posterior[n].to_numpy().ravel() for n in problem.population_sites}
    middle = {
        n: float(np.mean(x) if n.startswith("corr_") else np.median(x)) for n, x in flat.items()
    }  # a mean of correlation matrices is one
    kept = {n: x[index] for n, x in flat.items()}
    return PatientPrior(
        problem.model, problem.population, problem.noise, middle, kept, problem.covariates, waiting(solver or problem.solver)
    )


def told_covariates(prior: PatientPrior, table: pd.DataFrame) -> dict[str, float]:
    """The patient's covariates from the first row of a cohort's table."""
    return {c: float(table[c].iloc[0]) for c in prior.covariates}
