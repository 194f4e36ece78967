"""The statistical model as one plain numpyro function: the same for prior, fit and prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from pkpd.inference.problem import FitProblem
from pkpd.noise import Joined, Measurement, Mixed, ObservedRows
from pkpd.population.mixture import SHARES, of_kind
from pkpd.population.shrink import of_subjects


def cohort_model(problem: FitProblem) -> Callable[..., None]:
    """A numpyro model `model(weights={}, observed=True)`: population sites, random effects, and the site `dv` over the scored rows.

    With published summaries, the factor `summaries` beside it.

    `weights` maps a varying parameter to its centring weight (0 non-centred, 1 centred); `observed=False` leaves `dv` to be sampled, which is
    the prior or posterior predictive. Any NumPyro inference runs on it.

    >>> numpyro.infer.MCMC(numpyro.infer.NUTS(cohort_model(problem)), num_warmup=500, num_samples=500)   # doctest: +SKIP
    """

    def model(weights: Mapping[str, Any] | None = None, observed: bool = True) -> None:
        with handlers.trace() as seen:
            theta, sds = parameters(problem, weights)
        fn = measurement(problem, theta, sds)
        numpyro.sample("dv", fn, obs=jnp.asarray(problem.rows.dv) if observed else None)
        if problem.summaries and observed:
            sites = {n: s["value"] for n, s in seen.items() if s["type"] == "sample" and not of_subjects(n)}
            numpyro.factor("summaries", problem.published.log_likelihood(sites))

    return model


def prior_model(problem: FitProblem) -> Callable[..., None]:
    """`cohort_model` without the measurements: nothing is solved."""

    def model(weights: Mapping[str, Any] | None = None) -> None:
        parameters(problem, weights)

    return model


def parameters(problem: FitProblem, weights: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Individual parameters, and the parameters of each observation (standard deviations, cutpoints, ...)."""
    theta = problem.population.draw(problem.design, len(problem.cohort.subjects), weights or {})
    return theta, {o: problem.observations[o].draw(o) for o in problem.observed_names}


def measurement(
    problem: FitProblem, theta: Mapping[str, Any], sds: Mapping[str, list[Any]], observed: Mapping[str, ObservedRows] | None = None
) -> Measurement | Joined | Mixed:
    """The distribution of every scored row under individual parameters and the parameters of each observation; summed over kinds left open.

    `observed` stands in the place of the rows of each observable that the laws see.
    """
    one = partial(_plain if problem.residual_only else _joined, observed=observed)
    if SHARES not in theta:
        return one(problem, theta, sds)
    laws = [one(problem, of_kind(theta, k + 1), sds) for k in range(len(theta[SHARES]))]
    subject = problem.cohort.observations["subject"].to_numpy(int)[problem.rows.index]
    return Mixed(laws, theta[SHARES], subject, len(problem.cohort.subjects))


def _plain(
    problem: FitProblem, theta: Mapping[str, Any], sds: Mapping[str, list[Any]], observed: Mapping[str, ObservedRows] | None
) -> Measurement:
    """Residual errors alone: all rows in one normal law."""
    rows = problem.rows
    f = problem.predictor(theta)[rows.index]
    mean, sd = jnp.zeros_like(f), jnp.ones_like(f)
    for i, o in enumerate(problem.observed_names):
        here = rows.observable == i
        error: Any = problem.observations[o]
        m, s = error.mean_sd(jnp.where(here, f, 1.0), sds[o])
        mean, sd = jnp.where(here, m, mean), jnp.where(here, s, sd)
    if observed is None:
        return Measurement(mean, sd, rows.logs, rows.cens, rows.lower)
    return Measurement(mean, sd, rows.logs, _laid(problem, observed, "cens"), _laid(problem, observed, "lower"))


def _laid(problem: FitProblem, observed: Mapping[str, ObservedRows], field: str) -> np.ndarray:
    """A field of the rows of each observable, in the order of the scored rows."""
    found = np.empty_like(getattr(problem.rows, field))
    for i, o in enumerate(problem.observed_names):
        found[problem.rows.observable == i] = getattr(observed[o], field)
    return found


def _joined(
    problem: FitProblem, theta: Mapping[str, Any], sds: Mapping[str, list[Any]], observed: Mapping[str, ObservedRows] | None
) -> Joined:
    """A law for each observable, on its own rows."""
    bound, rows = problem.predictor, problem.rows
    table = bound.observables(theta)[0]
    laws, places = [], []
    for i, o in enumerate(problem.observed_names):
        at = np.flatnonzero(rows.observable == i)
        index = rows.index[at]

        def also(name: str, index: np.ndarray = index) -> Any:
            if name.startswith("values:"):
                return sds[name.removeprefix("values:")]
            return _of(problem, table, name, index)

        laws.append(problem.observations[o].law(_of(problem, table, o, index), sds[o], (observed or problem.observed_rows)[o], also))
        places.append(at)
    return Joined(laws, places, len(rows.dv))


def _of(problem: FitProblem, table: Any, name: str, index: np.ndarray) -> Any:
    """One observable at the times of some rows."""
    plan = problem.predictor.plan
    return table[plan.row_time[index], problem.model.observable_names.index(name), plan.row_lane[index]]


def sds_from(problem: FitProblem, sites: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Parameters of each observation, from values of the sampled sites (fixed ones from the problem)."""
    return {o: [sites.get(f"{prefix}_{o}", prior) for prefix, prior in problem.observations[o].priors] for o in problem.observed_names}
