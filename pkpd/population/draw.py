"""The pieces `Population.draw` is made of: covariate effects, means, spreads, correlated groups, Box-Cox etas, occasions, levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.population.blocks import across, boxcox_eta, iov
from pkpd.population.effects import Effect
from pkpd.population.missing import column
from pkpd.population.parameters import Individual
from pkpd.population.partly_centred import PartlyCentred
from pkpd.population.shrink import Horseshoe, coefficient

Covariates = Mapping[str, Any]
"""Values [N] by name; "levels:NAME" holds the sorted distinct values of a column, "changing" the names that change within a
subject, "imputed:NAME" the values of those who lack it."""


def sampled(site: str, prior: Any) -> Any:
    """The site's value where `prior` is a distribution, else the number it is held at."""
    return numpyro.sample(site, prior) if isinstance(prior, Distribution) else jnp.asarray(prior, float)


def changes(effect: Effect, covariates: Covariates) -> bool:
    return effect.covariate in covariates.get("changing", ())


def columns(name: str, effect: Effect, covariates: Covariates) -> dict[str, np.ndarray]:
    """Design columns by site (`beta_<param>_<covariate>`); one that changes in time has a single column, over its levels."""
    c, values = effect.covariate, covariates.get(effect.covariate)
    if not changes(effect, covariates):
        return {f"beta_{name}_{x}": v for x, v in effect.columns(np.asarray(values), covariates.get(f"levels:{c}")).items()}
    made = effect.columns(np.asarray(covariates.get(f"levels:{c}", values), float))
    if len(made) != 1:
        raise FitError(
            f"The effect of {c} on '{name}' has {len(made)} coefficients and {c} changes within a subject; an effect that does has one. "
            f"Accepted are power=..., slope=... and a categorical prior=... with two levels. Merge levels of {c} until there are two."
        )
    return {f"beta_{name}_{x}": v for x, v in made.items()}


def effects(name: str, spec: Individual, covariates: Covariates, beta: Callable[[str, Effect], Any]) -> tuple[Any, dict[str, Any]]:
    """What covariates add to g(theta) [N], and `slope_<param>_<covariate>` of those that change in time, which add nothing here."""
    added, slopes = 0.0, {}
    for e in spec.effects:
        for site, x in columns(name, e, covariates).items():
            if changes(e, covariates):
                slopes[f"slope_{name}_{e.covariate}"] = jnp.asarray(beta(site, e), float) / e.per
            else:
                added = added + beta(site, e) * column(e, x, covariates)
    return added, slopes


def mean(name: str, spec: Individual, covariates: Covariates, shared: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """g(theta) + effects, theta and the coefficients sampled; and the slopes of covariates that change in time. `shared` is of horseshoes."""
    typical = sampled(name, spec.prior if spec.prior is not None else spec.value)
    added, slopes = effects(name, spec, covariates, lambda site, e: _beta(site, e.beta, shared))
    m = spec.forward(typical) + added
    return (m if spec.level is None else m + levels(name, spec, covariates)), slopes


def levels(name: str, spec: Individual, covariates: Covariates) -> Any:
    """lambda_s(i) [N]: tau z_s of the subject's level; levels that "levels:COLUMN" does not hold draw theirs at the site raw_new_<param>."""
    known, values = covariates.get(f"levels:{spec.level}"), covariates.get(str(spec.level))
    if known is None:
        raise FitError(f"'{name}' varies across '{spec.level}', whose levels are not given. Give covariates['levels:{spec.level}'].")
    if values is None:
        raise FitError(
            f"'{name}' varies across '{spec.level}', which the covariates do not hold. Add a column {spec.level} with the level of each subject; "
            "a level that was not fitted draws a deviation of its own."
        )
    own, fresh = np.asarray(values, float), np.setdiff1d(np.asarray(values, float), known)
    tau = sampled(f"tau_{name}", spec.tau)
    found = across(name, tau, len(known))
    if len(fresh):
        more = numpyro.sample(f"raw_new_{name}", dist.Normal(jnp.zeros(len(fresh)), 1.0).to_event(1))
        found = jnp.concatenate([found, tau * more])
    every = np.concatenate([known, fresh])
    order = np.argsort(every)
    return found[order[np.searchsorted(every[order], own)]]


def _beta(site: str, prior: Any, shared: Mapping[str, Any]) -> Any:
    return coefficient(site, prior, shared) if isinstance(prior, Horseshoe) else sampled(site, prior)


def group(names: tuple[str, ...], concentration: float, omegas: list[Any], means: list[Any], n: int, weights: Mapping[str, Any]) -> dict:
    """phi [n] of each name of a correlated group: each partly centred given those before it, under an LKJ correlation."""
    label, omega = "_".join(names), jnp.stack(omegas)
    chol: Any = numpyro.sample(f"chol_{label}", dist.LKJCholesky(len(names), concentration))
    corr = chol @ chol.T
    for i, a in enumerate(names):
        for j in range(i + 1, len(names)):
            numpyro.deterministic(f"corr_{a}_{names[j]}", corr[i, j])
    m = jnp.stack([jnp.broadcast_to(x, (n,)) for x in means], -1)
    w = jnp.stack(jnp.broadcast_arrays(*(jnp.asarray(weights.get(x, 0.0), float) for x in names)), -1)  # [k], or [n, k] by subject
    law = PartlyCentred(m, omega, chol, w)
    phi = law.effects(numpyro.sample(f"raw_{label}", law))
    return {x: phi[:, i] for i, x in enumerate(names)}


def bent(name: str, spec: Individual, mean: Any, phi: Any) -> tuple[Any, Any]:
    """phi and eta of a varying parameter; with a shape, what was drawn is eta itself and phi = mean + (exp(shape eta) - 1) / shape."""
    if spec.shape is None:
        return phi, phi - mean
    return mean + boxcox_eta(phi, sampled(f"shape_{name}", spec.shape)), phi


def occasions(name: str, spec: Individual, covariates: Covariates, n: int) -> dict[str, Any]:
    """`kappa_<param>_<k>` [n] at each of the K sorted levels of the occasion's column, on the transformed scale."""
    levels = covariates.get(f"levels:{spec.occasion}")
    if levels is None:
        raise FitError(f"'{name}' varies over '{spec.occasion}', whose levels are not given. Give covariates['levels:{spec.occasion}'].")
    kappa = iov(name, sampled(f"gamma_{name}", spec.gamma), n, len(levels))
    return {f"kappa_{name}_{k}": kappa[:, k] for k in range(len(levels))}
