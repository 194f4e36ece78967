"""What happens under another regimen: the posterior carried through every arm with the same random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.events.body import SIZES
from pkpd.inference.fit import Fit
from pkpd.inference.predictive import Predictive, over_draws
from pkpd.inference.problem import FitProblem
from pkpd.simulate.extrapolation import outside_the_data
from pkpd.simulate.grid import Design, design


def what_if(
    fit: Fit,
    arms: Mapping[str, Regimen],
    *,
    times: Any,
    key: Any,
    subjects: str = "new",
    n_subjects: int = 100,
    draws: int = 100,
    covariates: pd.DataFrame | None = None,
) -> xr.Dataset:
    """Predict every observable under each regimen: an xarray Dataset with dims (arm, draw, subject, time), without residual error.

    `times` (h) rise. `subjects="new"` draws random effects from the fitted variability for `n_subjects` virtual subjects, whose covariates are
    resampled from the cohort unless a table is given; "posterior" uses the cohort's own subjects. Draws and random effects are the same in every arm,
    so differences between arms are sharp. A fit that did not converge gives runs marked
    `attrs["converged"] = 0`, which plots badge and the report withholds. `attrs["extrapolation"]` says what lies outside the studied doses.

    Raises `FitError` when the fit carries no problem or a value has no use.

    >>> runs = what_if(fit, {"double": bolus((640, "mg"))}, times=[1, 2, 4, 8], key=jax.random.PRNGKey(0))   # doctest: +SKIP
    """
    problem = _problem(fit)
    if subjects not in ("new", "posterior"):
        raise FitError(f"what_if(subjects={subjects!r}): 'new' (virtual subjects) or 'posterior' (the cohort's own).")
    if not arms:
        raise FitError("what_if needs at least one arm, as in {'D1': infusion(cells(5e9))}.")
    pick, vary = jax.random.split(key)
    table = _subjects(problem, subjects, n_subjects, covariates, pick)
    sites, weights = _draws(fit, draws)
    keys = jax.random.split(vary, len(next(iter(sites.values()))))
    found = {n: _arm(problem, r, n, times, table, subjects, sites, keys, weights) for n, r in arms.items()}
    return _label(problem, fit, arms, found, np.asarray(times, float), table)


def _problem(fit: Fit) -> FitProblem:
    if fit.problem is None:
        raise FitError(
            "This fit was loaded without its problem, so its model is not known here: load_fit(directory, problem=problem(quick=False))."
        )
    return fit.problem


def _subjects(problem: FitProblem, subjects: str, n: int, covariates: pd.DataFrame | None, key: Any) -> pd.DataFrame:
    own = pd.DataFrame(problem.covariates, index=range(len(problem.cohort.subjects)))
    if subjects == "posterior":
        return own
    if covariates is not None:
        return covariates.reset_index(drop=True)
    rows = np.asarray(jax.random.randint(key, (n,), 0, len(own)))
    return own.iloc[rows].reset_index(drop=True)


def _draws(fit: Fit, draws: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Evenly spaced posterior draws of every sampled site, flattened over chains."""
    posterior = fit.tree["posterior"].to_dataset()
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    chosen = np.unique(np.linspace(0, total - 1, min(draws, total)).astype(int))
    names = [n for n in posterior.data_vars if not str(n).endswith("_i") and not str(n).startswith(("eta_", "corr_", "lambda_"))]
    flat = {str(n): posterior[n].to_numpy().reshape(total, *posterior[n].shape[2:])[chosen] for n in names}
    weights = {n: jnp.asarray(w) for n, w in fit.centring.items()}
    return flat, weights


def _arm(
    problem: FitProblem, regimen: Regimen, name: str, times: Any, table: pd.DataFrame, subjects: str, sites: Any, keys: Any, weights: Any
) -> np.ndarray:
    """[draw, time, observable, subject]"""
    read = {*problem.fitted_model.covariate_names, *(SIZES[size][0] for size in regimen.for_model(problem.model).sizes)}
    arm: Design = design(problem.fitted_model, regimen, times, table[[c for c in table if c in read]], name, solver=problem.solver)
    predictive = Predictive(problem, weights)
    covariates = {c: table[c].to_numpy(float) for c in table}

    def one(values: Any, key: Any) -> Any:
        theta = predictive.individual(values) if subjects == "posterior" else predictive.new(values, key, covariates, len(table))
        return arm.predictor.observables(theta)[0]

    return over_draws(one, sites, keys, batch=2)


def _label(
    problem: FitProblem, fit: Fit, arms: Mapping[str, Regimen], found: dict[str, np.ndarray], times: np.ndarray, table: pd.DataFrame
) -> xr.Dataset:
    stacked = np.stack(list(found.values()))
    dims = ("arm", "draw", "subject", "time")
    data = {o.name: (dims, np.moveaxis(stacked[:, :, :, i], 2, 3), {"unit": o.unit}) for i, o in enumerate(problem.model.observables)}
    coords = {"arm": list(found), "draw": np.arange(stacked.shape[1]), "subject": np.arange(len(table)), "time": times}
    covariates = {c: ("subject", table[c].to_numpy(float)) for c in table}
    regimens = {n: repr(r) for n, r in arms.items()}
    notes = outside_the_data(problem, fit, arms, times, table)
    attrs = {
        "simulated": int(problem.simulated),
        "extrapolation": notes,
        "regimens": [f"{n}: {r}" for n, r in regimens.items()],
        "time_unit": "h",
    }
    attrs["converged"] = int(fit.verdict.converged)
    return xr.Dataset(data, coords=coords | covariates, attrs=attrs)
