"""Quantiles of quantiles: how subjects spread in each draw, and how well that spread is known over draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from pkpd.errors import FitError, choices

ENDS = ("low", "median", "high")


def quantile_bands(values: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95), *, level: float = 0.9) -> xr.DataArray:
    """Quantiles over subjects in each draw, and for each of them its median and credible interval over draws.

    `values` is a DataArray with dimensions draw and subject (an observable of a `what_if`, a measure of `exposure`), others are kept; `level` is the
    probability of the interval, of equal tails. Returns dims (..., quantile, estimate) with estimate low, median, high. NaN (a subject who could not be
    solved) is left out. With few subjects the interval also holds their chance: of n subjects a quantile q has standard error sqrt(q (1 - q) / n) in rank.
    Raises `FitError`.

    >>> x = xr.DataArray(np.array([[1.0, 3.0], [2.0, 4.0]]), dims=("draw", "subject"))
    >>> quantile_bands(x, (0.5,), level=1.0).values.tolist()
    [[2.0, 2.5, 3.0]]
    """
    need(values, "draw", "subject")
    q = fractions("quantiles", quantiles)
    tail = (1 - fractions("level", (level,))[0]) / 2
    within = values.astype(float).quantile(q, "subject").rename(quantile="q")
    over = within.quantile([tail, 0.5, 1 - tail], "draw").rename(quantile="estimate")
    found = over.assign_coords(estimate=list(ENDS)).rename(q="quantile")
    rest = [d for d in values.dims if d not in ("draw", "subject")]
    return found.transpose(*rest, "quantile", "estimate").assign_attrs({**values.attrs, "level": level})


def need(values: Any, *dims: str) -> None:
    if not isinstance(values, xr.DataArray):
        raise FitError(f"A DataArray is needed, as in runs['cp'] or exposure(runs, 'cp')['cmax'], not {type(values).__name__}.")
    for dim in dims:
        if dim not in values.dims:
            raise FitError(f"'{values.name}' has no dimension {dim}. {choices(dim, map(str, values.dims))}")


def fractions(word: str, given: Any) -> list[float]:
    found = [float(x) for x in np.atleast_1d(np.asarray(given, float))]
    if not found or not all(0 <= x <= 1 for x in found):
        raise FitError(f"{word}={given!r}: numbers from 0 to 1, as in (0.05, 0.5, 0.95).")
    return found


def censored(values: xr.DataArray) -> xr.DataArray:
    """Where a time is a lower bound: at the end of what was looked at (attribute `censored_at`, h)."""
    end = float(values.attrs.get("censored_at", np.inf))
    return values >= end - 1e-9 * max(1.0, abs(end)) if np.isfinite(end) else xr.zeros_like(values, bool)
