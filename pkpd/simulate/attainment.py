"""The probability that a patient reaches a target, and how well it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError, choices
from pkpd.simulate.quantiles import fractions, need

COLUMNS = ("probability", "low", "high", "sd", "sd_parameters", "mc_error")


def target_attainment(values: Any, *, at_least: Any = None, at_most: Any = None, level: float = 0.9) -> pd.DataFrame:
    """One line an arm and target: P(a subject reaches it), its credible interval over draws, and its error by Monte Carlo.

    `values` has dimensions draw and subject (arm, others): a measure of `exposure`, or truth values (a joint target, as in
    `(cmax < 20) & (time_above > 8)`), which take no limits. `at_least` and `at_most` are numbers in the measure's unit; one of them may be a sequence of
    targets. In draw d the probability p_d is a mean over its n subjects (of those who could be solved). Columns: `probability` the mean of p_d over draws;
    `low`, `high` their quantiles; `sd` their spread, of which `sd_parameters` is what the parameters' uncertainty makes (the binomial variance
    p_d (1 - p_d) / (n - 1) taken off); `mc_error` the standard error of `probability` by the numbers of draws and subjects (of one draw, by its
    subjects). Raises `FitError`.

    >>> x = xr.DataArray(np.array([[1.0, 3.0], [2.0, 4.0]]), dims=("draw", "subject"), name="cmax")
    >>> target_attainment(x, at_least=2.5)[["at_least", "probability"]]
       at_least  probability
    0       2.5          0.5
    """
    need(values, "draw", "subject")
    truth = values.dtype == bool
    if truth == (at_least is not None or at_most is not None):
        raise FitError("target_attainment(...): give at_least, at_most or both for a measure; none for truth values.")
    if np.ndim(at_least) and np.ndim(at_most):
        raise FitError("target_attainment(...): at_least or at_most may hold several targets, not both.")
    pairs = [
        (a, b)
        for a in np.atleast_1d([np.nan] if at_least is None else at_least)
        for b in np.atleast_1d([np.nan] if at_most is None else at_most)
    ]
    parts = [_line(values if truth else _within(values, a, b), level).assign(at_least=a, at_most=b) for a, b in pairs]
    table = pd.concat(parts, ignore_index=True).dropna(axis="columns", how="all")
    keys = [c for c in table.columns if c not in COLUMNS]
    table.attrs = {"measure": str(values.name or ""), "unit": values.attrs.get("unit", "1"), "level": level}
    return table[[*keys, *(c for c in COLUMNS if c in table.columns)]]


def _within(values: xr.DataArray, low: float, high: float) -> xr.DataArray:
    inside = xr.ones_like(values) if np.isnan(low) else (values >= low).astype(float)
    return (inside if np.isnan(high) else inside * (values <= high)).where(values.notnull())


def _line(reached: xr.DataArray, level: float) -> pd.DataFrame:
    tail = (1 - fractions("level", (level,))[0]) / 2
    p = reached.astype(float).mean("subject")
    n = reached.notnull().sum("subject")
    draws = p.sizes["draw"]
    binomial = (p * (1 - p) / (n - 1).where(n > 1)).mean("draw")
    spread = p.var("draw", ddof=1) if draws > 1 else p.isel(draw=0, drop=True) * np.nan
    made: dict[str, Any] = {
        "probability": p.mean("draw"),
        "low": p.quantile(tail, "draw").drop_vars("quantile"),
        "high": p.quantile(1 - tail, "draw").drop_vars("quantile"),
        "sd": np.sqrt(spread),
        "sd_parameters": np.sqrt((spread - binomial).clip(min=0.0)),
        "mc_error": np.sqrt(spread / draws if draws > 1 else binomial),
    }
    plain = {k: v.reset_coords(drop=True) for k, v in made.items()}
    found = xr.Dataset(plain)
    return found.to_dataframe().reset_index() if found.dims else pd.DataFrame({k: [float(v)] for k, v in plain.items()})


def class_probabilities(runs: xr.Dataset, observable: str, *, at: Any = None, level: float = 0.9) -> pd.DataFrame:
    """One line an arm, time and class of an observable in classes: the probability of a patient, with its credible interval over draws.

    `runs` is what `what_if` gives for a model with a binary, ordinal or recist observable (a response, a CRS grade); `at` are times (h) of the runs (None:
    all). Columns: arm, time, class, probability (the mean over subjects, then over draws), low, high; of grades besides `at_or_above`, the probability of
    that grade or a higher one. Raises `FitError`.

    >>> class_probabilities(runs, "crs", at=[48.0])                                      # doctest: +SKIP
    """
    name, dim = f"{observable}_probability", f"{observable}_class"
    if name not in runs:
        known = [str(n).removesuffix("_probability") for n in runs.data_vars if str(n).endswith("_probability")]
        raise FitError(f"These runs have no classes of '{observable}'. {choices(observable, known)}")
    chosen = _at(runs[name], at).mean("subject")
    tail = (1 - fractions("level", (level,))[0]) / 2
    parts = {"probability": chosen.mean("draw")} | {
        n: chosen.quantile(q, "draw").drop_vars("quantile") for n, q in (("low", tail), ("high", 1 - tail))
    }
    if all(str(c).isdigit() for c in chosen[dim].values):
        parts["at_or_above"] = chosen.mean("draw").isel({dim: slice(None, None, -1)}).cumsum(dim).isel({dim: slice(None, None, -1)})
    made = xr.Dataset(parts).rename({dim: "class"})
    return made.to_dataframe(dim_order=["arm", "time", "class"]).reset_index()


def _at(values: xr.DataArray, at: Any) -> xr.DataArray:
    if at is None:
        return values
    times = values["time"].values
    missing = [x for x in np.atleast_1d(np.asarray(at, float)) if not np.isclose(times, x).any()]
    if missing:
        raise FitError(f"These runs were not looked at at {missing[0]:g} h; add it to the times of what_if.")
    return values.sel(time=np.atleast_1d(np.asarray(at, float)), method="nearest")
