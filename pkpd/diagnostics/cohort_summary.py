"""What data a fit saw: rows, subjects and censored fractions per observable, and the covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.rows import covariates, rows

FEW_LEVELS = 5


def observable_summary(fit: Any) -> pd.DataFrame:
    """One line per observable: observable, unit, subjects, rows, scored, below, above, below_fraction, first, last (h), low, high.

    `below` and `above` count rows censored on the left and on the right, `below_fraction` is `below`/`scored`;
    `low` and `high` are the range of the quantified values.
    """
    return pd.DataFrame([_observable(name, part) for name, part in rows(fit).groupby("observable", sort=False)])


def _observable(name: Any, part: pd.DataFrame) -> dict[str, Any]:
    scored = part[part["scored"]]
    below, above = int((scored["cens"] == 1).sum()), int((scored["cens"] == -1).sum())
    seen = scored.loc[scored["cens"] == 0, "dv"]
    return {
        "observable": name,
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
