"""The statistical model as one plain numpyro function: the same for prior, fit and prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpyro

from pkpd.inference.problem import FitProblem
from pkpd.noise import Measurement


def cohort_model(problem: FitProblem) -> Callable[..., None]:
    """A numpyro model `model(weights={}, observed=True)`: population sites, random effects, and the site `dv` over the scored rows.

    `weights` maps a varying parameter to its centring weight (0 non-centred, 1 centred); `observed=False` leaves `dv` to be sampled, which is
    the prior or posterior predictive. Any NumPyro inference runs on it.

    >>> numpyro.infer.MCMC(numpyro.infer.NUTS(cohort_model(problem)), num_warmup=500, num_samples=500)   # doctest: +SKIP
    """

    def model(weights: Mapping[str, Any] | None = None, observed: bool = True) -> None:
        fn = measurement(problem, *_parameters(problem, weights))
        numpyro.sample("dv", fn, obs=jnp.asarray(problem.rows.dv) if observed else None)

    return model


def prior_model(problem: FitProblem) -> Callable[..., None]:
    """`cohort_model` without the measurements: nothing is solved."""

    def model(weights: Mapping[str, Any] | None = None) -> None:
        _parameters(problem, weights)

    return model


def _parameters(problem: FitProblem, weights: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Individual parameters, and residual standard deviations by observable."""
    theta = problem.population.draw(problem.covariates, len(problem.cohort.subjects), weights or {})
    return theta, {o: problem.noise[o].draw(o) for o in problem.observed_names}


def measurement(problem: FitProblem, theta: Mapping[str, Any], sds: Mapping[str, list[Any]]) -> Measurement:
    """The distribution of every scored row under individual parameters and residual standard deviations."""
    rows = problem.rows
    f = problem.predictor(theta)[rows.index]
    mean, sd = jnp.zeros_like(f), jnp.ones_like(f)
    for i, o in enumerate(problem.observed_names):
        here = rows.observable == i
        m, s = problem.noise[o].mean_sd(jnp.where(here, f, 1.0), sds[o])
        mean, sd = jnp.where(here, m, mean), jnp.where(here, s, sd)
    return Measurement(mean, sd, rows.logs, rows.cens, rows.lower)


def sds_from(problem: FitProblem, sites: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Residual standard deviations by observable, from values of the population sites (fixed ones from the problem)."""
    return {o: [sites.get(f"{prefix}_{o}", prior) for prefix, prior in problem.noise[o].priors] for o in problem.observed_names}
