"""Say when a what-if leaves what was studied, and which parameters drive it there: those known from data, and those that are mostly prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.diagnostics.contraction import contraction_table
from pkpd.events import Regimen
from pkpd.inference.problem import FitProblem
from pkpd.simulate.exposure import auc
from pkpd.simulate.virtual import needed

FEWEST, CHANCE, LEAST, MOST = 20, 8.0, 0.1, 3
"""Draws from which drivers are told; a share of CHANCE / draws comes about by chance less than once in 200; the least share told; the most parameters."""


def outside_the_data(
    problem: FitProblem, fit: Any, arms: Mapping[str, Regimen], times: np.ndarray, table: pd.DataFrame, share: Any = 1.0
) -> list[str]:
    """One sentence for each arm whose single or total dose, or time, exceeds what the cohort had, and for covariates; then what is prior-driven.

    `table` holds the virtual subjects, whose weights say what a dose by body size comes to; `share` multiplies their amounts.
    """
    doses = problem.cohort.doses
    doses = doses[doses["amount"] > 0]
    single, total = float(doses["amount"].max()), float(doses.groupby("subject")["amount"].sum().max())
    last = float(problem.cohort.observations["time"].max())
    most = float(np.max(share))
    given = {name: [most * x for x in _amounts(problem, r, table)] for name, r in arms.items()}
    found = [s for name, x in given.items() for s in _arm(problem, name, x, single, total)]
    if times.max() > last:
        found.append(f"Times after {last:g} h, the last observation, are extrapolation.")
    found += covariates_outside(problem, table)
    return [*found, *_prior_driven(fit)] if found else found


def covariates_outside(problem: FitProblem, table: pd.DataFrame) -> list[str]:
    """One sentence for each covariate that model or population read, and that virtual subjects have outside of the cohort's range."""
    found = []
    for name in needed(problem):
        seen, given = problem.covariates.get(name), table[name].to_numpy(float) if name in table else np.zeros(0)
        if seen is None or not np.isfinite(seen).any() or not np.isfinite(given).any():
            continue
        low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
        wrong = given[(given < low) | (given > high)]
        if len(wrong):
            span = f"{wrong.min():g}" if np.ptp(wrong) == 0 else f"{wrong.min():g} to {wrong.max():g}"
            found.append(f"{name} of {span} is extrapolation: the cohort has {low:g} to {high:g}.")
    return found


def _amounts(problem: FitProblem, regimen: Regimen, table: pd.DataFrame) -> tuple[float, float]:
    """The largest single and the largest total dose of a subject."""
    records = regimen.to_records(problem.model, subjects=table if regimen.for_model(problem.model).sizes else None)
    return (float(records["AMT"].max()), float(records.groupby("ID")["AMT"].sum().max())) if len(records) else (0.0, 0.0)


def _arm(problem: FitProblem, name: str, given: list[float], single: float, total: float) -> list[str]:
    unit = problem.model.vocabulary.doses[0].unit
    found = []
    if given[0] > single * (1 + 1e-9):
        found.append(f"{name}: extrapolation, its largest dose {_amount(given[0], unit)} exceeds the largest given, {single:g}.")
    if given[1] > total * (1 + 1e-9):
        found.append(f"{name}: extrapolation, its total dose {_amount(given[1], unit)} exceeds the largest total given, {total:g}.")
    return found


def _amount(value: float, unit: str) -> str:
    return f"{value:.4g} x {unit}" if unit[:1].isdigit() else f"{value:.4g} {unit}"


def _prior_driven(fit: Any) -> list[str]:
    if isinstance(fit, FitProblem):
        return ["Nothing was fitted: all of it is prior."]
    table = contraction_table(fit)
    share = table[table["prior_driven"]]
    if share.empty:
        return []
    named = ", ".join(f"{r['name']} ({r['ratio']:.2f})" for _, r in share.iterrows())
    return [f"The extrapolation also rests on parameters that are mostly prior (posterior sd / prior sd): {named}."]


def drivers(fit: Any, runs: xr.Dataset, sites: Mapping[str, np.ndarray], notes: list[str]) -> list[str]:
    """For each arm that is extrapolation (all, where times are) and each observable, the parameters that its area rests on most.

    The share is the squared rank correlation, over draws, of a population parameter with the area under the median subject's profile: correlated parameters
    share what they explain. Beside it, how much of the parameter is prior. Nothing below 20 draws, or where parameters do not vary.
    """
    if not notes or len(runs["draw"]) < FEWEST or not sites:
        return []
    late = any(n.startswith("Times after") for n in notes)
    arms = [str(a) for a in runs["arm"].values if late or any(n.startswith(f"{a}: extrapolation") for n in notes)]
    known = {} if isinstance(fit, FitProblem) else contraction_table(fit).set_index("name")["ratio"].to_dict()
    scalars = {n: v for n, v in sites.items() if v.ndim == 1 and np.ptp(v) > 0 and not n.startswith(("sigma", "raw_"))}
    profiles = [str(n) for n, x in runs.data_vars.items() if set(x.dims) == {"arm", "draw", "subject", "time"}]
    found = [_driven(runs[o].sel(arm=a), a, o, scalars, known) for a in arms for o in profiles if runs.sizes["time"] > 1]
    return [s for s in found if s]


def _driven(profile: xr.DataArray, arm: str, name: str, sites: Mapping[str, np.ndarray], known: Mapping[str, float]) -> str:
    middle = np.nanmedian(profile.transpose("draw", "subject", "time").values, axis=1)
    area = auc(profile["time"].values, middle, method="linear")
    if not np.isfinite(area).all() or np.ptp(area) == 0:
        return ""
    shares = {n: _rank_correlation(v, area) ** 2 for n, v in sites.items()}
    told = [n for n in sorted(shares, key=lambda n: -shares[n]) if shares[n] > max(LEAST, CHANCE / len(area))][:MOST]
    if not told:
        return ""
    words = [f"{n} ({100 * shares[n]:.0f} % of the spread between draws{_share(known, n)})" for n in told]
    return f"{arm}, {name}: its area rests most on {', '.join(words)}."


def _share(known: Mapping[str, float], name: str) -> str:
    return f"; posterior sd / prior sd {known[name]:.2f}" if name in known else ""


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(pd.Series(a).rank().corr(pd.Series(b).rank()))
