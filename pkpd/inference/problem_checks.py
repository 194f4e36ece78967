"""What of a fit problem does not fit together, in sentences. `problem` is a `FitProblem`, which imports this file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpyro.distributions import Distribution, LogNormal

from pkpd.components.words import MEANS, in_support
from pkpd.errors import choices
from pkpd.inference.missing_covariates import wrong_missing
from pkpd.inference.over_time import wrong_columns, wrong_levels
from pkpd.inference.summary_checks import observables
from pkpd.noise import Observation, ResidualError, reads_of
from pkpd.population import Individual
from pkpd.population.medians import median
from pkpd.population.table import family

RESERVED = ("omega_", "sigma_", "beta_", "corr_", "eta_", "raw_", "chol_", "gamma_", "kappa_", "slope_", "shape_", "tau_", "lambda_", "df_")
RESERVED += ("share_", "shift_", "split_", "subpopulation", "shrink_", "local_", "slab_", "missing_")
_WANTS = {"positive": ("log",), "nonnegative": ("log", "identity"), "unit": ("logit",), "real": ("identity", "log", "logit")}


def wrong_parameters(problem: Any) -> list[str]:
    """Sentences on parameters that the model does not have, or that vary as they cannot."""
    model, population, cohort = problem.model, problem.population, problem.cohort
    found = []
    for name, spec in population.parameters.items():
        if name in model.param_names:
            found += [
                *_wrong_name(name),
                *_wrong_scale(problem, name, spec),
                *_wrong_median(problem, name, spec),
                *_wrong_weights(problem, name, spec),
                *_wrong_effects(problem, name, spec),
            ]
        else:
            found.append(f"Population names '{name}', which {model.name} does not have. {choices(name, model.param_names)}")
    return [*found, *wrong_columns(population, cohort), *wrong_levels(model, population, cohort), *wrong_missing(model, population, cohort)]


def _wrong_name(name: str) -> Iterator[str]:
    like = [x for x in RESERVED if name.startswith(x)]
    if like:
        yield f"'{name}' begins like a site of the fit ({like[0]}...); give the parameter another name."


def _wrong_scale(problem: Any, name: str, spec: Individual) -> Iterator[str]:
    support = problem.model.param(name).support
    if spec.own is not None:
        if not spec.own.within(support):
            yield f"'{name}' has support '{support}' and its transform {spec.own.words} has values {spec.own.told}; take one inside."
    elif spec.tied_to is None and spec.value is None and spec.scale not in _WANTS[support]:
        word = {"log": "lognormal", "logit": "logit_normal", "identity": "normal"}[_WANTS[support][0]]
        yield f"'{name}' has support '{support}'; use {word}(...), not the {spec.scale} scale."


def _wrong_median(problem: Any, name: str, spec: Individual) -> Iterator[str]:
    """A prior whose middle is no value that the parameter may have: most often a median where its logarithm is meant."""
    support = problem.model.param(name).support
    if spec.own is not None or not isinstance(spec.prior, Distribution) or spec.scale not in _WANTS[support]:
        return
    middle = float(np.ravel(median(spec.prior))[0])
    if not in_support(middle, support):
        hint = ""
        if isinstance(spec.prior, LogNormal):
            first = float(np.ravel(spec.prior.loc)[0])
            hint = f" LogNormal takes the logarithm of the median: for {first:g} write {np.log(first):.3g}." if first > 0 else ""
        yield f"'{name}' has support '{support}' ({MEANS[support]}); its prior ({family(spec.prior)}) has the median {middle:g}.{hint}"


def _wrong_weights(problem: Any, name: str, spec: Individual) -> Iterator[str]:
    given, n = np.size(spec.centred) if np.ndim(spec.centred) else 0, len(problem.cohort.subjects)
    if given and given != n:
        yield (
            f"'{name}' has {given} centring weights and {problem.cohort.name} has {n} subjects; "
            "give one for each in the order of cohort.subjects, or one number."
        )


def _wrong_effects(problem: Any, name: str, spec: Individual) -> Iterator[str]:
    known = list(problem.cohort.covariates)
    for e in spec.effects:
        if e.covariate not in known:
            yield f"'{name}' has an effect of {e.covariate}, which the cohort does not carry. {choices(e.covariate, known)}"


def wrong_noise(problem: Any) -> list[str]:
    """Sentences on observables without a residual error, and residual errors without rows."""
    measured = sorted(set(problem.cohort.observations.loc[problem.cohort.observations["scored"].astype(bool), "observable"]))
    known = [*measured, *(o for o in observables(problem.summaries) if o not in measured)]
    found = [f"noise names '{o}', which is not measured here. {choices(o, known)}" for o in problem.noise if o not in known]
    return found + [
        f"'{o}' is measured but has no residual error; add noise['{o}'] = lognormal_error(...)." for o in measured if o not in problem.noise
    ]


def wrong_rows(problem: Any) -> list[str]:
    """What the observations cannot score; and other observables that they read and the model does not have."""
    known = problem.model.observable_names
    found = [
        f"noise['{o}'] reads '{r}', which {problem.model.name} does not observe. {choices(r, known)}"
        for o in problem.observed_names
        for r in reads_of(problem.noise[o])
        if r not in known
    ]
    found += [text for o in problem.observed_names for text in _wrong_partner(problem.noise, o)]
    found += [text for o in problem.observed_names for text in problem.observations[o].check(problem.observed_rows[o])]
    own = {
        f"{word}_{n}": n
        for n, v in problem.population.parameters.items()
        for word in ("tau", "df")
        if isinstance(getattr(v, word), Distribution)
    }
    return found + [
        f"'{s}' stands for the random effects of the parameter '{own[s]}' and for the residual of '{o}'; rename one of them."
        for o in problem.observed_names
        for s in problem.observations[o].sites(o)
        if s in own
    ]


def _wrong_partner(noise: Mapping[str, Observation], observable: str) -> list[str]:
    """A residual correlated with that of another observable must name the residual error that this one has."""
    inner: Any = noise[observable]
    while not hasattr(inner, "other_error") and hasattr(inner, "error"):
        inner = inner.error
    stated, other = getattr(inner, "other_error", None), getattr(inner, "other", "")
    if stated is None or other not in noise:
        return []
    has = noise[other]
    if type(has) is ResidualError and [p for p, _ in has.priors] == [p for p, _ in stated.priors] and has.equation == stated.equation:
        return []
    return [
        f"noise['{observable}'] is correlated with '{other}' as {stated.kind}, and noise['{other}'] is {has.kind}; "
        f"give both the same plain residual error."
    ]
