"""Draws with labels: the groups of a fit's tree, each variable with named dimensions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.inference.approximated import Approximation
from pkpd.inference.certificate import SolverCheck
from pkpd.inference.cohort_model import prior_model
from pkpd.inference.divergent import located
from pkpd.inference.event_facts import event_facts
from pkpd.inference.failed import failed_solves
from pkpd.inference.geometry import Geometry
from pkpd.inference.identified import unseen_in
from pkpd.inference.iwres import individual_residuals
from pkpd.inference.joint import SummaryError, look_again, population_values, summary_facts, summary_group
from pkpd.inference.kinds import kinds
from pkpd.inference.log_prior import log_prior
from pkpd.inference.missing_covariates import lacking
from pkpd.inference.modes import separate_modes
from pkpd.inference.predictive import Predictive, over_draws, thin
from pkpd.inference.problem import FitProblem, Sampler
from pkpd.inference.provenance import provenance
from pkpd.inference.quality import FINAL_ESS, MEANING
from pkpd.inference.report_facts import report_facts
from pkpd.inference.reweigh import DRAWS, reweigh
from pkpd.inference.sample import Draws
from pkpd.inference.space import Space
from pkpd.inference.starts import warned as other_modes
from pkpd.inference.verdict import ESS, judge, summarise
from pkpd.noise import endpoint_of
from pkpd.population.shrink import KEPT

CURVES, PRIOR = 120, 2000
COORDINATES = "conditional"
"""How the random effects of a correlated group are stored: each partly centred given those before it (decision 19)."""


def assemble(
    space: Space, geometry: Geometry, draws: Draws, sampler: Sampler, seed: int, approximation: Approximation | None = None
) -> xr.DataTree:
    """Everything a report, a what-if or a reader of the netCDF needs, from the raw draws; `approximation` says what they are where NUTS has not made them."""
    problem, key = space.problem, jax.random.PRNGKey(seed + 1)
    k_prior, k_rows = jax.random.split(key)
    sites = _sites(space, geometry, draws.z)
    posterior = _posterior(problem, sites)
    stats, summary = sample_stats(draws, None if approximation else sampler), summarise(posterior, problem.population_sites)
    if approximation is not None:
        summary = approximation.counted(summary)
    predictive = Predictive(problem, geometry.weights)
    flat = {
        n: sites[n].reshape(-1, *sites[n].shape[2:]) for n in [*space.latent, *(["subpopulation"] if problem.population.mixture else [])]
    }
    groups = {"posterior": posterior, "sample_stats": stats, "prior": prior_draws(problem, k_prior)}
    groups |= _row_groups(problem, predictive, flat, k_rows, draws.z.shape[:2])
    own, facts, warned = (
        groups["log_likelihood"]["dv"].sum("obs", skipna=False),
        [MEANING[sampler.quality], *event_facts(predictive, flat)],
        (),
    )
    if problem.summaries:
        groups["summaries"], error = _summaries(space, flat, draws.z.shape[:2])
        own = own + groups["summaries"]["log_likelihood"].sum("summary", skipna=False)
        facts, warned = [*facts, *summary_facts(problem.published, error)], error.warned
    check = _checked(problem, posterior, geometry, own)
    constant = _constant(problem)
    failed = failed_solves(groups["posterior_predictive"], constant["subject"].to_numpy())
    hidden = unseen_in(posterior, groups["prior"], problem.population.estimated, summary)
    more = (*warned, *failed.warned, *other_modes(geometry.modes))
    if approximation is None:
        where = located(posterior, stats["diverging"], problem.population_sites)
        enough = FINAL_ESS if sampler.quality == "final" else ESS
        verdict = judge(
            summary, stats, draws.stopped, check, more, hidden, where, separate_modes(posterior, problem.population_sites), enough
        )
    else:
        verdict = approximation.judge(check, more, hidden)
    groups |= {
        "log_prior": log_prior(problem, posterior),
        "observed_data": _observed(problem),
        "constant_data": constant,
        "predictions": _curves(problem, predictive, flat, seed),
    }
    tree = xr.DataTree.from_dict({"/": xr.Dataset(), **groups})
    tree.attrs = {
        "summary": summary.to_json(orient="records", double_precision=15),
        "verdict": json.dumps(verdict.as_dict()),
        "solver_check": check.to_json(),
        "provenance": json.dumps(provenance(problem, sampler, seed) | ({"sampler": approximation.settings} if approximation else {})),
        "report": json.dumps(report_facts(problem, geometry, draws, facts, failed, approximation)),
        "coordinates": COORDINATES,
        **({"approximation": json.dumps(approximation.as_dict())} if approximation else {}),
    }
    return tree


def sample_stats(draws: Draws, sampler: Sampler | None) -> xr.Dataset:
    """What the sampler told of each draw, and where it has to do with the verdict how it was set; None where there was none."""
    stats = xr.Dataset({k: (("chain", "draw"), v) for k, v in draws.stats.items()})
    if sampler is None:
        return stats
    told = {"step_size": draws.step_size.tolist(), "warmup_divergences": draws.warmup_divergences, "max_tree_depth": sampler.max_tree_depth}
    return stats.assign_attrs(told if sampler.kernel == "nuts" else told | {"kernel": sampler.kernel})


def population_summary(space: Space, geometry: Geometry, draws: Draws) -> pd.DataFrame:
    """The summary that the verdict goes by, before anything else is predicted."""
    return summarise(_posterior(space.problem, _sites(space, geometry, draws.z)), space.problem.population_sites)


def _sites(space: Space, geometry: Geometry, z: np.ndarray) -> dict[str, np.ndarray]:
    """Every sampled and deterministic site [chain, draw, ...]."""

    def one(values: Any, key: Any) -> dict[str, Any]:
        trace = space.trace_at(values["z"], geometry.weights)
        found = {n: s["value"] for n, s in trace.items() if s["type"] in ("sample", "deterministic") and n not in ("dv", "summaries")}
        return found | kinds(space.problem, trace, found, key)

    flat = z.reshape(-1, z.shape[-1])
    out = over_draws(one, {"z": flat}, jax.random.split(jax.random.PRNGKey(0), len(flat)), batch=64)
    return {n: v.reshape(*z.shape[:2], *v.shape[1:]) for n, v in out.items()}


def _posterior(problem: FitProblem, sites: Mapping[str, np.ndarray]) -> xr.Dataset:
    subjects = list(problem.cohort.subjects)
    data: dict[str, Any] = {n: (("chain", "draw"), sites[n]) for n in problem.population_sites if n in sites}
    for name in problem.population.varying:
        for site in (f"{name}_i", f"eta_{name}"):
            data[site] = (("chain", "draw", "subject"), sites[site])
    if problem.population.mixture:
        data["subpopulation"] = (("chain", "draw", "subject"), sites["subpopulation"])
    shape, coords = next(iter(sites.values())).shape, {}
    for name, column in problem.population.levels.items():
        data[f"lambda_{name}"] = (("chain", "draw", column), sites[f"lambda_{name}"])
        coords[column] = problem.levels[f"levels:{column}"]
    data |= {n: (("chain", "draw", *(f"{n}_{i}" for i in range(v.ndim - 2))), v) for n, v in sites.items() if n.startswith(KEPT)}
    coords |= {f"missing_{c}_0": lacking(problem.cohort, c) for c in problem.population.missing if f"missing_{c}" in sites}
    return xr.Dataset(data, coords={"chain": np.arange(shape[0]), "draw": np.arange(shape[1]), "subject": subjects, **coords})


def prior_draws(problem: FitProblem, key: Any, n: int = PRIOR) -> xr.Dataset:
    """Draws of the population sites from the prior alone."""
    from numpyro import handlers

    def one(_: Any, key: Any) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(prior_model(problem), key)).get_trace()
        return {s: trace[s]["value"] for s in problem.population_sites}

    out = over_draws(one, {"i": np.arange(n)}, jax.random.split(key, n), batch=128)
    return xr.Dataset({k: (("chain", "draw"), v[None]) for k, v in out.items()}, coords={"chain": [0], "draw": np.arange(n)})


def _row_groups(
    problem: FitProblem, predictive: Predictive, flat: Mapping[str, np.ndarray], key: Any, shape: tuple[int, int]
) -> dict[str, xr.Dataset]:
    """Row-wise predictions on thinned draws, and the log-likelihood of every row on the same ones."""
    chosen = thin(shape, DRAWS)
    keys = jax.random.split(key, len(chosen))
    out = over_draws(predictive.rows, {n: v[chosen] for n, v in flat.items()}, keys)
    per_chain = len(chosen) // shape[0]
    label = lambda v: (("chain", "draw", "obs"), v.reshape(shape[0], per_chain, -1))  # noqa: E731
    loglik = out.pop("log_likelihood")
    iwres = individual_residuals(problem, out["ipred"], {n: v[chosen] for n, v in flat.items()})
    return {
        "posterior_predictive": xr.Dataset({k: label(v) for k, v in out.items()}),
        "log_likelihood": xr.Dataset({"dv": label(loglik)}),
        "residuals": xr.Dataset({"iwres": ("obs", iwres)}),
    }


def _summaries(space: Space, flat: Mapping[str, np.ndarray], shape: tuple[int, int]) -> tuple[xr.Dataset, SummaryError]:
    """Each summary's log-likelihood on the thinned draws, and its Monte Carlo error looked at again on a few of all."""
    published, chosen = space.problem.published, thin(shape, DRAWS)
    sites = population_values(flat)
    terms = over_draws(
        lambda s, _: published.terms(s), {n: v[chosen] for n, v in sites.items()}, jax.random.split(jax.random.PRNGKey(0), len(chosen))
    )
    return summary_group(published, terms.reshape(shape[0], -1, len(published.names)), error := look_again(published, sites)), error


def _checked(problem: FitProblem, posterior: xr.Dataset, geometry: Geometry, own: xr.DataArray) -> SolverCheck:
    """The solver's certificate; `own` are the log-likelihoods of the same thinned draws. Whatever goes wrong in it, the draws are kept."""
    try:
        return reweigh(problem, posterior, geometry.weights, sampled=own.to_numpy().ravel())
    except Exception as error:  # hours of sampling may lie behind these draws: a check is not worth them
        return SolverCheck(problem.predictor.chosen.name, reason=f"it ended in {type(error).__name__} ({error})")


def _curves(problem: FitProblem, predictive: Predictive, flat: Mapping[str, np.ndarray], seed: int) -> xr.Dataset:
    n = len(next(iter(flat.values())))
    chosen = np.unique(np.linspace(0, n - 1, min(CURVES, n)).astype(int))
    events = [o for o in problem.observed_names if "event" in endpoint_of(problem.observations[o])]
    one = lambda s, key: (*predictive.curves(s), *([predictive.new_curves(s, key)] if events else []))  # noqa: E731
    own, typical, *new = over_draws(
        one, {k: v[chosen] for k, v in flat.items()}, jax.random.split(jax.random.PRNGKey(seed + 2), len(chosen))
    )
    data = {}
    for i, o in enumerate(problem.model.observables):
        data[o.name] = (("chain", "draw", "curve_time", "subject"), own[None, :, :, i], {"unit": o.unit})
        data[f"{o.name}_pop"] = (("chain", "draw", "curve_time", "subject"), typical[None, :, :, i], {"unit": o.unit})
        if o.name in events:  # a Kaplan-Meier band needs whole hazards of new subjects
            data[f"{o.name}_new"] = (("chain", "draw", "curve_time", "subject"), new[0][None, :, :, i], {"unit": o.unit})
    return xr.Dataset(data, coords={"curve_time": predictive.curve_times, "subject": list(problem.cohort.subjects)})


def _observed(problem: FitProblem) -> xr.Dataset:
    return xr.Dataset({"dv": ("obs", problem.rows.dv)})


def _constant(problem: FitProblem) -> xr.Dataset:
    table = problem.cohort.observations.reset_index(drop=True).iloc[problem.rows.index]
    units = {o.name: o.unit for o in problem.model.observables}
    subject = table["subject"].to_numpy(int)
    data: dict[str, Any] = {
        "time": ("obs", table["time"].to_numpy(float)),
        "subject": ("obs", np.array([problem.cohort.subjects[i] for i in subject], dtype=object).astype(str)),
        "subject_index": ("obs", subject),
        "observable": ("obs", table["observable"].to_numpy(str)),
        "unit": ("obs", np.array([units[o] for o in table["observable"]])),
        "cens": ("obs", problem.rows.cens),
        "lower": ("obs", problem.rows.lower),
        "row": ("obs", table["row"].to_numpy(int)),
        "scored": ("obs", np.ones(len(table), bool)),
    }
    for name in problem.cohort.covariates.columns:
        values = problem.cohort.covariates[name].to_numpy()
        data[f"covariate_{name}"] = ("subject_id", values.astype(str) if values.dtype == object else values)
    return xr.Dataset(data, coords={"subject_id": list(problem.cohort.subjects)})
