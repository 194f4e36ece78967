"""The probability that a patient reaches a target, and how well it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError, choices
from pkpd.simulate.quantiles import censored, fractions, need

COLUMNS = ("probability", "low", "high", "sd", "sd_parameters", "mc_error", "missing")
BLIND = (
    "Truth values hold no NaN: a comparison with one is False, so that a subject who could not be solved counts as one who does not reach the target. "
    "Say what was compared, as in of=[cmax, hours]."
)


def target_attainment(values: Any, *, at_least: Any = None, at_most: Any = None, of: Any = None, level: float = 0.9) -> pd.DataFrame:
    """One line an arm and target: P(a subject reaches it), its credible interval over draws, and its error by Monte Carlo.

    `values` has dimensions draw and subject (arm, others): a measure of `exposure`, or truth values (a joint target, as in
    `(cmax < 20) & (time_above > 8)`), which take no limits. `at_least` and `at_most` are numbers in the measure's unit; one of them may be a sequence of
    targets. What is not known is left out, never a target missed: NaN of a measure; of truth values, which hold none, subjects who could not be solved
    (coordinate `solved` of `what_if` and `exposure`) and NaN in the measures `of` (one or several). Truth values with neither get a note in `attrs`.

    In draw d the probability p_d is a mean over its n subjects. Columns: `probability` the mean of p_d over draws; `low`, `high` their quantiles; `sd` their
    spread, of which `sd_parameters` is what the parameters' uncertainty makes (the chance of n subjects taken off); `mc_error` the standard error of
    `probability` by the numbers of draws and of people, who are the same in every draw as far as their covariates go, so that more draws do not average
    them out (too large where the subjects are all there will ever be; of one draw by its subjects, of one subject by its draws); `missing` the share left
    out. Draws are taken as independent. Raises `FitError`.

    >>> x = xr.DataArray(np.array([[1.0, 3.0], [2.0, 4.0]]), dims=("draw", "subject"), name="cmax")
    >>> target_attainment(x, at_least=2.5)[["at_least", "probability"]]
       at_least  probability
    0       2.5          0.5
    """
    need(values, "draw", "subject")
    truth = values.dtype == bool
    if truth == (at_least is not None or at_most is not None):
        raise FitError("target_attainment(...): give at_least, at_most or both for a measure; none for truth values.")
    _check_censored(values, at_least, at_most)
    if np.ndim(at_least) and np.ndim(at_most):
        raise FitError("target_attainment(...): at_least or at_most may hold several targets, not both.")
    pairs = [
        (a, b)
        for a in np.atleast_1d([np.nan] if at_least is None else at_least)
        for b in np.atleast_1d([np.nan] if at_most is None else at_most)
    ]
    known = _known(values, of)
    parts = [_line((values if truth else _within(values, a, b)).where(known), level).assign(at_least=a, at_most=b) for a, b in pairs]
    table = pd.concat(parts, ignore_index=True).dropna(axis="columns", how="all")
    keys = [c for c in table.columns if c not in COLUMNS]
    table.attrs = {"measure": str(values.name or ""), "unit": values.attrs.get("unit", "1"), "level": level}
    table.attrs |= {"notes": [BLIND]} if truth and of is None and "solved" not in values.coords else {}
    return table[[*keys, *(c for c in COLUMNS if c in table.columns)]]


def _within(values: xr.DataArray, low: float, high: float) -> xr.DataArray:
    inside = xr.ones_like(values) if np.isnan(low) else (values >= low).astype(float)
    return (inside if np.isnan(high) else inside * (values <= high)).where(values.notnull())


def _known(values: xr.DataArray, of: Any) -> xr.DataArray:
    """Where truth can be told: the subject was solved, and what was compared is no NaN."""
    known = values.notnull()
    if "solved" in values.coords:
        known = known & values["solved"]
    for measure in () if of is None else [of] if isinstance(of, xr.DataArray) else of:
        need(measure, "draw", "subject")
        try:
            known = known & xr.align(values, measure, join="exact")[1].notnull()
        except ValueError as error:
            raise FitError(f"of names '{measure.name}', whose draws, subjects or arms are not those of the values: {error}") from None
        if known.dims != values.dims:
            raise FitError(f"of names '{measure.name}' with dimensions {', '.join(map(str, measure.dims))}; the values have others.")
    return known


def _check_censored(values: xr.DataArray, *limits: Any) -> None:
    """A time that is only known to lie after the end of the runs says nothing of limits beyond that end."""
    end = values.attrs.get("censored_at")
    late = [x for limit in limits if limit is not None for x in np.atleast_1d(limit) if end is not None and x > end]
    if late and censored(values).any():
        raise FitError(
            f"'{values.name}' is censored at {end:g} h, where some profiles are still above the limit, so a target of {late[0]:g} h cannot be judged. "
            "Look at later times."
        )


def _line(reached: xr.DataArray, level: float) -> pd.DataFrame:
    tail = (1 - fractions("level", (level,))[0]) / 2
    x = reached.astype(float)
    p = x.mean("subject")
    made: dict[str, Any] = {
        "probability": p.mean("draw"),
        "low": p.quantile(tail, "draw").drop_vars("quantile"),
        "high": p.quantile(1 - tail, "draw").drop_vars("quantile"),
        **_errors(x, p),
        "missing": 1 - x.notnull().mean(("draw", "subject")),
    }
    plain = {k: v.reset_coords(drop=True) for k, v in made.items()}
    found = xr.Dataset(plain)
    return found.to_dataframe().reset_index() if found.dims else pd.DataFrame({k: [float(v)] for k, v in plain.items()})


def _errors(x: xr.DataArray, p: xr.DataArray) -> dict[str, xr.DataArray]:
    """Spread over draws and standard error of the mean of x = m + a(draw) + b(subject) + e: var a / D + var b / N + var e / (D N).

    The variances of the means of draws and of subjects are var a + var e / N and var b + var e / D; var e comes from what both leave (analysis of variance
    of a crossed layout). Exact for layouts without NaN.
    """
    q, seen = x.mean("draw"), x.notnull()
    draws, people = seen.any("subject").sum("draw"), seen.any("draw").sum("subject")
    left = seen.sum(("draw", "subject")) - draws - people + 1
    rest = ((x - p - q + p.mean("draw")) ** 2).sum(("draw", "subject")) / left.where(left > 0)
    by_draw, by_person = (m.var(d, ddof=1) if m.sizes[d] > 1 else p.mean("draw") * np.nan for m, d in ((p, "draw"), (q, "subject")))
    few = rest * (1 / seen.sum("subject").where(lambda n: n > 0)).mean("draw")
    both = by_draw / draws + by_person / people - few / draws
    error = xr.where(both > few / draws, both, few / draws).where(both.notnull(), (by_draw / draws).fillna(by_person / people))
    return {"sd": by_draw**0.5, "sd_parameters": (by_draw - few).clip(min=0.0) ** 0.5, "mc_error": error**0.5}


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
