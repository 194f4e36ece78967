"""What data a fit saw: rows, subjects and censored fractions per observable, and the covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.rows import NUMBERS, covariates, endpoint, observable_rows, rows

FEW_LEVELS = 5


def observable_summary(fit: Any) -> pd.DataFrame:
    """One line per observable: observable, endpoint, unit, subjects, rows, scored, below, above, below_fraction, first, last (h), low, high.

    `below` and `above` count rows censored on the left and on the right, `below_fraction` is `below`/`scored`;
    `low` and `high` are the range of the quantified values.
    """
    parts = rows(fit).groupby("observable", sort=False)
    return pd.DataFrame([_observable(name, part, endpoint(fit, str(name))) for name, part in parts])


def value_counts(fit: Any, observable: str) -> list[tuple[float, int, int]]:
    """Each value of an endpoint in whole numbers: the value, its scored rows, and all scored rows."""
    table = observable_rows(fit, observable)
    counts = table.loc[table["scored"], "dv"].value_counts().sort_index()
    return [(float(value), int(n), int(counts.sum())) for value, n in counts.items()]


def _observable(name: Any, part: pd.DataFrame, kind: str = "continuous") -> dict[str, Any]:
    scored = part[part["scored"]]
    limited = scored["cens"] if kind in NUMBERS else 0 * scored["cens"]  # an event known to an interval is no value below a limit
    below, above = int((limited == 1).sum()), int((limited == -1).sum())
    seen = scored.loc[limited == 0, "dv"]
    return {
        "observable": name,
        "endpoint": kind,
        "unit": part["unit"].iloc[0],
        "subjects": part["subject"].nunique(),
        "rows": len(part),
        "scored": len(scored),
        "below": below,
        "above": above,
        "below_fraction": below / len(scored) if len(scored) else np.nan,
        "first": part["time"].min(),
        "last": part["time"].max(),
        "low": seen.min() if len(seen) else np.nan,
        "high": seen.max() if len(seen) else np.nan,
    }


def covariate_summary(fit: Any) -> dict[str, str]:
    """Each covariate in words: the count of every level where there are at most five, else median and range."""
    return {str(name): _in_words(values) for name, values in covariates(fit).items()}


def _in_words(values: pd.Series) -> str:
    lacking = int(values.isna().sum())
    if lacking:
        return f"{_in_words(values.dropna())}, missing: {lacking} {'subject' if lacking == 1 else 'subjects'}"
    levels = values.value_counts().sort_index()
    if len(levels) <= FEW_LEVELS:
        return ", ".join(f"{level:g}: {count} {'subject' if count == 1 else 'subjects'}" for level, count in levels.items())
    return f"median {values.median():.3g}, range {values.min():.3g} to {values.max():.3g}"
