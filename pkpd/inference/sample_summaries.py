"""`sample_summaries`: a fit to published summaries alone, of patients none of whose own data are known."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.optimize import minimize

from pkpd.errors import FitError, PkpdError
from pkpd.inference.assemble import sample_stats
from pkpd.inference.certificate import SolverCheck, short
from pkpd.inference.checkpoint import Checkpoint
from pkpd.inference.fit import Fit
from pkpd.inference.geometry import Geometry
from pkpd.inference.identified import unseen_in
from pkpd.inference.joint import MOST, STEP, look_again, summary_facts, summary_group
from pkpd.inference.kept_geometry import kept_geometry
from pkpd.inference.predictive import over_draws, thin
from pkpd.inference.problem import Sampler, changed
from pkpd.inference.provenance import sampler_facts, solver_facts, state_facts, versions
from pkpd.inference.published import Arms, Published
from pkpd.inference.reweigh import DRAWS, accuracy, tighter, weigh
from pkpd.inference.sample import Draws, Kernel, run_nuts
from pkpd.inference.space import Coordinates
from pkpd.inference.summary_checks import observables
from pkpd.inference.summary_model import GOOD_ERROR, published_model, summary_sites
from pkpd.inference.verdict import judge, summarise
from pkpd.population import Population
from pkpd.solve import Solver
from pkpd.solve.choose import waiting

log = logging.getLogger("pkpd")
PRIOR = 2000


@dataclass(frozen=True, eq=False)
class SummarySpace(Coordinates):
    """The coordinates of the population's sites under summaries alone."""

    published: Published

    @cached_property
    def model(self) -> Callable:
        plain = published_model(self.published)
        return lambda weights=None: plain()

    @cached_property
    def names(self) -> list[str]:
        """Population-level scalars in report order."""
        p = self.published
        return p.population.sites(p.levels) + [s for o in observables(p.arms) for s in p.noise[o].sites(o)]


def sample_summaries(
    arms_terms: Arms,
    population: Population,
    noise: Mapping[str, Any],
    *,
    seed: int,
    name: str = "summaries",
    sampler: Sampler | None = None,
    solver: Solver | None = None,
    summary_draws: int = 1024,
    progress: bool = True,
    checkpoint: str | Path | None = None,
    **changes: Any,
) -> Fit:
    """Fit a population to what papers report of arms, with no individual data: NUTS or HMC over population-level sites, the patients integrated out.

    `arms_terms`, `population`, `noise` as for `summary_log_likelihood`; `summary_draws` virtual subjects an arm, doubled (to 16384 at most) until the
    standard error of the log-likelihood at the mode is below 0.1; `sampler` or its fields (`chains=`, `draws=`, ...) and `checkpoint` (a folder in which an
    unfinished fit is kept, from which the same call goes on) as for `sample`.
    Returns a `Fit` with groups posterior, prior, sample_stats and summaries, verdict, solver's certificate and provenance; it has no rows, so no
    report of individual fits and no what-if. Raises `FitError` where terms do not fit or the start is impossible.

    >>> fit = sample_summaries([(arm, terms)], population, noise, seed=1)                  # doctest: +SKIP
    """
    if not jax.config.jax_enable_x64:
        raise FitError("Fitting needs float64: call jax.config.update('jax_enable_x64', True) before any array is made.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise FitError(f"sample_summaries(..., seed={seed!r}): a whole number is needed; it is stored with the fit and repeats it.")
    settings = changed(sampler or Sampler(), changes)
    if settings.quality != "standard":
        raise FitError(f"sample_summaries(quality={settings.quality!r}): summaries alone are sampled by NUTS. Give quality='standard'.")
    space = SummarySpace(Published(arms_terms, population, noise, summary_draws, 0, waiting(solver or Solver())))
    kept = Checkpoint(checkpoint, _facts(space.published, settings, seed, name)) if checkpoint is not None else None
    space, geometry = _settled(space, name, kept)
    draws = run_nuts(Kernel(space, settings), geometry, settings, seed, progress, kept)
    return Fit(_assembled(space, draws, settings, seed, name))


def _settled(space: SummarySpace, name: str, kept: Checkpoint | None) -> tuple[SummarySpace, Geometry]:
    """The mode, with enough virtual subjects there."""
    while True:
        published = space.published
        geometry = kept_geometry(space, kept, lambda space=space: _mode(space, name), f"geometry_{published.draws}.npz")
        error = published.error(space.constrain(geometry.mode))
        log.info("%s: mode found; standard error of the log-likelihood %.2g with %d virtual subjects an arm", name, error, published.draws)
        if error < GOOD_ERROR or published.draws >= MOST:
            return space, geometry
        space = SummarySpace(replace(published, draws=2 * published.draws))


def _mode(space: SummarySpace, name: str) -> Geometry:
    """Mode of the unconstrained density by BFGS; metric from central differences of its gradient there, no eigenvalue below 0.25."""
    value_grad = jax.jit(jax.value_and_grad(lambda z: space.potential(z, {})))
    start = space.start({})
    if not np.isfinite(value_grad(start)[0]):
        raise FitError(f"{name}: {_why(space, start)}")
    found = minimize(lambda z: tuple(np.asarray(x, float) for x in value_grad(jnp.asarray(z))), np.asarray(start), jac=True, method="BFGS")
    slope = lambda z: np.asarray(value_grad(jnp.asarray(z))[1])  # noqa: E731
    rows = np.stack([(slope(found.x + STEP * e) - slope(found.x - STEP * e)) / (2 * STEP) for e in np.eye(len(start))])
    values, vectors = np.linalg.eigh(0.5 * (rows + rows.T))
    info = (vectors * np.clip(np.abs(values), 0.25, None)) @ vectors.T
    factor = np.linalg.inv(np.linalg.cholesky(info)).T
    return Geometry(jnp.asarray(found.x), jnp.asarray(factor), {}, float(found.fun), jnp.asarray(info))


def _why(space: SummarySpace, z: Any) -> str:
    terms = np.asarray(space.published.terms(space.constrain(z)))
    lost = [n for n, v in zip(space.published.names, terms, strict=True) if not np.isfinite(v)]
    what = f"the likelihood of the summary '{lost[0]}'" if lost else "the prior density"
    return f"at typical values {what} is not finite. Check the arm's regimen and that the priors' medians give sensible predictions."


def _assembled(space: SummarySpace, draws: Draws, sampler: Sampler, seed: int, name: str) -> xr.DataTree:
    published, shape = space.published, draws.z.shape[:2]
    flat = draws.z.reshape(-1, draws.z.shape[-1])
    sites, terms = _values(space, flat, thin(shape, DRAWS))
    posterior = _dataset(space, sites, shape)
    stats = sample_stats(draws, sampler)
    summary = summarise(posterior, space.names)
    error = look_again(published, {n: sites[n] for n in space.latent})
    check = _checked(space, posterior, flat[thin(shape, DRAWS)], terms.sum(1))
    groups = {"posterior": posterior, "sample_stats": stats, "prior": _prior(space, jax.random.PRNGKey(seed + 1))}
    groups["summaries"] = summary_group(published, terms.reshape(shape[0], -1, terms.shape[-1]), error)
    hidden = unseen_in(posterior, groups["prior"], published.population.estimated, summary)
    tree = xr.DataTree.from_dict({"/": xr.Dataset(), **groups})
    tree.attrs = {
        "summary": summary.to_json(orient="records", double_precision=15),
        "verdict": json.dumps(judge(summary, stats, draws.stopped, check, error.warned, hidden).as_dict()),
        "solver_check": check.to_json(),
        "provenance": json.dumps(_provenance(published, sampler, seed, name)),
        "report": json.dumps({"title": name, "centring": {}, "assumptions": summary_facts(published, error)}),
    }
    return tree


def _values(space: SummarySpace, flat: np.ndarray, chosen: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sites of every draw [S, ...], correlations among them; the terms' log-likelihoods [s, terms] of thinned ones."""
    from numpyro import handlers

    def one(values: Any, key: Any) -> dict[str, Any]:
        given = handlers.substitute(lambda: summary_sites(space.published), data=space.constrain(values["z"]))
        trace = handlers.trace(handlers.seed(given, key)).get_trace()
        return {n: s["value"] for n, s in trace.items() if s["type"] in ("sample", "deterministic")}

    keys = jax.random.split(jax.random.PRNGKey(0), len(flat))
    sites = over_draws(one, {"z": flat}, keys, batch=64)
    terms = over_draws(lambda v, _: space.published.terms(space.constrain(v["z"])), {"z": flat[chosen]}, keys[: len(chosen)])
    return sites, terms


def _dataset(space: SummarySpace, sites: Mapping[str, np.ndarray], shape: tuple[int, int]) -> xr.Dataset:
    kept = [n for n in sites if n in space.names or n.startswith("chol_")]
    data = {
        n: (("chain", "draw", *(f"{n}_{i}" for i in range(sites[n].ndim - 1))), sites[n].reshape(*shape, *sites[n].shape[1:])) for n in kept
    }
    return xr.Dataset(data, coords={"chain": np.arange(shape[0]), "draw": np.arange(shape[1])})


def _prior(space: SummarySpace, key: Any) -> xr.Dataset:
    from numpyro import handlers

    def one(_: Any, key: Any) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(lambda: summary_sites(space.published), key)).get_trace()
        return {n: trace[n]["value"] for n in space.names}

    return _dataset(space, over_draws(one, {"i": np.arange(PRIOR)}, jax.random.split(key, PRIOR), batch=128), (1, PRIOR))


def _checked(space: SummarySpace, posterior: xr.Dataset, flat: np.ndarray, own: np.ndarray) -> SolverCheck:
    """The solver's certificate: the thinned draws weighed by a tighter solver."""
    published = space.published
    chosen = published.predictors[0].chosen.name
    told, cure = accuracy(published.solver, chosen)
    others = tighter(published.solver, chosen)
    if not others:
        return SolverCheck(told)
    for other in others:
        try:
            close = replace(published, solver=other)
            by = close.predictors[0].chosen.name
            values = over_draws(
                lambda v, _, close=close: close.log_likelihood(space.constrain(v["z"])),
                {"z": flat},
                jax.random.split(jax.random.PRNGKey(0), len(flat)),
                batch=None,
            )
        except PkpdError as refusal:
            reason = str(refusal)
            continue
        index = thin((posterior.sizes["chain"], posterior.sizes["draw"]), DRAWS)
        table = {n: posterior[n].to_numpy().ravel()[index] for n in space.names}
        against = f"{by} (rtol {short(other.rtol)}, atol {short(other.atol)})"
        return weigh(values - own, table, SolverCheck(told, against, cure=cure))
    return SolverCheck(told, reason=f"no tighter solver can be had ({reason.rstrip('.')})")


def _facts(published: Published, sampler: Sampler, seed: int, name: str) -> dict[str, Any]:
    """What must be the same for two runs to make the same draws: provenance without time, commit, words, and the number of draws (more go on)."""
    told = _provenance(published, sampler, seed, name)
    told["solver"].pop("reason")
    told["sampler"].pop("draws")
    return {k: v for k, v in told.items() if k not in ("created", "commit")} | state_facts()


def _provenance(published: Published, sampler: Sampler, seed: int, name: str) -> dict[str, Any]:
    models = {arm.model.name: arm.model.digest for arm, _ in published.arms}
    return {
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "sampler": sampler_facts(sampler),
        "solver": solver_facts(published.solver, published.predictors[0].chosen),
        "models": models,
        "summaries": {"terms": published.names, "draws": published.draws},
        **versions(),
    }
