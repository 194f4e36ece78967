"""The likelihood of published summaries by integration over virtual subjects with fixed scrambled-Sobol normals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers

from pkpd.errors import FitError
from pkpd.inference.published import Arms, Published
from pkpd.inference.summary_checks import observables
from pkpd.population import Population
from pkpd.population.shrink import of_subjects

GOOD_ERROR = 0.1  # of a log-likelihood: what it can shift a posterior by is small against one unit


def summary_log_likelihood(
    arms_terms: Arms, population: Population, noise: Mapping[str, Any], sites: Mapping[str, Any], draws: int = 1024, seed: int = 0
) -> Any:
    """Log-likelihood of what papers report of their arms, the patients' random effects and residuals integrated out.

    sum over arms and terms of log L(term; law of one subject), the law being a mean over `draws` (a power of two) virtual subjects.
    `arms_terms` is [(arm, [term, ...]), ...]; `noise` maps observables to residual errors (lognormal, additive, proportional, combined, power);
    `sites` maps the population-level sites and `sigma_<observable>` to values. Terms of one arm are taken as independent of each other.
    Differentiable and jit-able in `sites`. Raises `FitError` for terms that do not fit the arm.

    >>> import numpyro.distributions as dist
    >>> from pkpd import Detectable, SummaryArm, lognormal
    >>> from pkpd.events import bolus
    >>> from pkpd.models.classic import one_compartment_iv
    >>> from pkpd.noise import lognormal_error
    >>> arm = SummaryArm(one_compartment_iv, bolus((100, "mg")), [0.0], 14)
    >>> law = Population(V=lognormal(dist.LogNormal(3.0, 0.5), between=dist.HalfNormal(0.5)))
    >>> at = {"V": 20.0, "omega_V": 0.4}
    >>> value = summary_log_likelihood([(arm, [Detectable("cp", at=0.0, above=5.0, count=7, of=14)])], law, {"cp": lognormal_error(0.3)}, at)
    >>> f"{value:.3f}"  # log(14!/(7! 7!)/2^14)
    '-1.563'

    Source: Monte Carlo integration over random effects, Caflisch 1998; scrambled Sobol points, Owen 1998.
    """
    return Published(arms_terms, population, noise, draws, seed).log_likelihood(sites)


def summary_error(arms_terms: Arms, population: Population, noise: Mapping[str, Any], sites: Mapping[str, Any], draws: int = 1024) -> float:
    """Monte Carlo standard error of `summary_log_likelihood` at `draws` points: its standard deviation over 8 scramblings.

    >>> summary_error([(arm, terms)], population, noise, sites)                            # doctest: +SKIP
    0.004
    """
    return Published(arms_terms, population, noise, draws).error(sites)


def enough_draws(
    arms_terms: Arms, population: Population, noise: Mapping[str, Any], sites: Mapping[str, Any], start: int = 256, most: int = 65536
) -> int:
    """The draws, doubled from `start`, at which `summary_error` at `sites` is below 0.1; `FitError` where `most` are too few.

    >>> enough_draws([(arm, terms)], population, noise, sites)                             # doctest: +SKIP
    512
    """
    draws, error = start, np.inf
    while draws <= most:
        error = summary_error(arms_terms, population, noise, sites, draws)
        if error < GOOD_ERROR:
            return draws
        draws *= 2
    raise FitError(
        f"The log-likelihood of the summaries has a standard error of {error:.2g} with {draws // 2} virtual subjects; below {GOOD_ERROR:g} is "
        "accepted. Raise `most`, or look for a term far from what the model predicts at these values."
    )


def summary_model(
    arms_terms: Arms, population: Population, noise: Mapping[str, Any], draws: int = 1024, seed: int = 0
) -> Callable[[], None]:
    """A numpyro model of summaries alone: the population-level sites, residual sds, and the factor `summaries`; no site per subject.

    >>> numpyro.infer.MCMC(numpyro.infer.NUTS(summary_model(arms_terms, population, noise)), num_warmup=500, num_samples=500)   # doctest: +SKIP
    """
    return published_model(Published(arms_terms, population, noise, draws, seed))


def published_model(published: Published) -> Callable[[], None]:
    """`summary_model` of summaries that are bound already."""

    def model() -> None:
        numpyro.factor("summaries", published.log_likelihood(summary_sites(published)))

    return model


def summary_sites(published: Published) -> dict[str, Any]:
    """Sample every population-level site and residual sd that the summaries read, by name."""
    sites, noise = _population_sites(published.population, published.levels), published.noise
    for o in observables(published.arms):
        for (prefix, _), drawn in zip(noise[o].priors, noise[o].draw(o), strict=True):
            sites[f"{prefix}_{o}"] = drawn
    return sites


def _population_sites(population: Population, covariates: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Sample every population-level site; the random effects of the subjects stay at zero and unseen."""
    n = max([len(v) for v in covariates.values()], default=1)
    quiet = lambda s: jnp.zeros(s["fn"].shape()) if s["type"] == "sample" and of_subjects(s["name"]) else None  # noqa: E731
    with handlers.block(hide_fn=lambda s: (s["type"] == "sample" and of_subjects(s["name"])) or _of_subject(s, population)):
        found = handlers.trace(handlers.substitute(population.draw, substitute_fn=quiet)).get_trace(covariates, n, {})
    return {k: s["value"] for k, s in found.items() if s["type"] == "sample" and not of_subjects(k)}


def _of_subject(site: Mapping[str, Any], population: Population) -> bool:
    return site["type"] == "deterministic" and site["name"] in {x for n in population.varying for x in (f"eta_{n}", f"{n}_i")}
