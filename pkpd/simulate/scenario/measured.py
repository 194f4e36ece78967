"""What a scenario asks of its runs: exposures, and targets whose limits are in the unit of their measure before anything is solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pkpd.errors import choices
from pkpd.model import Model
from pkpd.simulate.exposure import exposure
from pkpd.simulate.scenario.keys import Table
from pkpd.units import factor, quantity

MEASURED = ("start", "end", "above", "limit", "baseline", "tau", "to_infinity", "peak", "method")
LIMITS = ("at_least", "at_most")


def exposure_asked(table: Table, model: Model, times: np.ndarray, extra: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """An observable and the arguments of `exposure`, values in its unit and times in hours; and the unit of every measure that these give."""
    table.known("observable", *MEASURED, *extra)
    name, before = _observable(table, model), len(table.mistakes.found)
    unit = next((o.unit for o in model.observables if o.name == name), "1")
    found: dict[str, Any] = {"observable": name}
    for key in ("start", "end", "tau"):
        pair = table.quantity(key, "24 h")
        found[key] = None if pair is None else table.mistakes.attempt(table.place, lambda p=pair: quantity(p, "h", "A time"))
    for key in ("above", "limit", "baseline"):
        found[key] = "first" if table.values.get(key) == "first" else _level(table, key, unit)
    for key in ("to_infinity", "peak"):
        found[key] = table.get(key, bool, "true or false")
    found["method"] = table.get("method", str, "text")
    given = {k: v for k, v in found.items() if v is not None}
    sound = name is not None and len(times) > 1 and len(table.mistakes.found) == before
    return given, (table.mistakes.attempt(table.place, lambda: _units(given, times, unit), {}) if sound else {})


def _units(options: Mapping[str, Any], times: np.ndarray, unit: str) -> dict[str, str]:
    """The unit of each measure that `exposure` gives with these options, of a made-up profile at the scenario's times."""
    profile = xr.DataArray(np.exp(-np.linspace(0, 1, len(times))), dims="time", coords={"time": times}, attrs={"unit": unit})
    made = exposure(profile, **{k: v for k, v in options.items() if k != "observable"})
    return {str(n): str(x.attrs["unit"]) for n, x in made.data_vars.items()}


def target_asked(table: Table, model: Model, times: np.ndarray) -> dict[str, Any]:
    """An exposure with its `measure` and limits, which are numbers in the measure's unit then."""
    found, units = exposure_asked(table, model, times, ("name", "measure", *LIMITS))
    measure = table.get("measure", str, 'a measure of exposure, as in measure = "cmax"', None, required=True)
    if measure is not None and units and measure not in units:
        table.mistakes.add(table.place, f"exposure has no measure '{measure}' with these options. {choices(measure, units)}")
    unit = units.get(str(measure))
    limits = {k: _level(table, k, unit) for k in LIMITS if unit is not None}
    if not any(k in table.values for k in LIMITS):
        table.mistakes.add(table.place, "a target has at_least, at_most or both.")
    low, high = (limits.get(k) for k in LIMITS)
    if low is not None and high is not None and low > high:
        table.mistakes.add(table.place, f"at_least is above at_most ({low:g} and {high:g} {unit}), so that nobody reaches this target.")
    name = table.get("name", str, "text")
    return found | {"measure": measure, "name": name} | {k: v for k, v in limits.items() if v is not None}


def _observable(table: Table, model: Model) -> str | None:
    name = table.get("observable", str, "the name of an observable", None, required=len(model.observables) > 1)
    name = model.observable_names[0] if name is None and len(model.observables) == 1 else name
    if name is not None and name not in model.observable_names:
        table.mistakes.add(table.place, f"{model.name} has no observable '{name}'. {choices(name, model.observable_names)}")
        return None
    return name


def _level(table: Table, key: str, unit: str) -> float | None:
    """A value in a unit: a plain number where that is none."""
    value = table.get(key, (int, float, str), f'a value with its unit, as in {key} = "10 {unit}"')
    if value is None:
        return None
    if not isinstance(value, str) and unit in ("1", ""):
        if not np.isfinite(value):
            table.mistakes.add(table.place, f"{key} = {value!r}; accepted is a finite number.")
        return float(value)
    pair = table.pair(key, value, f"10 {unit}")
    return None if pair is None else table.mistakes.attempt(table.place, lambda: pair[0] * factor(pair[1], unit, key))
