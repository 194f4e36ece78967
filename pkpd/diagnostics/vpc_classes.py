"""The numbers of a visual predictive check of yes-or-no, graded and state endpoints: proportions by time bin, observed against simulated.

Source: Karlsson & Savic 2007, Clin Pharmacol Ther 82:17 (simulation-based checks, categorical data among them).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import pooled
from pkpd.diagnostics.rows import endpoint, observable_rows
from pkpd.diagnostics.vpc import interval, strata_of, time_bins


def proportion_table(fit: Any, observable: str, by: str | None = None, level: float = 0.9) -> pd.DataFrame:
    """Proportions of one observable: one line per (stratum, class, time bin).

    Classes: "1" of a binary endpoint, ">= g" for each grade above the lowest, "= k" for each state. Columns: stratum, class, time, start, end (h), n, obs,
    and low, mid, high of the same proportion in simulated studies of new subjects (`level` is the width). Raises `FitError` for an unknown observable or
    covariate.
    """
    table = observable_rows(fit, observable)
    table = table[table["scored"]]
    simulated = pooled(fit, "posterior_predictive", "dv_new", "obs")[:, table.index.to_numpy()]
    simulated = simulated[np.isfinite(simulated).all(axis=1)]
    strata, lines = strata_of(fit, table, by), []
    for stratum in sorted(set(strata)):
        inside = np.flatnonzero(strata == stratum)
        bins = time_bins(table["time"].to_numpy(float)[inside])
        for name, member in classes(endpoint(fit, observable), table["dv"].to_numpy(float), simulated).items():
            lines += [
                {"stratum": stratum, "class": name, **_bin(table.iloc[inside[bins == b]], simulated[:, inside[bins == b]], member, level)}
                for b in range(bins.max() + 1)
            ]
    return pd.DataFrame(lines)


def classes(kind: str, values: np.ndarray, simulated: np.ndarray) -> dict[str, Any]:
    """What is counted, by name: for each class a function of values that says which belong to it.

    >>> list(classes("grades", np.array([0.0, 2.0]), np.array([[1.0, 2.0]])))
    ['>= 1', '>= 2']
    """
    levels = np.unique(np.concatenate([values, simulated.ravel()]))
    if kind == "binary":
        return {"1": lambda v: v == 1}
    if kind == "grades":
        return {f">= {g:g}": lambda v, g=g: v >= g for g in levels[1:]}
    return {f"= {k:g}": lambda v, k=k: v == k for k in levels}


def _bin(table: pd.DataFrame, simulated: np.ndarray, member: Any, level: float) -> dict[str, Any]:
    times = table["time"]
    line = {"time": times.median(), "start": times.min(), "end": times.max(), "n": len(table)}
    line["obs"] = float(member(table["dv"].to_numpy(float)).mean())
    return line | interval("", member(simulated).mean(axis=1), level)
