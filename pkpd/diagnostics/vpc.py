"""The numbers of a visual predictive check: percentiles by time bin, observed against simulated, and the censored fraction.

Rows below their limit of quantification count as lower than everything measured, in the data and in each replicate alike.
A percentile that falls among them is unknown (nan), never a substituted value.
Source: Bergstrand & Karlsson 2009, AAPS J 11:371 (VPC with censored data).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import pooled
from pkpd.diagnostics.rows import covariates, observable_rows
from pkpd.errors import FitError, choices

PERCENTILES = (5, 50, 95)
FEWEST, MOST_BINS = 4, 20


def order_statistic(values: np.ndarray, percent: float) -> np.ndarray:
    """The percentile as an order statistic along the last axis: the value of rank ceil(p n / 100), so infinities never mix.

    >>> float(order_statistic(np.array([3.0, -np.inf, 1.0, 2.0]), 50))
    1.0
    """
    ordered = np.sort(values, axis=-1)
    rank = max(1, math.ceil(percent / 100 * ordered.shape[-1] - 1e-9))
    return ordered[..., rank - 1]


def time_bins(times: np.ndarray, fewest: int = FEWEST, most: int = MOST_BINS) -> np.ndarray:
    """The bin number `[obs]` of each time (h).

    From the left, distinct times join a bin until it holds `fewest` rows; a short rest joins the last bin. While there are more than
    `most` bins, the adjacent pair with fewest rows (then the nearest in time) joins.

    >>> time_bins(np.array([0.0, 0.0, 1.0, 1.1, 24.0, 24.0]), fewest=2).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    distinct, counts = np.unique(times, return_counts=True)
    groups: list[tuple[float, float, int]] = []  # first time, last time, rows
    for time, rows in zip(distinct, counts, strict=True):
        groups.append((float(time), float(time), int(rows)))
        if len(groups) > 1 and groups[-2][2] < fewest:
            _merge(groups, len(groups) - 2)
    if len(groups) > 1 and groups[-1][2] < fewest:
        _merge(groups, len(groups) - 2)
    while len(groups) > most:
        _merge(groups, min(range(len(groups) - 1), key=lambda i: (groups[i][2] + groups[i + 1][2], groups[i + 1][0] - groups[i][1])))
    return np.searchsorted([group[0] for group in groups], times, side="right") - 1


def _merge(groups: list[tuple[float, float, int]], left: int) -> None:
    """Join a group with the one to its right."""
    first, (_, last, rows) = groups[left], groups.pop(left + 1)
    groups[left] = (first[0], last, first[2] + rows)


def vpc_table(fit: Any, observable: str, by: str | None = None, level: float = 0.9) -> pd.DataFrame:
    """The VPC of one observable: one line per (stratum, time bin).

    `by` names a covariate whose values make the strata; `level` is the width of the simulated interval.
    Columns: stratum, time, start, end (h), n, lloq and uloq (narrowest in the bin; nan when none), and per percentile p: obs_p (nan when it
    falls below the limit), sim_p_low, sim_p_mid, sim_p_high (-inf where below the limit); blq_obs, blq_low, blq_mid, blq_high.
    Raises `FitError` for an unknown observable or covariate.
    """
    table = observable_rows(fit, observable)
    table = table[table["scored"]]
    simulated = pooled(fit, "posterior_predictive", "dv_new", "obs")[:, table.index.to_numpy()]
    strata = strata_of(fit, table, by)
    lines = []
    for stratum in sorted(set(strata)):
        inside = np.flatnonzero(strata == stratum)
        lines += _stratum_lines(stratum, table.iloc[inside], simulated[:, inside], level)
    return pd.DataFrame(lines)


def strata_of(fit: Any, table: pd.DataFrame, by: str | None) -> np.ndarray:
    """The stratum of each row: "all", or "<covariate> = <value>"; raises `FitError` for an unknown covariate."""
    if by is None:
        return np.full(len(table), "all", dtype=object)
    known = covariates(fit)
    if by not in known.columns:
        raise FitError(f"This fit carries no covariate '{by}'. {choices(by, known.columns)}")
    return np.array([f"{by} = {known[by].to_dict()[s]:g}" for s in table["subject"]], dtype=object)


def _stratum_lines(stratum: str, table: pd.DataFrame, simulated: np.ndarray, level: float) -> list[dict[str, Any]]:
    bins = time_bins(table["time"].to_numpy(float))
    lines = []
    for number in range(bins.max() + 1):
        inside = np.flatnonzero(bins == number)
        lines.append({"stratum": stratum, **bin_line(table.iloc[inside], simulated[:, inside], level)})
    return lines


def bin_line(table: pd.DataFrame, simulated: np.ndarray, level: float = 0.9) -> dict[str, Any]:
    """One time bin: `table` holds its rows (time, dv, cens, lloq, uloq), `simulated` its replicates `[draw, row]`."""
    times = table["time"]
    line: dict[str, Any] = {"time": times.median(), "start": times.min(), "end": times.max(), "n": len(table)}
    line |= {"lloq": table["lloq"].max(), "uloq": table["uloq"].min()}
    lloq, uloq = table["lloq"].fillna(-np.inf).to_numpy(float), table["uloq"].fillna(np.inf).to_numpy(float)
    whole = simulated[np.isfinite(simulated).all(axis=1)]
    replicate = np.where(whole < lloq, -np.inf, np.where(whole > uloq, np.inf, whole))
    data = table["dv"].where(table["cens"] == 0, np.where(table["cens"] == 1, -np.inf, np.inf)).to_numpy(float)
    hidden = table.loc[table["cens"] == 1, "dv"].max() if (table["cens"] == 1).any() else -np.inf
    for percent in PERCENTILES:
        value = float(order_statistic(data, percent))
        line[f"obs_{percent}"] = value if np.isfinite(value) and value >= hidden else np.nan
        line |= interval(f"sim_{percent}", order_statistic(replicate, percent), level)
    line["blq_obs"] = float((table["cens"] == 1).mean())
    return line | interval("blq", (whole < lloq).mean(axis=1), level)


def interval(name: str, values: np.ndarray, level: float) -> dict[str, float]:
    """Low, middle and high order statistics of the replicates' values as <name>_low ... (low ... without a name); nan when there is no replicate."""
    tail = 50 * (1 - level)
    ends = {"low": tail, "mid": 50.0, "high": 100 - tail}
    return {
        f"{name}_{end}".lstrip("_"): float(order_statistic(values, percent)) if len(values) else np.nan for end, percent in ends.items()
    }
