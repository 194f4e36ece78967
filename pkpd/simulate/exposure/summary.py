"""`nca_summary`: the subjects of a non-compartmental analysis in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, choices

BY_RANGE = ("tmax", "tfirst", "tlast", "lambda_z_first", "lambda_z_last")
SKIPPED = ("subject", "dose_number", "dose", "dose_time", "samples", "blq", "points")


def nca_summary(table: pd.DataFrame, by: str | Sequence[str] = (), measures: Sequence[str] | None = None) -> pd.DataFrame:
    """One line a measure (and group): n, missing, mean, sd, median, min, max, geometric_mean, geometric_cv (%), unit.

    `table` is what `nca` gives, or any table with a row a subject; `by` are columns to group by (dose_number, a column of your own); `measures` are
    the columns to summarise (None: all measures). geometric_cv = 100 sqrt(exp(s^2) - 1), s the standard deviation of the logs; both geometric numbers
    are NaN where a value is not positive, and left out for times (tmax, tlast), which are told by median and range. Raises `FitError`.

    >>> nca_summary(pd.DataFrame({"subject": ["1", "2"], "cmax": [1.0, 4.0]})).round(1)[["measure", "n", "geometric_mean", "geometric_cv"]]
      measure  n  geometric_mean  geometric_cv
    0    cmax  2             2.0         127.0
    """
    groups = [by] if isinstance(by, str) else list(by)
    wanted = [c for c in table.columns if c not in (*SKIPPED, *groups) and pd.api.types.is_numeric_dtype(table[c])]
    wanted = wanted if measures is None else list(measures)
    for column in (*groups, *wanted):
        if column not in table.columns:
            raise FitError(f"This table has no column '{column}'. {choices(str(column), map(str, table.columns))}")
    parts: Any = table.groupby(groups, sort=True, dropna=False) if groups else [((), table)]
    units = table.attrs.get("units", {})
    lines = [
        dict(zip(groups, key, strict=True)) | {"measure": name} | _line(part[name], name) | {"unit": units.get(name, "1")}
        for key, part in parts
        for name in wanted
    ]
    return pd.DataFrame(lines)


def _line(values: pd.Series, name: str) -> dict[str, Any]:
    x = values.to_numpy(float)
    x = x[np.isfinite(x)]
    found: dict[str, Any] = {"n": len(x), "missing": len(values) - len(x)}
    if not len(x):
        return found | dict.fromkeys(("mean", "sd", "median", "min", "max", "geometric_mean", "geometric_cv"), np.nan)
    sd = float(x.std(ddof=1)) if len(x) > 1 else np.nan
    found |= {"mean": float(x.mean()), "sd": sd, "median": float(np.median(x)), "min": float(x.min()), "max": float(x.max())}
    if name in BY_RANGE or (x <= 0).any():
        return found | {"geometric_mean": np.nan, "geometric_cv": np.nan}
    logs = np.log(x)
    cv = 100 * float(np.sqrt(np.expm1(logs.var(ddof=1)))) if len(x) > 1 else np.nan
    return found | {"geometric_mean": float(np.exp(logs.mean())), "geometric_cv": cv}
