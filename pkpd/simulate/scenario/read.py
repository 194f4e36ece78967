"""`read_scenario`: a TOML file as a what-if to be run, checked whole before anything is solved."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.model import Model
from pkpd.simulate.scenario.keys import Mistakes, Table
from pkpd.simulate.scenario.measured import exposure_asked, target_asked
from pkpd.simulate.scenario.population import population
from pkpd.simulate.scenario.regimens import arm
from pkpd.units import quantity

KEYS = (
    "title",
    "seed",
    "source",
    "parameters",
    "variability",
    "times",
    "population",
    "overrides",
    "arms",
    "exposure",
    "targets",
    "figures",
    "output",
)
MOST_TIMES = 20_000


@dataclass(frozen=True)
class Scenario:
    """A what-if as read from a file. `source` has "model", or "file" and "fit"; times are hours; values are in the model's units, limits of targets in those
    of their measures. `population` has the patients of a file as a DataFrame.
    """

    title: str
    seed: int
    source: Mapping[str, Any]
    arms: Mapping[str, Regimen]
    times: np.ndarray
    parameters: Mapping[str, float] = field(default_factory=dict)
    variability: Mapping[str, float] = field(default_factory=dict)
    population: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    exposure: tuple[Mapping[str, Any], ...] = ()
    targets: tuple[Mapping[str, Any], ...] = ()
    reference: str | None = None
    table_draws: int = 1


def read_source(path: str | Path) -> dict[str, Any]:
    """What a scenario simulates, before its model is known: "model" (a name of the library), or "file" (a fit file) and "fit" (a folder)."""
    return _source(*_load(path))


def _source(values: dict[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    table = Table(values, "", mistakes).table("source").known("model", "file", "fit", "quick")
    found = {n: table.get(n, str, "text") for n in ("model", "file", "fit")}
    found["quick"] = table.get("quick", bool, "true or false", False)
    if (found["model"] is None) == (found["file"] is None):
        mistakes.add("source", 'it names a model of the library (model = "one_compartment_oral") or a fit file (file = "fits/mine.py").')
    if found["fit"] and not found["file"]:
        mistakes.add("source", 'fit is the folder of a saved fit, and needs the fit file beside it: file = "fits/mine.py".')
    mistakes.end()
    return found


def read_scenario(path: str | Path, model: Model, *, covariates: tuple[str, ...] = ()) -> Scenario:
    """Read and check a scenario for a model; `covariates` are those that a fit reads besides the model's own.

    Raises `FitError` with everything wrong in it, each with its place and the nearest right key.

    >>> read_scenario("scenario.toml", model).arms                                       # doctest: +SKIP
    """
    return parse_scenario(text_of(path), model, Path(path), covariates=covariates)


def parse_scenario(text: str, model: Model, path: Path, *, covariates: tuple[str, ...] = ()) -> Scenario:
    """`read_scenario` of a text; `path` names it in messages, and files that it mentions stand beside it."""
    values, mistakes = parsed(text, path.name)
    root = Table(values, "", mistakes).known(*KEYS)
    title = root.get("title", str, "text", Path(path).stem)
    seed = root.get("seed", int, "a whole number", 1)
    arms, overrides = _arms(root, model)
    times = times_asked(root.table("times"))
    targets = tuple(target_asked(t, model, times) for t in root.tables("targets"))
    found = Scenario(
        title, seed, _source(values, Mistakes(path.name)), arms, times,
        values_asked(root.table("parameters"), model), variability_asked(root.table("variability"), model), population(root, path, model, covariates),
        _overrides(root.table("overrides"), model) | overrides, tuple(exposure_asked(t, model, times)[0] for t in root.tables("exposure")), targets,
        root.table("figures").known("reference").get("reference", str, "the name of an arm"),
        root.table("output").known("table_draws").get("table_draws", int, "a whole number of draws in the tables", 1),
    )  # fmt: skip
    if found.reference is not None and found.reference not in arms:
        mistakes.add("figures", f"reference = {found.reference!r} is no arm; the arms are {', '.join(arms)}.")
    mistakes.end()
    return found


def _load(path: str | Path) -> tuple[dict[str, Any], Mistakes]:
    return parsed(text_of(path), Path(path).name)


def text_of(path: str | Path, kind: str = "scenario") -> str:
    """The text of a file of tables."""
    place = Path(path)
    if place.is_dir():
        raise FitError(f"{place} is a folder, where a {kind} file (.toml) is needed.")
    if not place.is_file():
        raise FitError(f"There is no {kind} file {place}.")
    try:
        return place.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FitError(f"{place.name} is not TOML: {error}.") from None


def parsed(text: str, name: str) -> tuple[dict[str, Any], Mistakes]:
    """The tables of a text, and where its mistakes are collected."""
    try:
        return tomllib.loads(text), Mistakes(name)
    except tomllib.TOMLDecodeError as error:
        raise FitError(f"{name} is not TOML: {error}.") from None


def _arms(root: Table, model: Model) -> tuple[dict[str, Regimen], dict[str, Any]]:
    read = [(t, arm(t, model)) for t in root.tables("arms")]
    if "arms" not in root.values or not read:
        root.mistakes.add("arms", 'a scenario has at least one arm: [[arms]], name = "once", doses = [{amount = "320 mg"}].')
    arms: dict[str, Regimen] = {}
    changes: dict[str, Any] = {}
    for table, (name, regimen, override) in read:
        if name in arms or name in model.param_names:
            root.mistakes.add(table.place, f"the name '{name}' is taken by {'another arm' if name in arms else 'a parameter'}.")
        arms[name] = regimen
        if override:
            changes[name] = _overrides(Table(override, f"{table.place}.overrides", root.mistakes), model)
    return arms, changes


def times_asked(table: Table, extra: tuple[str, ...] = (), least: int = 2) -> np.ndarray:
    """Rising hours: a grid, a list, or both; `extra` are keys that mean something else."""
    table.known("from", "to", "by", "at", "also", *extra)
    before = len(table.mistakes.found)
    hours = lambda pair: None if pair is None else table.mistakes.attempt(table.place, lambda: quantity(pair, "h", "A time"))  # noqa: E731
    listed = [
        hours(table.pair(k, x, "24 h")) for k in ("at", "also") for x in table.get(k, list, 'a list of times, as ["0 h", "30 min"]', [])
    ]
    start, end, step = (hours(table.quantity(k, e)) for k, e in (("from", "0 h"), ("to", "14 day"), ("by", "1 h")))
    grid = np.zeros(0)
    if end is not None and step is not None:
        first = start or 0.0
        if not 0 < step <= end - first or (end - first) / step > MOST_TIMES:
            table.mistakes.add(table.place, f"from {first:g} h to {end:g} h by {step:g} h are no times (or more than {MOST_TIMES:,}).")
        else:
            grid = first + step * np.arange(int(np.floor((end - first) / step + 1e-9)) + 1)
    elif (end is None) != (step is None):
        table.mistakes.add(table.place, "to and by stand together.")
    found = np.unique(np.round([*grid, *(x for x in listed if x is not None)], 9))
    if len(found) < least and len(table.mistakes.found) == before:
        words = "two times" if least == 2 else "one time"
        table.mistakes.add(table.place, f'give at least {words}: to = "14 day", by = "6 h", or at = ["0 h", "24 h"].')
    return found


def values_asked(table: Table, model: Model) -> dict[str, float]:
    """Parameters in the model's units."""
    table.known(*model.param_names)
    found = {
        n: table.get(n, (int, float, str), f"a number in {model.param(n).unit}, or with its unit")
        for n in table.values
        if n in model.param_names
    }
    return {n: x for n, v in found.items() if (x := _in_unit(table, n, v, model)) is not None}


def _in_unit(table: Table, name: str, value: Any, model: Model) -> float | None:
    unit = model.param(name).unit
    if not isinstance(value, str):
        return None if value is None else float(value)
    pair = table.pair(name, value, f"2 {unit}")
    return None if pair is None else table.mistakes.attempt(table.place, lambda: quantity(pair, unit, f"Parameter '{name}'"))


def variability_asked(table: Table, model: Model) -> dict[str, float]:
    """Standard deviations by parameter."""
    table.known(*model.param_names)
    found = {n: table.get(n, (int, float), "a standard deviation on the parameter's own scale (log, logit or plain)") for n in table.values}
    for n, v in found.items():
        if v is not None and not v >= 0:
            table.mistakes.add(table.place, f"{n} = {v!r}; a standard deviation is not below 0.")
    return {n: float(v) for n, v in found.items() if v is not None and n in model.param_names}


def _overrides(table: Table, model: Model) -> dict[str, Any]:
    table.known(*model.param_names)
    found: dict[str, Any] = {}
    for n, v in table.values.items():
        if n not in model.param_names:
            continue
        if isinstance(v, dict):
            times = _times_of(Table(v, f"{table.place}.{n}", table.mistakes).known("times"), model.param(n).support)
            found |= {} if times is None else {n: (lambda k: lambda x: k * x)(times)}
        else:
            value = _in_unit(table, n, table.get(n, (int, float, str), "a number, a text with its unit, or {times = 0.5}"), model)
            found |= {} if value is None else {n: value}
    return found


def _times_of(table: Table, support: str) -> float | None:
    """By what a parameter is multiplied: 0 switches off what it rules."""
    words = "a number" if support == "real" else "a number, not below 0"
    times = table.get("times", (int, float), words, None, required=True)
    if times is not None and not (np.isfinite(times) and (times >= 0 or support == "real")):
        table.mistakes.add(table.place, f"times = {times!r}; accepted is {words}.")
        return None
    return None if times is None else float(times)
