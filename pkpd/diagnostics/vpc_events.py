"""The numbers of a visual predictive check of events: Kaplan-Meier curves, or mean cumulative counts, of the data and of simulated studies.

Events are simulated from the cumulative hazard H(t) of the dense curves of new subjects: the time T of a single event solves H(T) = E, E ~ Exp(1);
recurrent ones are a Poisson process of mean H. A subject without an event is followed to its last row, one with an event to the end of the study, as
nobody knows when it would have been lost. Where single events of the data are known to an interval only, simulated ones move to the next time of any row of
the observable; recurrent ones known so count as one at its end, in the data only.
Source: Kaplan & Meier 1958, J Am Stat Assoc 53:457; Nelson 2003, Recurrent Events Data Analysis (mean cumulative function).
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import absent, need, pooled
from pkpd.diagnostics.residuals import residual_key
from pkpd.diagnostics.rows import endpoint, observable_rows, subject_ids
from pkpd.diagnostics.vpc import interval, strata_of

GRID, REPEATS = 120, 5
"""Points of the curves, and studies simulated from each draw."""


def kaplan_meier(time: np.ndarray, event: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Product-limit survival S [..., g] on a grid, of follow-up times [..., n] and whether they end in an event (else censored).

    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), np.array([0.5, 1.0, 2.5, 3.0])).round(3).tolist()
    [1.0, 0.667, 0.667, 0.0]
    """
    order = np.lexsort((~event, time), axis=-1)  # at a tie the event comes first
    time, event = np.take_along_axis(time, order, -1), np.take_along_axis(event, order, -1)
    n = time.shape[-1]
    steps = np.cumprod(1 - event / (n - np.arange(n)), axis=-1)
    before = np.concatenate([np.ones((*steps.shape[:-1], 1)), steps], -1)
    passed = np.apply_along_axis(lambda t: np.searchsorted(t, grid, side="right"), -1, time)
    return np.take_along_axis(before, passed, -1)


def mean_count(time: np.ndarray, end: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Mean cumulative count [g]: each event at `time` [m] adds one over the subjects still followed, `end` [n] being their last times.

    >>> mean_count(np.array([1.0, 2.0]), np.array([1.5, 3.0]), np.array([1.0, 2.0])).tolist()
    [0.5, 1.5]
    """
    time = np.sort(time)
    steps = np.concatenate([[0.0], np.cumsum(1 / (end >= time[:, None]).sum(1))]) if len(time) else np.zeros(1)
    return steps[np.searchsorted(time, grid, side="right")]


def follow_up(table: pd.DataFrame) -> pd.DataFrame:
    """One line a subject: time (h) of its event or else of its last row, and whether it is an event; for single events."""
    events = table[table["dv"] == 1].groupby("subject", sort=False)["time"].min()
    last = table.groupby("subject", sort=False)["time"].max()
    return pd.DataFrame({"time": events.reindex(last.index).fillna(last), "event": last.index.isin(events.index)})


def event_table(fit: Any, observable: str, by: str | None = None, level: float = 0.9) -> pd.DataFrame:
    """Survival (single events) or mean cumulative count (recurrent ones): one line per (stratum, time).

    Columns: stratum, time (h), at_risk, obs, and low, mid, high in simulated studies. A fit made before curves of new subjects were stored shows those of its
    own subjects. Raises `FitError` for an unknown observable or covariate, or where the fit has no curves.
    """
    table = observable_rows(fit, observable)
    table = table[table["scored"]]
    strata, lines = strata_of(fit, table, by), []
    key = residual_key(fit)
    for number, stratum in enumerate(sorted(set(strata))):
        part = table[strata == stratum]
        subjects = list(dict.fromkeys(part["subject"]))
        times, hazard = _hazard(fit, observable, subjects)
        grid = np.unique(np.concatenate([np.linspace(0.0, part["time"].max(), GRID), part.loc[part["dv"] == 1, "time"]]))
        read = _recurrent if endpoint(fit, observable) == "recurrent event" else _single
        visits = np.unique(table["time"]) if (table["cens"] == 1).any() else np.array([])
        obs, sim, end = read(part, subjects, times, hazard, grid, visits, jax.random.fold_in(key, number))
        bands = [interval("", sim[:, k], level) for k in range(len(grid))]
        lines += [
            {"stratum": stratum, "time": t, "at_risk": int((end >= t).sum()), "obs": o, **b}
            for t, o, b in zip(grid, obs, bands, strict=True)
        ]
    return pd.DataFrame(lines)


def _hazard(fit: Any, observable: str, subjects: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Times [T] from 0 on and cumulative hazards [draw, subject, T]."""
    name = observable if absent(fit, f"predictions/{observable}_new") else f"{observable}_new"
    values = pooled(fit, "predictions", name, "subject", "curve_time")
    values = values[np.isfinite(values).all(axis=(1, 2))]
    ids = subject_ids(fit)
    values = np.maximum.accumulate(np.maximum(values[:, [ids.index(s) for s in subjects]], 0.0), -1)
    times = np.asarray(need(fit, "predictions")["predictions"]["curve_time"].values, float)
    if times[0] > 0:
        times, values = np.concatenate([[0.0], times]), np.concatenate([np.zeros((*values.shape[:2], 1)), values], -1)
    return times, values


def _single(
    part: pd.DataFrame, subjects: list[str], times: np.ndarray, hazard: np.ndarray, grid: np.ndarray, visits: np.ndarray, key: jax.Array
) -> tuple[Any, ...]:
    seen = follow_up(part).loc[subjects]
    time, event = seen["time"].to_numpy(float), seen["event"].to_numpy(bool)
    end = np.where(event, part["time"].max(), time)
    drawn = np.asarray(jax.random.exponential(key, (REPEATS, *hazard.shape[:2])), float)
    when = np.empty_like(drawn)
    for d, i in np.ndindex(*hazard.shape[:2]):
        when[:, d, i] = np.interp(drawn[:, d, i], hazard[d, i], times, right=np.inf)
    when = when.reshape(-1, len(subjects))
    if len(visits):
        when = np.append(visits, np.inf)[np.searchsorted(visits, when)]
    happened = when <= end
    simulated = kaplan_meier(np.where(happened, when, end), happened, grid)
    return kaplan_meier(time, event, grid), simulated, time


def _recurrent(
    part: pd.DataFrame, subjects: list[str], times: np.ndarray, hazard: np.ndarray, grid: np.ndarray, visits: np.ndarray, key: jax.Array
) -> tuple[Any, ...]:
    end = part.groupby("subject")["time"].max().loc[subjects].to_numpy(float)
    fine = np.unique(np.concatenate([grid, end]))
    stops = np.minimum(fine, end[:, None])
    rise = np.array([[np.diff(np.interp(stops[i], times, draw[i]), prepend=0.0) for i in range(len(end))] for draw in hazard])
    counts = np.asarray(jax.random.poisson(key, np.maximum(rise, 0.0), (REPEATS, *rise.shape))).sum(axis=2).reshape(-1, len(fine))
    total = np.cumsum(counts / np.maximum((end >= fine[:, None]).sum(1), 1), -1)
    return mean_count(part.loc[part["dv"] == 1, "time"].to_numpy(float), end, grid), total[:, np.searchsorted(fine, grid)], end
