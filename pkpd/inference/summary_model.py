"""The likelihood of published summaries by integration over virtual subjects with fixed scrambled-Sobol normals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro import handlers
from numpyro.distributions import Distribution
from scipy.stats import norm, qmc

from pkpd.errors import FitError, choices
from pkpd.inference.summaries import Detectable, DetectableJointly, Seen, SummaryArm
from pkpd.noise.measurement import TINY
from pkpd.population import Population
from pkpd.population.shrink import of_subjects

SCRAMBLINGS = 8
GOOD_ERROR = 0.1  # of a log-likelihood: what it can shift a posterior by is small against one unit
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

    Raises `FitError` for a population-level site that is not among `sites`, and for random effects that are not the subject's own or not normal.
    """
    check_population(population)
    effects = _effects(normals)

    def value(site: dict) -> Any:
        if site["type"] != "sample":
            return None
        if of_subjects(site["name"]):
            return effects(site)
        if site["name"] not in sites:
            raise FitError(f"The summaries need a value of the site '{site['name']}'. {choices(site['name'], sites)}")
        return sites[site["name"]]

    if population.mixture is not None:
        raise FitError(
            "Published summaries under subpopulations are not supported: leave `mixture` out of the Population of the summaries."
        )
    with handlers.block():
        model = handlers.seed(handlers.substitute(population.draw, substitute_fn=value), jax.random.PRNGKey(0))
        return model(covariates, len(normals), {})


def _effects(normals: Any) -> Callable[[dict], Any]:
    """Gives each raw_ site its columns of `normals`, in the order in which the population asks."""
    used = 0

    def value(site: dict) -> Any:
        nonlocal used
        law = site["fn"].base_dist
        width = law.event_shape[0] if law.event_shape else 1
        own = jnp.asarray(normals)[:, used : used + width]
        used += width
        return own @ law.scale_tril.reshape(-1, width, width)[0].T if law.event_shape else own[:, 0]

    return value


def summary_log_likelihood(
    arms_terms: Arms, population: Population, noise: Mapping[str, Any], sites: Mapping[str, Any], draws: int = 1024, seed: int = 0
) -> Any:
    """Log-likelihood of what papers report of their arms, the patients' random effects and residuals integrated out.

    sum over arms and terms of log L(term; law of one subject), the law being a mean over `draws` (a power of two) virtual subjects.
    `arms_terms` is [(arm, [term, ...]), ...]; `noise` maps observables to `lognormal_error`; `sites` maps the population-level sites and
    `sigma_<observable>` to values. Terms of one arm are taken as independent of each other. The patients of an arm whose covariates differ are
    taken as drawn from its table. Differentiable and jit-able in `sites`. Raises `FitError` for terms that do not fit the arm.

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal
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
    check_summaries(arms_terms, noise)
    return _value(arms_terms, population, noise, sites, _normals(arms_terms, population, draws, seed))


def summary_error(arms_terms: Arms, population: Population, noise: Mapping[str, Any], sites: Mapping[str, Any], draws: int = 1024) -> float:
    """Monte Carlo standard error of `summary_log_likelihood` at `draws` points: its standard deviation over 8 scramblings.

    >>> summary_error([(arm, terms)], population, noise, sites)                            # doctest: +SKIP
    0.004
    """
    check_summaries(arms_terms, noise)
    value = jax.jit(lambda s, z: _value(arms_terms, population, noise, s, z))
    values = [float(value(dict(sites), _normals(arms_terms, population, draws, seed))) for seed in range(1, SCRAMBLINGS + 1)]
    return float(np.std(values, ddof=1))


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
    check_summaries(arms_terms, noise)
    normals = _normals(arms_terms, population, draws, seed)
    seen = _every_level(arms_terms, population)

    def model() -> None:
        sites = _population_sites(population, seen)
        for o in _observables(arms_terms):
            for (prefix, _), drawn in zip(noise[o].priors, noise[o].draw(o), strict=True):
                sites[f"{prefix}_{o}"] = drawn
        numpyro.factor("summaries", _value(arms_terms, population, noise, sites, normals))

    return model


def _population_sites(population: Population, covariates: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Sample every population-level site; the random effects of the subjects stay at zero and unseen."""
    n = max([len(v) for v in covariates.values()], default=1)
    quiet = lambda s: jnp.zeros(s["fn"].shape()) if s["type"] == "sample" and of_subjects(s["name"]) else None  # noqa: E731
    with handlers.block(hide_fn=lambda s: (s["type"] == "sample" and of_subjects(s["name"])) or _of_subject(s, population)):
        found = handlers.trace(handlers.substitute(population.draw, substitute_fn=quiet)).get_trace(covariates, n, {})
    return {k: s["value"] for k, s in found.items() if s["type"] == "sample" and not of_subjects(k)}


def _of_subject(site: Mapping[str, Any], population: Population) -> bool:
    return site["type"] == "deterministic" and site["name"] in {x for n in population.varying for x in (f"eta_{n}", f"{n}_i")}


def _value(arms_terms: Arms, population: Population, noise: Mapping[str, Any], sites: Mapping[str, Any], normals: Sequence[Any]) -> Any:
    levels = _every_level(arms_terms, population)
    total = jnp.asarray(0.0)
    for (arm, terms), z in zip(arms_terms, normals, strict=True):
        seen = _seen(arm, _observables([(arm, terms)]), population, noise, sites, z, levels)
        total = total + sum(term.log_likelihood(seen) for term in terms)
    return total


def _seen(
    arm: SummaryArm,
    observables: Sequence[str],
    population: Population,
    noise: Mapping[str, Any],
    sites: Mapping[str, Any],
    normals: Any,
    levels: Mapping[str, np.ndarray],
) -> Seen:
    draws, extra = len(normals), max([len(v) for v in levels.values()], default=0)
    table = arm.table(draws)
    covariates = {c: np.concatenate([table[c].to_numpy(float), levels[c]]) for c in levels}
    padded = jnp.concatenate([jnp.asarray(normals), jnp.zeros((extra, normals.shape[1]))])
    theta = {n: v[:draws] if jnp.ndim(v) else v for n, v in virtual_subjects(population, sites, padded, covariates).items()}
    values = arm.predictor(draws).observables(theta)[0]
    log_f = {o: jnp.log(jnp.maximum(values[:, i], TINY)) for i, o in enumerate(arm.model.observable_names)}
    return Seen(np.asarray(arm.times_h, float), theta, log_f, {o: _sigma(o, noise, sites) for o in observables})


def _sigma(observable: str, noise: Mapping[str, Any], sites: Mapping[str, Any]) -> Any:
    ((prefix, prior),) = noise[observable].priors
    name = f"{prefix}_{observable}"
    if isinstance(prior, Distribution) and name not in sites:
        raise FitError(f"The summaries need a value of the site '{name}'. {choices(name, sites)}")
    return jnp.asarray(sites.get(name, prior), float)


def _every_level(arms_terms: Arms, population: Population) -> dict[str, np.ndarray]:
    """Values of each covariate in any arm, and the references, [same length]: so that an arm of one level names the effects as all arms do."""
    effects = [e for v in population.parameters.values() for e in v.effects]
    found: dict[str, np.ndarray] = {}
    for e in effects:
        lacking = [arm.name for arm, _ in arms_terms if e.covariate not in (arm.covariates or {})]
        if lacking:
            raise FitError(
                f"The population reads the covariate '{e.covariate}', which arm '{lacking[0]}' does not have; add it to covariates=."
            )
        own = [np.ravel(np.asarray(arm.covariates[e.covariate], float)) for arm, _ in arms_terms if arm.covariates]
        if any(np.isnan(x).any() for x in own):
            raise FitError(f"The covariate '{e.covariate}' of an arm has values that are missing; give a number for each patient.")
        found[e.covariate] = np.unique(np.concatenate([*own, [e.reference], found.get(e.covariate, [])]))
    most = max([len(v) for v in found.values()], default=0)
    return {c: np.resize(v, most) for c, v in found.items()}


def _normals(arms_terms: Arms, population: Population, draws: int, seed: int) -> list[np.ndarray]:
    check_population(population)
    return [sobol_normals(len(population.varying), draws, 1000 * seed + i) for i in range(len(arms_terms))]


def _observables(arms_terms: Arms) -> list[str]:
    return list(dict.fromkeys(t.observable for _, terms in arms_terms for t in terms if t.observable is not None))


def check_population(population: Population) -> None:
    """Raise a `FitError` for random effects that normals of one subject do not make: of occasions, of levels, of Student's t."""
    for name, spec in population.parameters.items():
        told = f"The likelihood of summaries integrates over normal random effects of each patient, and '{name}' "
        if spec.occasion is not None:
            raise FitError(f"{told}varies over '{spec.occasion}'. Leave .over('{spec.occasion}', ...) out.")
        if spec.level is not None:
            raise FitError(f"{told}varies across '{spec.level}', whose deviation patients share. Leave .across('{spec.level}', ...) out.")
        if spec.df is not None:
            raise FitError(f"{told}has those of Student's t. Leave .tails(...) out.")


def check_summaries(arms_terms: Arms, noise: Mapping[str, Any]) -> None:
    """Raise a `FitError` for the first term that does not fit its arm, its observable's residual error, or another term."""
    for arm, terms in arms_terms:
        for term in terms:
            _check_term(arm, term, noise)
        _check_apart(arm, terms)


def _check_term(arm: SummaryArm, term: Any, noise: Mapping[str, Any]) -> None:
    where, kind = f"{type(term).__name__} of arm '{arm.name}'", term.observable
    if kind is not None and kind not in arm.model.observable_names:
        raise FitError(f"{where}: {arm.model.name} has no observable '{kind}'. {choices(kind, arm.model.observable_names)}")
    if kind is not None and kind not in noise:
        raise FitError(f"{where}: noise has no residual error of '{kind}'. {choices(kind, noise)}")
    if kind is not None and noise[kind].kind != "lognormal":
        raise FitError(f"{where}: '{kind}' has a {noise[kind].kind} residual error; summaries take lognormal_error only.")
    for t in term.visits:
        if not np.isclose(arm.times_h, t, rtol=1e-9, atol=1e-9).any():
            raise FitError(
                f"{where}: there is no visit at {t:g} h; the arm's times_h are {', '.join(f'{x:g}' for x in arm.times_h)}. Add it."
            )
    if not 1 <= term.of <= arm.n_patients:
        raise FitError(f"{where}: of={term.of}, and the arm has {arm.n_patients} patients; of lies between 1 and that.")
    wrong = term.wrong()
    if wrong:
        raise FitError(f"{where}: {wrong}.")


def _check_apart(arm: SummaryArm, terms: Sequence[Any]) -> None:
    """Counts of the same patients at two visits are not independent."""
    seen: dict[str, str] = {}
    for term in (t for t in terms if isinstance(t, Detectable | DetectableJointly)):
        visits = ", ".join(f"{t:g}" for t in term.visits)
        if term.observable in seen:
            raise FitError(
                f"Arm '{arm.name}' has two counts of detectable '{term.observable}', at {seen[term.observable]} h and at {visits} h: the same "
                "patients, so not independent. Give one DetectableJointly with the number of patients of each pattern, or keep one visit."
            )
        seen[term.observable] = visits


def check_no_overlap(label: str, arms: Sequence[SummaryArm]) -> None:
    """Raise a `FitError` where an arm's `patients` are those of the individual cohort `label`: their data would count twice."""
    twice = [arm.name for arm in arms if arm.patients and arm.patients == label]
    if twice:
        raise FitError(
            f"Arm '{twice[0]}' summarises the patients '{label}', whose individual data are in the fit: they would count twice. "
            "Leave the arm out, or the individual data."
        )
