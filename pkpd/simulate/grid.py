"""A design: one regimen given to many virtual subjects, every observable predicted at every time; laid out once, then repeated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from pkpd.data import Cohort
from pkpd.errors import DoseError, ModelError, choices
from pkpd.events import Regimen
from pkpd.model import Model, Predictor
from pkpd.model.arm_layout import lay_out
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
    `covariates` has a column for each covariate of the model, more are carried; without any, `pd.DataFrame(index=range(N))`. Doses by body
    size read its columns WT (kg) and BSA (m^2).
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
    read, bound = lay_out(model, regimen, times, table, name, at_dose=at_dose, solver=solver)
    cohort = read if regimen.for_model(model).sizes else _widened(read, table)
    return Design(regimen, times, at_dose, cohort, bound)


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


def _widened(one: Cohort, table: pd.DataFrame) -> Cohort:
    """The cohort of one subject as that of many, each with its covariates."""
    n = len(table)
    tables = {name: _repeated(getattr(one, name), n) for name in ("records", "doses", "observations", "covariate_records")}
    return replace(one, subjects=tuple(str(i + 1) for i in range(n)), covariates=table, **tables)


def _repeated(table: pd.DataFrame, n: int) -> pd.DataFrame:
    wide = table.iloc[np.tile(np.arange(len(table)), n)].reset_index(drop=True)
    return wide.assign(subject=np.repeat(np.arange(n), len(table)))
