"""Local sensitivities: one parameter at a time is moved between two values, all others stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError


def local_sensitivity(measure: Callable[[Mapping[str, Any]], Any], values: Mapping[str, float], ranges: Any = 0.2) -> pd.DataFrame:
    """One line a parameter, the widest first: the measure with it at `low` and at `high`, all others at `values`.

    `measure` takes {name: [K]} and gives [K] (`exposure_of` makes one). `ranges` is a share (0.2: from x / 1.2 to 1.2 x) or maps parameters to
    (low, high), as of a posterior's 5 % and 95 % quantiles; those it leaves out are not moved. Columns: parameter, low, high, at_low, at_high, base,
    width = abs(at_high - at_low), elasticity = ln(at_high / at_low) / ln(high / low), NaN where something is not positive. Raises `FitError`.

    >>> found = local_sensitivity(lambda p: 100.0 / p["CL"] + 0.0 * p["V"], {"CL": 4.0, "V": 20.0})
    >>> found[["parameter", "elasticity"]].round(6)
      parameter  elasticity
    0        CL        -1.0
    1         V         0.0
    """
    pairs = _ranges(values, ranges)
    names = list(pairs)
    sets = {n: np.full(2 * len(names) + 1, float(v)) for n, v in values.items()}
    for i, n in enumerate(names):
        sets[n][2 * i + 1], sets[n][2 * i + 2] = pairs[n]
    found = np.asarray(measure(sets), float)
    if found.shape != (2 * len(names) + 1,):
        raise FitError(f"The measure of {2 * len(names) + 1} sets of parameters has shape {found.shape}; it gives one number a set.")
    lines = [_line(n, pairs[n], found[2 * i + 1], found[2 * i + 2], found[0]) for i, n in enumerate(names)]
    return pd.DataFrame(lines).sort_values("width", ascending=False, ignore_index=True)


def _ranges(values: Mapping[str, float], ranges: Any) -> dict[str, tuple[float, float]]:
    if isinstance(ranges, Mapping):
        unknown = [n for n in ranges if n not in values]
        if unknown:
            raise FitError(f"ranges names '{unknown[0]}', which has no value. Give values['{unknown[0]}'].")
        pairs = {n: (float(low), float(high)) for n, (low, high) in ranges.items()}
    else:
        if isinstance(ranges, bool) or not isinstance(ranges, int | float) or not ranges > 0:
            raise FitError(f"ranges={ranges!r}: a share above 0, as 0.2, or (low, high) by parameter.")
        pairs = {n: (float(v) / (1 + ranges), float(v) * (1 + ranges)) for n, v in values.items()}
    wrong = [n for n, (low, high) in pairs.items() if not low < high]
    if wrong:
        raise FitError(f"'{wrong[0]}' goes from {pairs[wrong[0]][0]:g} to {pairs[wrong[0]][1]:g}; low must be below high.")
    return pairs


def _line(name: str, pair: tuple[float, float], at_low: float, at_high: float, base: float) -> dict[str, Any]:
    low, high = pair
    positive = min(low, high, at_low, at_high) > 0
    slope = np.log(at_high / at_low) / np.log(high / low) if positive else np.nan
    ends = {"low": low, "high": high, "at_low": at_low, "at_high": at_high}
    return {"parameter": name, **ends, "base": base, "width": abs(at_high - at_low), "elasticity": slope}
