"""Tumour size of simulated patients: change from baseline, and response by RECIST 1.1 from the profile alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pkpd.errors import FitError
from pkpd.simulate.quantiles import need
from pkpd.units import factor

PR, PD, LEAST_MM = -30.0, 20.0, 5.0


def change_from_baseline(size: Any, *, baseline: float | None = None) -> xr.DataArray:
    """100 (s(t) - s0) / s0 in percent, s0 the size at `baseline` (h; None: the first time).

    `size` is a DataArray with a dimension time: the sum of longest diameters. Raises `FitError`.

    >>> x = xr.DataArray([50.0, 40.0, 60.0], dims="time", coords={"time": [0.0, 1.0, 2.0]})
    >>> change_from_baseline(x).values.tolist()
    [0.0, -20.0, 20.0]
    """
    need(size, "time")
    first = size.isel(time=0, drop=True) if baseline is None else _at(size, baseline)
    return (100 * (size - first) / first).transpose(*size.dims).assign_attrs(unit="%")


def _at(size: xr.DataArray, time: float) -> xr.DataArray:
    if not np.isclose(size["time"].values, time).any():
        raise FitError(f"There is no size at the baseline, {time:g} h; add it to the times.")
    return size.sel(time=time, method="nearest", drop=True)


def best_change(size: Any, *, baseline: float | None = None) -> xr.DataArray:
    """The smallest change from baseline (percent) after it, as a waterfall plot shows it; arguments as of `change_from_baseline`.

    >>> x = xr.DataArray([50.0, 40.0, 60.0], dims="time", coords={"time": [0.0, 1.0, 2.0]})
    >>> float(best_change(x))
    -20.0
    """
    change = change_from_baseline(size, baseline=baseline)
    start = float(size["time"].values[0]) if baseline is None else baseline
    after = change.sel(time=change["time"].values > start + 1e-9)
    if not after.sizes["time"]:
        raise FitError(f"There is no size after the baseline, {start:g} h.")
    return after.min("time", skipna=False)


def recist_response(size: Any, *, unit: str = "mm", baseline: float | None = None) -> xr.DataArray:
    """The class at each visit from target lesions alone: "CR" (size 0), "PR", "PD" or "SD"; "NE" where the size is not known.

    PR: at least 30 % below the baseline. PD: at least 20 % and 5 mm above the smallest size until then, the baseline included. New lesions and clinical
    progression are not in the size: an observable with `recist` has them. `size` [..., time] in `unit` (a length). Returns strings of the same shape.
    Raises `FitError`. Source: RECIST 1.1, Eisenhauer et al. 2009, Eur J Cancer 45:228.

    >>> x = xr.DataArray([50.0, 30.0, 40.0], dims="time", coords={"time": [0.0, 1.0, 2.0]})
    >>> recist_response(x).values.tolist()
    ['SD', 'PR', 'PD']
    """
    change = change_from_baseline(size, baseline=baseline)
    x = np.asarray(size.transpose(..., "time").values, float) * factor(unit, "mm", "The size of a tumour")
    nadir = np.minimum.accumulate(np.where(np.isnan(x), np.inf, x), axis=-1)
    before = np.concatenate([x[..., :1], nadir[..., :-1]], -1)
    grown = (x >= before * (1 + PD / 100) - 1e-9) & (x - before >= LEAST_MM - 1e-9)
    shrunk = np.asarray(change.transpose(..., "time").values) <= PR + 1e-9
    found = np.where(np.isnan(x), "NE", np.where(x == 0, "CR", np.where(grown, "PD", np.where(shrunk, "PR", "SD"))))
    return size.transpose(..., "time").copy(data=found).transpose(*size.dims).assign_attrs(unit="1")
