"""The likelihood of each subject with its random effects integrated out, at draws of a fit: what leaving a subject out needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from pkpd.diagnostics.layout import need
from pkpd.errors import FitError
from pkpd.inference.cohort_model import measurement, sds_from
from pkpd.inference.predictive import Predictive, over_draws, thin
from pkpd.inference.problem import FitProblem
from pkpd.population.shrink import KEPT

DRAWS, POINTS, WIDER = 200, 512, 1.3
"""Draws of the population, points of the integral at each, and how much wider (in variance) than the posterior its points are spread. Too few points add
noise that a tail fit takes for influence: of the flagship's 14 subjects 13 have k above 0.7 with 32 points and 1 with 512."""


def subject_log_likelihood(fit: Any, *, draws: int = DRAWS, points: int = POINTS) -> xr.DataArray:
    """ln p(y_i | population) [chain, draw, subject] at thinned draws of a fit that has its problem; nan where no point could be solved.

    p(y_i | theta) = mean over points u_k ~ q_i of p(y_i | theta, u_k) N(u_k; 0, 1) / q_i(u_k), u the standard normal effects of the subject and q_i the
    normal law of their posterior, its variance times 1.3; points in antithetic pairs, with fixed keys. Levels, missing covariates and a subject's residual
    spread stay as drawn.
    Raises `FitError` for a fit without its problem, for subpopulations and for etas of Student's t.

    >>> subject_log_likelihood(fit).sizes                                                  # doctest: +SKIP
    Frozen({'chain': 4, 'draw': 50, 'subject': 12})
    """
    problem = _problem(fit)
    posterior = need(fit, "posterior")["posterior"].to_dataset()
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    effects = _effects(problem, posterior)
    mean, factor = _spread(np.concatenate([e.reshape(*e.shape[:2], -1) for e in effects.values()], 2)) if effects else (None, None)
    chosen = thin(shape, draws)
    one = lambda sites, key: _marginal(problem, sites, key, effects, mean, factor, points)  # noqa: E731
    found = over_draws(
        one, _population(problem, posterior, chosen, effects), jax.random.split(jax.random.PRNGKey(0), len(chosen)), batch=None
    )
    coords = {"chain": posterior["chain"], "draw": np.arange(len(chosen) // shape[0]), "subject": list(problem.cohort.subjects)}
    return xr.DataArray(found.reshape(shape[0], -1, len(problem.cohort.subjects)), dims=("chain", "draw", "subject"), coords=coords)


def can_integrate(fit: Any) -> bool:
    """Whether `subject_log_likelihood` can be had: a problem, subjects of one kind, normal etas."""
    problem = getattr(fit, "problem", None)
    return problem is not None and problem.population.mixture is None and all(v.df is None for v in problem.population.parameters.values())


def _problem(fit: Any) -> FitProblem:
    problem = getattr(fit, "problem", None)
    if problem is None:
        raise FitError(
            "The likelihood of a subject needs the fit's problem; load it with load_fit(directory, problem=problem(quick=False))."
        )
    if not can_integrate(fit):
        raise FitError(
            f"{problem.name}: random effects are integrated out for subjects of one kind with normal etas; this population has other ones."
        )
    return problem


def _population(problem: FitProblem, posterior: xr.Dataset, chosen: np.ndarray, effects: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """All sampled sites but the integrated effects, at the chosen draws."""
    known = [n for n in problem.population_sites if not n.startswith("corr_")]
    more = [str(n) for n in posterior.data_vars if str(n).startswith(KEPT) and n not in effects]
    return {n: posterior[n].to_numpy().reshape(-1, *posterior[n].shape[2:])[chosen] for n in (*known, *more) if n in posterior}


def _effects(problem: FitProblem, posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Standard normal effects at every draw, by the sampler's site: [draw, subject] or [draw, subject, k]."""
    found, population = {}, problem.population
    standard = {n: _standard(problem, posterior, n) for n in population.varying}
    for group in population.correlation:
        label = "_".join(group.names)
        chol, own = _flat(posterior, f"chol_{label}"), np.stack([standard.pop(n) for n in group.names], -1)
        found[f"raw_{label}"] = np.linalg.solve(chol[:, None], own[..., None])[..., 0]
    found |= {f"raw_{n}": v[..., None] for n, v in standard.items()}
    return found | {f"raw_occ_{n}": _flat(posterior, f"raw_occ_{n}") for n in population.occasions}


def _flat(posterior: xr.Dataset, name: str) -> np.ndarray:
    return posterior[name].to_numpy().reshape(-1, *posterior[name].shape[2:])


def _standard(problem: FitProblem, posterior: xr.Dataset, name: str) -> np.ndarray:
    omega = _flat(posterior, f"omega_{name}")[:, None] if f"omega_{name}" in posterior else problem.population.parameters[name].between
    return _flat(posterior, f"eta_{name}") / omega


def _spread(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [subject, q] and Cholesky factor [subject, q, q] of the widened posterior law of u [draw, subject, q]."""
    centred = u - u.mean(0)
    covariance = WIDER * np.einsum("dni,dnj->nij", centred, centred) / len(u)
    return u.mean(0), np.linalg.cholesky(covariance + 1e-9 * np.eye(u.shape[-1]))


def _marginal(problem: FitProblem, sites: Mapping[str, Any], key: Any, effects: dict, mean: Any, factor: Any, points: int) -> Any:
    """[subject] at one draw of the population."""
    if not effects:
        return _by_subject(problem, sites)
    half = jax.random.normal(key, (points // 2, *mean.shape))
    u, weight = _weighted(jnp.concatenate([half, -half]), mean, factor)
    logs = jax.lax.map(lambda x: _by_subject(problem, {**sites, **_raw(problem, sites, effects, x)}), u) + weight
    return jax.scipy.special.logsumexp(jnp.where(jnp.isnan(logs), -jnp.inf, logs), axis=0) - jnp.log(points)


def _weighted(eps: Any, mean: Any, factor: Any) -> tuple[Any, Any]:
    """Points u = mean + A eps [points, subject, q], and ln N(u; 0, 1) - ln q(u) of each."""
    u = mean + jnp.einsum("nij,pnj->pni", factor, eps)
    width = jnp.log(jnp.diagonal(jnp.asarray(factor), axis1=1, axis2=2)).sum(-1)
    return u, 0.5 * (eps**2 - u**2).sum(-1) + width


def _raw(problem: FitProblem, sites: Mapping[str, Any], effects: Mapping[str, np.ndarray], u: Any) -> dict[str, Any]:
    """The non-centred sampler's sites of effects u [subject, q]."""
    found, start = {}, 0
    for name, e in effects.items():
        own, start = u[:, start : start + e.shape[-1]], start + e.shape[-1]
        single = name.removeprefix("raw_") in problem.population.varying
        found[name] = own[:, 0] if single else own
    return found


def _by_subject(problem: FitProblem, sites: Mapping[str, Any]) -> Any:
    rows = measurement(problem, Predictive(problem, {}).individual(sites), sds_from(problem, sites)).log_prob(jnp.asarray(problem.rows.dv))
    subject = problem.cohort.observations["subject"].to_numpy(int)[problem.rows.index]
    return jax.ops.segment_sum(rows, jnp.asarray(subject), num_segments=len(problem.cohort.subjects))
