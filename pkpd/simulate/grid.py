"""A design: one regimen given to many virtual subjects, every observable predicted at every time; laid out once, then repeated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from pkpd.data import Cohort, read_cohort
from pkpd.errors import DoseError, ModelError, choices
from pkpd.events import Regimen, tile
from pkpd.model import Model, Predictor, predictor
from pkpd.solve import Solver


@dataclass(frozen=True, eq=False)
class Design:
    """A regimen for N subjects: the `cohort` (rows by subject, time, observable; none scored) and the `predictor` bound to it.

    `predictor.observables(theta)` gives [times, observables, N] at `times` (h).
    """

    regimen: Regimen
    times: np.ndarray
    at_dose: str
    cohort: Cohort
    predictor: Predictor


def design(
    model: Model,
    regimen: Regimen,
    times_h: Any,
    covariates: pd.DataFrame,
    name: str,
    *,
    at_dose: Literal["after", "before"] = "after",
    solver: Solver | None = None,
) -> Design:
    """Give `regimen` to one subject for each row of `covariates` and look at every observable at every time.

    `times_h` are rising hours; a time at which a dose is given is read after it (`at_dose="before"`: before it, the trough).
    `covariates` has a column for each covariate of the model, more are carried; without any, `pd.DataFrame(index=range(N))`.
    Returns a `Design`. Raises `DoseError` for a regimen that does not fit the model or times that do not rise, `ModelError` for a
    covariate that is missing.

    >>> from pkpd.events import bolus
    >>> from pkpd.models.classic import one_compartment_iv
    >>> arm = design(one_compartment_iv, bolus((320, "mg")), [0.0, 24.0], pd.DataFrame(index=range(3)), "one dose")
    >>> arm.predictor.observables({})[0].shape
    (2, 1, 3)
    """
    times = _rising(times_h, at_dose)
    table = _checked(model, covariates)
    one = read_cohort(
        _records(model, regimen, times, table, at_dose), model, units=_units(model, regimen), covariates=list(table.columns), name=name
    )
    bound = predictor(model, one, solver)
    n = len(table)
    wide = np.array([table[c].to_numpy(float) for c in model.covariate_names]).reshape(len(model.covariates), n)
    many = replace(bound, schedule=tile(bound.schedule, n), covariates=wide, row_observable=np.tile(bound.row_observable, n))
    return Design(regimen, times, at_dose, _widened(one, table), many)


def _rising(times_h: Any, at_dose: str) -> np.ndarray:
    if at_dose not in ("after", "before"):
        raise DoseError(f"at_dose={at_dose!r}: a time at which a dose is given is read 'after' or 'before' it.")
    times = np.asarray(times_h, dtype=float)
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise DoseError(f"The times of a design are finite hours, each later than the one before; got {times_h!r}.")
    return times


def _checked(model: Model, covariates: pd.DataFrame) -> pd.DataFrame:
    missing = [c for c in model.covariate_names if c not in covariates.columns]
    if missing:
        known = choices(missing[0], map(str, covariates.columns))
        raise ModelError(f"{model.name} reads the covariate '{missing[0]}', which the virtual subjects do not have. {known}")
    if not len(covariates):
        raise ModelError("A design needs virtual subjects: `covariates` has no rows. Without covariates give pd.DataFrame(index=range(N)).")
    numbers = covariates.reset_index(drop=True).apply(pd.to_numeric, errors="coerce").astype(float)
    empty = [c for c in numbers.columns if not np.isfinite(numbers[c]).all()]
    if empty:
        row = int(np.flatnonzero(~np.isfinite(numbers[empty[0]]))[0])
        raise ModelError(f"Covariate {empty[0]} of virtual subject {row + 1} is {covariates[empty[0]].iloc[row]}; give finite numbers.")
    return numbers


def _units(model: Model, regimen: Regimen) -> dict[str, Any]:
    return {"TIME": "h", "AMT": {d.target: d.unit for d in regimen.for_model(model).doses}}


def _records(model: Model, regimen: Regimen, times: np.ndarray, table: pd.DataFrame, at_dose: str) -> pd.DataFrame:
    """One subject's dose rows and looks, in the order in which they act."""
    doses = regimen.to_records(model).drop(columns="RATE").assign(place=1, MDV=1, DVID="")
    names = model.observable_names
    looks = pd.DataFrame({"ID": "1", "TIME": np.repeat(times, len(names)), "EVID": 0, "MDV": 1, "DVID": list(names) * len(times)})
    looks = looks.assign(AMT=0.0, DUR=0.0, CMT="", place=2 if at_dose == "after" else 0)
    rows = looks if doses.empty else pd.concat([doses, looks], ignore_index=True)
    rows = rows.sort_values(["TIME", "place"], kind="stable").drop(columns="place")
    return rows.assign(**{c: table[c].iloc[0] for c in table.columns})


def _widened(one: Cohort, table: pd.DataFrame) -> Cohort:
    """The cohort of one subject as that of many, each with its covariates."""
    n = len(table)
    tables = {name: _repeated(getattr(one, name), n) for name in ("records", "doses", "observations")}
    return replace(one, subjects=tuple(str(i + 1) for i in range(n)), covariates=table, **tables)


def _repeated(table: pd.DataFrame, n: int) -> pd.DataFrame:
    wide = table.iloc[np.tile(np.arange(len(table)), n)].reset_index(drop=True)
    return wide.assign(subject=np.repeat(np.arange(n), len(table)))
