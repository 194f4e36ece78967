"""Arms against a reference: subject by subject, since the same random numbers stand in both."""

from __future__ import annotations

from typing import Any

import pandas as pd
import xarray as xr

from pkpd.errors import FitError, choices
from pkpd.simulate.quantiles import censored, fractions, need

BY = ("difference", "ratio")


def arm_differences(values: Any, reference: str, *, by: str = "difference") -> xr.DataArray:
    """Each other arm less the reference (or divided by it, `by="ratio"`), for the same draw and subject.

    `values` is a DataArray with a dimension arm (an observable of a `what_if`, a measure of `exposure`). Pairs share parameters, covariates and random
    effects, so that what is left is the regimen. Returns the same dims without the reference. Raises `FitError`.

    >>> x = xr.DataArray([[1.0, 2.0], [3.0, 5.0]], dims=("arm", "draw"), coords={"arm": ["a", "b"]})
    >>> arm_differences(x, "a").values.tolist()
    [[2.0, 3.0]]
    """
    need(values, "arm")
    arms = [str(a) for a in values["arm"].values]
    if reference not in arms:
        raise FitError(f"There is no arm '{reference}'. {choices(str(reference), arms)}")
    if by not in BY:
        raise FitError(f"by={by!r} is no comparison. {choices(str(by), BY)}")
    base = values.sel(arm=reference, drop=True)
    others = values.sel(arm=[a for a in arms if a != reference])
    made = others - base if by == "difference" else others / base
    unit = values.attrs.get("unit", "1") if by == "difference" else "1"
    return made.transpose(*values.dims).rename(values.name).assign_attrs(unit=unit, reference=reference, by=by)


def arm_table(values: Any, reference: str | None = None, *, by: str = "ratio", level: float = 0.9) -> pd.DataFrame:
    """One line an arm: the median subject of each draw, its median and credible interval over draws; and against a reference, pair by pair.

    `values` has dimensions arm, draw and subject and no other. Columns: arm, median, low, high, unit; of `last_detectable` besides `censored`, the share of
    values that are lower bounds (a median is one too where that is above a half); with `reference` besides versus, versus_low,
    versus_high (of the median subject's ratio or difference) and `higher`, the share of draws and subjects above the reference. Raises `FitError`.

    >>> x = xr.DataArray([[[1.0, 3.0]], [[2.0, 6.0]]], dims=("arm", "draw", "subject"), coords={"arm": ["a", "b"]})
    >>> arm_table(x, "a")[["arm", "median", "versus", "higher"]]
      arm  median  versus  higher
    0   a     2.0     NaN     NaN
    1   b     4.0     2.0     1.0
    """
    need(values, "arm", "draw", "subject")
    extra = [d for d in values.dims if d not in ("arm", "draw", "subject")]
    if extra:
        raise FitError(f"'{values.name}' has the dimension {extra[0]} too: take one value a subject, as exposure gives.")
    table = _over_draws(values, level, "")
    table["unit"] = values.attrs.get("unit", "1")
    if "censored_at" in values.attrs:
        table["censored"] = censored(values).where(values.notnull()).mean(("draw", "subject")).to_pandas()
    if reference is None:
        return table.reset_index()
    against = arm_differences(values, reference, by=by)
    higher = (against > (0.0 if by == "difference" else 1.0)).where(against.notnull()).mean(("draw", "subject"))
    extra_columns = _over_draws(against, level, "versus").assign(higher=higher.to_pandas())
    return table.join(extra_columns).reset_index()


def _over_draws(values: Any, level: float, word: str) -> pd.DataFrame:
    tail = (1 - fractions("level", (level,))[0]) / 2
    middle = values.median("subject").quantile([0.5, tail, 1 - tail], "draw")
    names = (word, f"{word}_low", f"{word}_high") if word else ("median", "low", "high")
    return pd.DataFrame({n: middle.isel(quantile=i).to_pandas() for i, n in enumerate(names)}).rename_axis("arm")
