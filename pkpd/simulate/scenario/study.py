"""`read_study`: who is given what, and what is looked at when, of a study that has no data yet; a TOML file in the language of scenarios, checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.events.body import SIZES
from pkpd.model import Model
from pkpd.simulate.scenario.keys import Table
from pkpd.simulate.scenario.population import known_units, same_covariates
from pkpd.simulate.scenario.read import parsed, text_of, times_asked, values_asked, variability_asked
from pkpd.simulate.scenario.regimens import arm
from pkpd.units import quantity

KEYS = ("title", "parameters", "priors", "fixed", "variability", "population", "arms", "observations", "records", "units")
LOOK = ("observable", "sd", "error", "limit", "stage", "arms")
ERRORS = ("lognormal", "proportional", "additive")
PRIOR_SD, RESIDUAL_SD = 1.0, 0.3
"""What is assumed where a design says nothing: a prior sd of ln of 1 (a factor of 2.7 either way), and a residual sd of 30 %."""


@dataclass(frozen=True)
class StudyArm:
    """So many patients of one regimen and the same covariates; the model's reference, told, where a covariate of the model is not given."""

    regimen: Regimen
    patients: int = 1
    covariates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Looks:
    """When an observable is looked at (h) in one arm, or in all (None)."""

    observable: str
    times: np.ndarray
    arms: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Study:
    """A study as designed; values are in the model's units.

    `errors` has (kind, sd) by observable, `limits` those of quantification, `stages` the observables by the step at which they are added. `fixed` are the
    parameters that are held, or "others" (all without a prior in `priors`). `records` is a file that stands in place of `arms` and `looks`. `assumed` says in
    sentences what nobody has said.
    """

    title: str
    arms: Mapping[str, StudyArm]
    looks: tuple[Looks, ...]
    errors: Mapping[str, tuple[str, float]]
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    priors: Mapping[str, float] = field(default_factory=dict)
    fixed: tuple[str, ...] | str = ()
    variability: Mapping[str, float] = field(default_factory=dict)
    records: Path | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def holding(self, values: Mapping[str, float], model: Model) -> Study:
        """With parameters held at these values. Raises `FitError` for a name that the model does not have."""
        for n in values:
            if n not in model.param_names:
                raise FitError(f"'{n}' is no parameter of {model.name}. {choices(n, model.param_names)}")
        held = self.fixed if isinstance(self.fixed, str) else tuple(dict.fromkeys((*self.fixed, *values)))
        priors = {n: v for n, v in self.priors.items() if n not in values}
        return replace(self, parameters={**self.parameters, **values}, fixed=held, priors=priors)

    def with_units(self, units: Mapping[str, str]) -> Study:
        """With units of the columns of its records."""
        return replace(self, units={**self.units, **units})


def read_study(path: str | Path, model: Model) -> Study:
    """Read and check the design of a study of a model. Raises `FitError` with everything wrong in it, each with its place and the nearest right key.

    >>> read_study("design.toml", model).arms                                             # doctest: +SKIP
    """
    place = Path(path)
    if place.suffix.lower() in (".csv", ".xpt"):
        return Study(place.stem, {}, (), {}, records=place)
    values, mistakes = parsed(text_of(place, "design"), place.name)
    root = Table(values, "", mistakes).known(*KEYS)
    told: list[str] = []
    arms = _arms(root, model, told)
    limits: dict[str, float] = {}
    looks, errors, stages = _observations(root, model, tuple(arms), limits, told)
    priors = _priors(root.table("priors"), model)
    records = root.get("records", str, "the path of a csv file of records")
    found = Study(
        root.get("title", str, "text", place.stem), arms, looks, errors, stages, values_asked(root.table("parameters"), model), priors,
        _fixed(root, model, priors), variability_asked(root.table("variability"), model), None if records is None else place.parent / records,
        _units(root), limits, tuple(told),
    )  # fmt: skip
    _check(root, found)
    mistakes.end()
    return found


def _check(root: Table, found: Study) -> None:
    add = root.mistakes.add
    if found.records is not None and (found.arms or found.looks):
        add("records", "the records say doses and times themselves: leave [[arms]] and the times of [[observations]] out.")
    if found.records is None and not root.values.get("arms"):
        add(
            "arms",
            'a design has at least one arm: [[arms]], name = "once", patients = 9, doses = [{amount = "320 mg"}]; or records = "rows.csv".',
        )
    if found.records is None and not root.values.get("observations"):
        add("observations", 'nothing is looked at: [[observations]], observable = "cp", at = ["1 h", "8 h"], sd = 0.2.')
    if found.units and found.records is None:
        add("units", "units are those of a file of records; here every number has its own.")


def _arms(root: Table, model: Model, told: list[str]) -> dict[str, StudyArm]:
    shared = same_covariates(root.table("population").known("covariates").table("covariates"), known_units(model, ()))
    found: dict[str, StudyArm] = {}
    for table in root.tables("arms"):
        name, regimen, _ = arm(table, model, ("patients", "covariates"))
        n = table.get("patients", int, "a whole number of at least 1", 1)
        if n < 1:
            table.mistakes.add(table.place, f"patients = {n}; accepted is a whole number of at least 1.")
        if "patients" not in table.values:
            told.append(f"Arm {name}: 1 patient.")
        given = shared | same_covariates(table.table("covariates"), known_units(model, ()))
        if name in found:
            table.mistakes.add(table.place, f"the name '{name}' is taken by another arm.")
        _sizes(table, regimen, given, model)
        found[name] = StudyArm(regimen, max(n, 1), given)
    return found


def _sizes(table: Table, regimen: Regimen, given: Mapping[str, float], model: Model) -> None:
    """Doses by body size need that size."""
    before = len(table.mistakes.found)
    sizes = table.mistakes.attempt(table.place, lambda: regimen.for_model(model).sizes, ())
    del table.mistakes.found[before:]  # the dose has told it
    for size in sizes:
        if SIZES[size][0] not in given:
            table.mistakes.add(table.place, f"a dose goes by {SIZES[size][1]}: give covariates = {{{SIZES[size][0]} = 70}}.")


def _observations(
    root: Table, model: Model, arms: tuple[str, ...], limits: dict[str, float], told: list[str]
) -> tuple[tuple[Looks, ...], dict[str, tuple[str, float]], dict[str, tuple[str, ...]]]:
    looks, errors, stages = [], {}, {}
    for table in root.tables("observations"):
        name = table.get("observable", str, "the name of an observable", None, required=True)
        if name is not None and name not in model.observable_names:
            table.mistakes.add(table.place, f"{model.name} has no observable '{name}'. {choices(name, model.observable_names)}")
        timed = any(k in table.values for k in ("from", "to", "by", "at", "also")) or "records" not in root.values
        times = times_asked(table, LOOK, 1 if timed else 0)
        only = table.get("arms", list, "a list of arms")
        for a in only or ():
            if a not in arms:
                table.mistakes.add(table.place, f"'{a}' is no arm. {choices(str(a), arms)}")
        if name not in model.observable_names:
            continue
        if timed:
            looks.append(Looks(name, times, None if only is None else tuple(only)))
        _error(table, name, model, errors, told)
        _limit(table, name, model, limits)
        stage = table.get("stage", str, "a word, under which observables are added together")
        home = next((s for s, names in stages.items() if name in names), None)
        if home is None:
            stages[stage or name] = (*stages.get(stage or name, ()), name)
        elif stage is not None and stage != home:
            table.mistakes.add(table.place, f"{name} is added at the stage '{home}' above, and at '{stage}' here: one of the two.")
    return tuple(looks), errors, stages


def _error(table: Table, name: str, model: Model, errors: dict[str, tuple[str, float]], told: list[str]) -> None:
    """The residual error of an observable, said once among its tables."""
    kind = table.get("error", str, f"one of {', '.join(ERRORS)}", "lognormal")
    if kind not in ERRORS:
        table.mistakes.add(table.place, f"error = '{kind}' is no residual error here. {choices(kind, ERRORS)}")
        return
    unit = next(o.unit for o in model.observables if o.name == name)
    value = table.get(
        "sd", (int, float, str), "a number above 0" + (f', or with its unit, as in sd = "1 {unit}"' if kind == "additive" else "")
    )
    if isinstance(value, str):
        value = (
            _in_unit(table, value, unit)
            if kind == "additive"
            else table.mistakes.add(table.place, f"sd = {value!r}; accepted is a number.")
        )
    if value is None and kind == "proportional":
        value = RESIDUAL_SD
        told.append(f"Residual of {name}: proportional, sd {value:g} ({100 * value:g} %).")
    if value is None:
        if kind == "additive":
            table.mistakes.add(table.place, f'an additive error has an sd in {unit}: sd = "1 {unit}".')
        return
    if not (np.isfinite(value) and value > 0):
        table.mistakes.add(table.place, f"sd = {value!r}; accepted is a number above 0.")
        return
    if errors.setdefault(name, (kind, float(value))) != (kind, float(value)):
        was = errors[name]
        table.mistakes.add(
            table.place, f"{name} has a {was[0]} error of sd {was[1]:g} above, and a {kind} one of {value:g} here: one of the two."
        )


def _limit(table: Table, name: str, model: Model, limits: dict[str, float]) -> None:
    """The limit of quantification of an observable, said once among its tables."""
    unit = next(o.unit for o in model.observables if o.name == name)
    text = table.get("limit", str, f'a limit of quantification with its unit, as in limit = "1 {unit}"')
    value = None if text is None else _in_unit(table, text, unit, "limit")
    if value is not None and limits.setdefault(name, value) != value:
        table.mistakes.add(table.place, f"{name} has a limit of {limits[name]:g} {unit} above, and of {value:g} here: one of the two.")


def _in_unit(table: Table, text: str, unit: str, key: str = "sd") -> float | None:
    """A number with its unit, in `unit`."""
    pair = table.pair(key, text, f"1 {unit}")
    return None if pair is None else table.mistakes.attempt(table.place, lambda: quantity(pair, unit, key))


def _priors(table: Table, model: Model) -> dict[str, float]:
    table.known(*model.param_names)
    words = "a prior sd: of the logarithm, of the logit of a fraction, of the value where it may be negative"
    found = {n: table.get(n, (int, float), words) for n in table.values if n in model.param_names}
    for n, v in found.items():
        if v is not None and not (np.isfinite(v) and v > 0):
            table.mistakes.add(table.place, f"{n} = {v!r}; a prior sd is above 0. A parameter that is known is named in fixed.")
    return {n: float(v) for n, v in found.items() if v is not None and v > 0}


def _fixed(root: Table, model: Model, priors: Mapping[str, float]) -> tuple[str, ...] | str:
    given = root.get("fixed", (list, str), 'a list of parameters, or "others" (all that have no prior in [priors])', [])
    if given == "others":
        return "others"
    names = [given] if isinstance(given, str) else [str(n) for n in given]
    for n in names:
        if n not in model.param_names:
            root.mistakes.add("fixed", f"'{n}' is no parameter of {model.name}. {choices(n, (*model.param_names, 'others'))}")
        if n in priors:
            root.mistakes.add("fixed", f"{n} is held here and has a prior in [priors]: one of the two.")
    return tuple(names)


def _units(root: Table) -> dict[str, str]:
    table = root.table("units")
    found = {n: table.get(n, str, 'a unit, as in AMT = "mg"') for n in table.values}
    return {n: u for n, u in found.items() if u is not None}
