"""`uncertain_prior`: a population whose values are held becomes one whose values are uncertain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError, choices
from pkpd.simulate.sampling_slopes import estimated

SIGNED = ("beta_", "shape_")
"""Values that may have either sign: coefficients of covariates, and Box-Cox shapes."""


def uncertain_prior(prior: PatientPrior, cv: float | Mapping[str, float], *, draws: int = 50, seed: int = 1) -> PatientPrior:
    """The same population with uncertain values, as `draws`: `cv` is the coefficient of variation, one number for all or numbers by name.

    A typical value is drawn on the scale on which it varies between subjects, so that it stays where it must: lognormal, logit-normal (between 0 and 1;
    the cv then holds to first order) or normal. Standard deviations are lognormal; coefficients of covariates and shapes normal, with sd = cv times
    their size. Values that are 0 stay, and so do correlations, whose draws would have to make a matrix of correlations: take `patient_prior(fit)` for
    those. For ED criteria, `virtual_people` and `simulate_trials`. Raises `FitError` for names that are not known, correlations and values of 0 that are
    named, and a cv that is negative.

    >>> uncertain_prior(prior, {"CL": 0.2}).draws["CL"].std()                               # doctest: +SKIP
    """
    names = estimated(prior)
    named = dict(cv) if isinstance(cv, Mapping) else {}
    wide = named if isinstance(cv, Mapping) else dict.fromkeys((n for n in names if not n.startswith("corr_")), cv)
    _check(prior, names, named, wide, draws)
    z = np.asarray(jax.random.normal(jax.random.key(seed), (len(names), draws)))
    return replace(prior, draws={n: _drawn(prior, n, float(wide.get(n, 0.0)), z[i]) for i, n in enumerate(names)})


def _check(prior: PatientPrior, names: tuple[str, ...], named: Mapping[str, float], wide: Mapping[str, float], draws: int) -> None:
    for n in named:
        if n not in names:
            raise FitError(f"'{n}' is no value of this population. {choices(n, names)}")
        if n.startswith("corr_"):
            raise FitError(
                f"uncertain_prior(cv={{'{n}': {named[n]!r}}}): a correlation has no coefficient of variation. Leave it out: it stays at "
                f"{prior.values[n]:g}; or take patient_prior(fit), whose draws have uncertain correlations."
            )
        if prior.values[n] == 0 and named[n] > 0:
            raise FitError(
                f"uncertain_prior(cv={{'{n}': {named[n]!r}}}): the value is 0, of which any coefficient of variation is 0. Leave it out."
            )
    if any(not 0 <= x < np.inf for x in wide.values()):
        raise FitError(f"uncertain_prior(cv={(dict(named) or next(iter(wide.values())))!r}): coefficients of variation are 0 or more.")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise FitError(f"uncertain_prior(draws={draws!r}): a whole number of at least 1 is needed.")


def _drawn(prior: PatientPrior, name: str, cv: float, z: np.ndarray) -> np.ndarray:
    """Draws [D] of one value around the one it has."""
    value, spec = prior.values[name], prior.population.parameters.get(name)
    if spec is None and name.startswith(SIGNED):
        return value + cv * abs(value) * z
    if spec is None or (spec.scale == "log" and spec.own is None):
        return value * np.exp(np.sqrt(np.log1p(cv**2)) * z)
    slope = jax.grad(lambda x: jnp.asarray(spec.forward(x), float))(float(value))
    return np.asarray(spec.back(spec.forward(float(value)) + cv * abs(value) * float(slope) * z))
