"""`exposure`: what the profiles of a what-if, or of arrays, amount to; one value a profile and measure, with its unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError, choices
from pkpd.simulate.exposure import derived_units
from pkpd.simulate.exposure.areas import area_above, auc, aumc
from pkpd.simulate.exposure.crossings import first_time_above, last_time_above, time_above, time_below
from pkpd.simulate.exposure.segments import LOG_DOWN, checked, window
from pkpd.simulate.exposure.terminal import lambda_z
from pkpd.units import quantity

Named = dict[str, tuple[Any, str]]
"""Values [...] and unit by measure."""


@dataclass(frozen=True, eq=False)
class _Profile:
    """Values [..., T] in `unit` at times [T] (h) within the interval asked for."""

    t: Any
    c: Any
    unit: str
    method: str
    of_dims: Callable[[Any], Any]


def exposure(
    profile: Any,
    observable: str | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    above: Any = None,
    limit: Any = None,
    baseline: Any = None,
    tau: float | None = None,
    dose: Any = None,
    to_infinity: bool = False,
    peak: bool = False,
    method: str = LOG_DOWN,
) -> xr.Dataset:
    """Exposure of each profile from `start` to `end` (h): a Dataset of measures, without the dimension time, each with attribute `unit`.

    `profile` is the Dataset of a `what_if` or the table that `simulate` gives, whose subjects then share their times (`observable` says which of
    several), a DataArray with a dimension time (h), or a pair (times [T], values [..., T]). Always: `cmax`, `tmax`, `cmin`, `clast`, `auc`, `aumc` (its
    time counts from `start`), `cavg` = auc / (end - start), `fluctuation` = (cmax - cmin) / cavg.
    Further, where asked for:

    - `above` (a limit): `time_above`, `time_below` (h), `share_above` of the interval.
    - `limit` (of detection): `first_detectable`, `last_detectable` (h; NaN for never), `still_detectable` at the end (0 or 1). Where that is 1,
      `last_detectable` is the end of the interval and a lower bound (censored): its attribute `censored_at` says when, `notes` how many.
    - `baseline` (a value, or "first"): `peak_above_baseline`, `auc_above_baseline` of what is above it.
    - `tau` (h, the dosing interval): `accumulation`, the area over the last tau of the interval by that over its first.
    - `to_infinity`: `lambda_z` (best adjusted r2 of the points after the peak; with `peak=True` the peak may be one of them, as after a bolus), its
      `adjusted_r2`, `points` and `half_life`, `auc_inf` = auc + clast / lambda_z, `extrapolated` (share of auc_inf), `mrt` = aumc_inf / auc_inf from
      `start` on (of an infusion less half its duration).
    - `dose` ((number, "unit"), or such a pair by arm) with `to_infinity`: `cl_f` = dose / auc_inf and `vz_f` = cl_f / lambda_z, for a single dose.

    `above`, `limit`, `baseline` are numbers in the profile's unit, or arrays that broadcast against the profiles. Between times a profile is taken
    by `method` (see `auc`); give times dense enough. A profile with NaN has NaN measures; the coordinate `solved` says which have none. At the time of a
    bolus a what-if holds the value after it: add a time just before.
    Raises `FitError` with what cannot be used. Source: Gabrielsson and Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis.

    >>> found = exposure(([0.0, 1.0, 2.0, 3.0, 4.0], [16.0, 8.0, 4.0, 2.0, 1.0]), to_infinity=True, above=4.0)
    >>> float(found["half_life"].round(6)), float(found["time_above"]), found["auc"].attrs["unit"]
    (1.0, 2.0, 'h')
    """
    array = _array(profile, observable)
    whole = np.moveaxis(np.asarray(array.values, float), array.dims.index("time"), -1)
    t, c = window(*checked(array["time"].values, whole, method), start, end, method)
    rest = tuple(d for d in array.dims if d != "time")
    coords = {k: v for k, v in array.coords.items() if "time" not in v.dims}
    coords |= {} if "solved" in coords else {"solved": (rest, ~np.isnan(c).any(-1))}
    empty = xr.DataArray(np.zeros(c.shape[:-1]), dims=rest, coords=coords)
    seen = _Profile(t, c, str(array.attrs.get("unit", "1")), method, lambda x: _broadcast(x, empty))
    found = _always(seen)
    if peak and not to_infinity:
        raise FitError("peak=True lets the terminal slope take the peak, so to_infinity=True is needed beside it.")
    for asked, measures in ((above, _above), (limit, _detectable), (baseline, _over_baseline), (tau, _accumulated)):
        if asked is not None:
            found |= measures(seen, asked)
    if to_infinity:
        found |= _to_infinity(seen, found, peak)
    if dose is not None:
        found |= _disposition(seen, found, dose)
    data = {name: (rest, np.asarray(x, float), {"unit": unit}) for name, (x, unit) in found.items()}
    interval = {"interval_h": [float(t[0]), float(t[-1])], "method": method, "observable": str(array.name or "")}
    kept = {k: v for k, v in getattr(profile, "attrs", {}).items() if k != "unit"}
    return _censored(xr.Dataset(data, coords=coords, attrs=kept | interval))


def _censored(found: xr.Dataset) -> xr.Dataset:
    """Say of `last_detectable` where it only is a lower bound, since one stopped looking."""
    if "last_detectable" not in found:
        return found
    end, still = found.attrs["interval_h"][1], int((found["still_detectable"] == 1).sum())
    found["last_detectable"].attrs["censored_at"] = end
    note = f"last_detectable: {still} of {found['still_detectable'].size} profiles are still above the limit at {end:g} h, the end: censored, at least that."
    return found.assign_attrs(notes=[*found.attrs.get("notes", ()), note]) if still else found


def _array(profile: Any, observable: str | None) -> xr.DataArray:
    if isinstance(profile, xr.Dataset):
        known = [str(n) for n, x in profile.data_vars.items() if "time" in x.dims]
        if observable is None and len(known) != 1:
            raise FitError(
                f"These runs have {len(known)} profiles; say which, as in exposure(runs, '{(known or ['cp'])[0]}'). {choices('', known)}"
            )
        name = known[0] if observable is None else observable
        if name not in known:
            raise FitError(f"These runs have no '{name}'. {choices(name, known)}")
        return profile[name]
    if isinstance(profile, pd.DataFrame):
        return _array(_by_subject(profile), observable)
    if isinstance(profile, xr.DataArray):
        if "time" not in profile.dims:
            raise FitError(f"A profile has a dimension 'time' (h); this one has {', '.join(map(str, profile.dims)) or 'none'}.")
        return profile
    if not isinstance(profile, tuple) or len(profile) != 2:
        raise FitError(
            f"A profile is a Dataset of what_if, a DataArray with a dimension time, or (times, values), not {type(profile).__name__}."
        )
    t, c = np.asarray(profile[0], float), np.asarray(profile[1], float)
    checked(t, c, LOG_DOWN)
    return xr.DataArray(c, dims=(*(f"dim_{i}" for i in range(c.ndim - 1)), "time"), coords={"time": t})


def _by_subject(table: pd.DataFrame) -> xr.Dataset:
    """The observation rows of a table with ID, TIME (h) and observables, by subject and time."""
    for column in ("ID", "TIME"):
        if column not in table.columns:
            raise FitError(
                f"A table of profiles has columns ID, TIME (h) and observables; this one has no {column}. {choices(column, map(str, table))}"
            )
    rows = table[table["EVID"] == 0] if "EVID" in table.columns else table
    units = table.attrs.get("units", {})
    names = [c for c in (units or rows.columns) if c not in ("ID", "TIME", "EVID") and pd.api.types.is_numeric_dtype(rows[c])]
    if rows.duplicated(["ID", "TIME"]).any():
        who = rows[rows.duplicated(["ID", "TIME"])].iloc[0]
        raise FitError(f"Subject {who['ID']} has two rows at {who['TIME']:g} h; a profile has one value a time.")
    wide = {n: rows.pivot(index="ID", columns="TIME", values=n) for n in names}
    for name, made in wide.items():
        if made.isna().any(axis=None):
            raise FitError(
                f"The subjects of this table do not share their times ('{name}' of subject {made.index[made.isna().any(axis=1)][0]}); use nca."
            )
    dims = ("subject", "time")
    return xr.Dataset(
        {n: (dims, w.to_numpy(float), {"unit": units.get(n, "1")}) for n, w in wide.items()},
        coords={"subject": [str(i) for i in next(iter(wide.values())).index], "time": next(iter(wide.values())).columns.to_numpy(float)}
        if wide
        else {},
    )


def _broadcast(value: Any, empty: xr.DataArray) -> Any:
    """A number, an array, or a DataArray with some of the dimensions, as the shape of the profiles."""
    try:
        return (empty + value).transpose(*empty.dims).values
    except ValueError as error:
        raise FitError(f"{value!r} does not fit profiles with dimensions {dict(empty.sizes)}: {error}.") from None


def _always(p: _Profile) -> Named:
    bad = np.isnan(p.c).any(-1)
    clean = np.where(bad[..., None], 0.0, p.c)
    high, low = (np.where(bad, np.nan, x) for x in (clean.max(-1), clean.min(-1)))
    area = auc(p.t, p.c, method=p.method)
    mean = area / (p.t[-1] - p.t[0])
    return {
        "cmax": (high, p.unit),
        "tmax": (np.where(bad, np.nan, p.t[np.argmax(clean, -1)]), "h"),
        "cmin": (low, p.unit),
        "clast": (np.where(bad, np.nan, p.c[..., -1]), p.unit),
        "auc": (area, derived_units.area(p.unit)),
        "aumc": (aumc(p.t - p.t[0], p.c, method=p.method), derived_units.moment(p.unit)),
        "cavg": (mean, p.unit),
        "fluctuation": (_ratio(high - low, mean), "1"),
    }


def _ratio(a: Any, b: Any) -> Any:
    """a / b, NaN where b is 0."""
    return np.where(b != 0, np.asarray(a, float), np.nan) / np.where(b != 0, b, 1.0)


def _above(p: _Profile, above: Any) -> Named:
    x = p.of_dims(above)
    hours = time_above(p.t, p.c, x, method=p.method)
    below = time_below(p.t, p.c, x, method=p.method)
    return {"time_above": (hours, "h"), "time_below": (below, "h"), "share_above": (hours / (p.t[-1] - p.t[0]), "1")}


def _detectable(p: _Profile, limit: Any) -> Named:
    x = p.of_dims(limit)
    first, last = first_time_above(p.t, p.c, x, method=p.method), last_time_above(p.t, p.c, x, method=p.method)
    still = np.where(np.isnan(p.c[..., -1]), np.nan, p.c[..., -1] > x)
    return {"first_detectable": (first, "h"), "last_detectable": (last, "h"), "still_detectable": (still, "1")}


def _over_baseline(p: _Profile, baseline: Any) -> Named:
    if isinstance(baseline, str) and baseline != "first":
        raise FitError(f"baseline={baseline!r}: a number in the profile's unit, or 'first' for the value at the start of the interval.")
    x = p.c[..., 0] if isinstance(baseline, str) else p.of_dims(baseline)
    peak = np.maximum(p.c.max(-1) - x, 0.0)
    return {
        "peak_above_baseline": (peak, p.unit),
        "auc_above_baseline": (area_above(p.t, p.c, x, method=p.method), derived_units.area(p.unit)),
    }


def _accumulated(p: _Profile, tau: Any) -> Named:
    length = p.t[-1] - p.t[0]
    if not 0 < tau <= length:
        raise FitError(f"tau={tau!r}: a dosing interval within the {length:g} h looked at.")
    first = auc(p.t, p.c, end=p.t[0] + tau, method=p.method)
    last = auc(p.t, p.c, start=p.t[-1] - tau, method=p.method)
    return {"accumulation": (_ratio(last, first), "1")}


def _to_infinity(p: _Profile, found: Named, peak: bool) -> Named:
    t = p.t - p.t[0]
    end = lambda_z(t, p.c, peak=peak)
    lam, clast, area = end.lambda_z, found["clast"][0], found["auc"][0]
    whole = area + clast / lam
    moment = found["aumc"][0] + clast * t[-1] / lam + clast / lam**2
    return {
        "lambda_z": (lam, "1/h"),
        "half_life": (end.half_life, "h"),
        "adjusted_r2": (end.adjusted_r2, "1"),
        "points": (end.points, "1"),
        "auc_inf": (whole, derived_units.area(p.unit)),
        "extrapolated": (_ratio(whole - area, whole), "1"),
        "mrt": (_ratio(moment, whole), "h"),
    }


def _disposition(p: _Profile, found: Named, dose: Any) -> Named:
    if "auc_inf" not in found:
        raise FitError("dose=... gives CL/F = dose / auc_inf, so to_infinity=True is needed beside it.")
    amount, unit = _dose(p, dose)
    scale, volume = derived_units.volume(unit, p.unit)
    clearance = scale * _ratio(amount, found["auc_inf"][0])
    return {"cl_f": (clearance, derived_units.over_hour(volume)), "vz_f": (clearance / found["lambda_z"][0], volume)}


def _dose(p: _Profile, dose: Any) -> tuple[np.ndarray, str]:
    if not isinstance(dose, Mapping):
        return p.of_dims(_number(dose)[0]), _number(dose)[1]
    unit = _number(next(iter(dose.values())))[1]
    arms = xr.DataArray([quantity(x, unit, f"dose of arm {n}") for n, x in dose.items()], dims="arm", coords={"arm": list(dose)})
    made = p.of_dims(arms)
    if made.shape != p.c.shape[:-1]:
        raise FitError(f"dose names the arms {', '.join(map(str, dose))}; give each arm of these runs one, and no other.")
    return made, unit


def _number(dose: Any) -> tuple[float, str]:
    if not (isinstance(dose, tuple) and len(dose) == 2 and isinstance(dose[1], str)):
        raise FitError(f'dose={dose!r}: a number and a unit, as in (320, "mg"), or such a pair for each arm.')
    return float(dose[0]), dose[1]
