"""The tables of a scenario's runs: bands over time, exposures by arm, targets reached."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.simulate.attainment import target_attainment
from pkpd.simulate.exposure import exposure
from pkpd.simulate.quantiles import censored, quantile_bands
from pkpd.simulate.scenario.read import Scenario

QUANTILES = (0.05, 0.5, 0.95)


def profiles(runs: xr.Dataset) -> list[str]:
    """The observables of runs."""
    return [str(n) for n, x in runs.data_vars.items() if set(x.dims) == {"arm", "draw", "subject", "time"}]


def bands_table(runs: xr.Dataset) -> pd.DataFrame:
    """One line an arm, observable, time and quantile of subjects: its median and 90 % interval over draws."""
    parts = []
    for name in profiles(runs):
        made = quantile_bands(runs[name], QUANTILES).rename("value").to_dataframe()["value"].unstack("estimate").reset_index()
        parts.append(made.assign(observable=name, unit=runs[name].attrs.get("unit", "1")))
    table = pd.concat(parts, ignore_index=True).rename(columns={"time": "time_h"})
    return table[["arm", "observable", "unit", "time_h", "quantile", "low", "median", "high"]]


def exposure_table(runs: xr.Dataset, scenario: Scenario) -> pd.DataFrame:
    """One line an arm, observable and measure: quantiles of subjects over all draws, and the 90 % interval of the median subject over draws.

    `missing` counts values that are not known, `censored` those that are lower bounds (last detected at the end of the runs).
    """
    asked = scenario.exposure or tuple({"observable": n} for n in profiles(runs))
    lines = []
    for options in asked:
        made = exposure(runs, **_options(options))
        lines += [_line(made[m], str(a), options["observable"], str(m)) for m in made.data_vars for a in runs["arm"].values]
    return pd.DataFrame(lines)


def _options(options: Any) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k not in ("measure", "name", "at_least", "at_most")}


def _line(values: xr.DataArray, arm: str, observable: str, measure: str) -> dict[str, Any]:
    x = values.sel(arm=arm).transpose("draw", "subject").values
    some = np.isfinite(x).any(1)
    q = np.nanquantile(x, QUANTILES) if some.any() else np.full(3, np.nan)
    low, high = np.quantile(np.nanmedian(x[some], 1), [0.05, 0.95]) if some.any() else (np.nan, np.nan)
    head = {"arm": arm, "observable": observable, "measure": measure, "unit": values.attrs.get("unit", "1")}
    middle = {"q5": q[0], "q50": q[1], "q95": q[2], "median_low": low, "median_high": high}
    return head | middle | {"missing": int((~np.isfinite(x)).sum()), "censored": int(censored(values.sel(arm=arm)).sum())}


def target_table(runs: xr.Dataset, scenario: Scenario) -> pd.DataFrame:
    """One line a target and arm: its probability and errors."""
    parts = []
    for target in scenario.targets:
        values = exposure(runs, **_options(target))[target["measure"]]
        limits = {k: target[k] for k in ("at_least", "at_most") if k in target}
        name = target.get("name") or _words(target, limits, values)
        parts.append(target_attainment(values, **limits).drop(columns=list(limits)).assign(target=name))
    table = pd.concat(parts, ignore_index=True)
    return table[["target", *(c for c in table.columns if c != "target")]]


def _words(target: Any, limits: dict[str, float], values: xr.DataArray) -> str:
    unit = values.attrs.get("unit", "1")
    signs = {"at_least": "≥", "at_most": "≤"}
    return f"{target['observable']} {target['measure']} " + " and ".join(
        f"{signs[k]} {v:g}{'' if unit == '1' else f' {unit}'}" for k, v in limits.items()
    )
