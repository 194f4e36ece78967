"""Say when a what-if leaves what was studied, and which of the parameters behind it are mostly prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.contraction import contraction_table
from pkpd.events import Regimen
from pkpd.inference.problem import FitProblem


def outside_the_data(problem: FitProblem, fit: Any, arms: Mapping[str, Regimen], times: np.ndarray, table: pd.DataFrame) -> list[str]:
    """One sentence for each arm whose single or total dose, or time, exceeds what the cohort had; then what is prior-driven.

    `table` holds the virtual subjects, whose weights say what a dose by body size comes to.
    """
    doses = problem.cohort.doses
    doses = doses[doses["amount"] > 0]
    single, total = float(doses["amount"].max()), float(doses.groupby("subject")["amount"].sum().max())
    last = float(problem.cohort.observations["time"].max())
    found = [s for name, regimen in arms.items() for s in _arm(problem, name, _amounts(problem, regimen, table), single, total)]
    if times.max() > last:
        found.append(f"Times after {last:g} h, the last observation, are extrapolation.")
    return [*found, *_prior_driven(fit)] if found else found


def _amounts(problem: FitProblem, regimen: Regimen, table: pd.DataFrame) -> tuple[float, float]:
    """The largest single and the largest total dose of a subject."""
    records = regimen.to_records(problem.model, subjects=table if regimen.for_model(problem.model).sizes else None)
    return float(records["AMT"].max()), float(records.groupby("ID")["AMT"].sum().max())


def _arm(problem: FitProblem, name: str, given: tuple[float, float], single: float, total: float) -> list[str]:
    unit = problem.model.vocabulary.doses[0].unit
    found = []
    if given[0] > single * (1 + 1e-9):
        found.append(f"{name}: extrapolation, its largest dose {_amount(given[0], unit)} exceeds the largest given, {single:g}.")
    if given[1] > total * (1 + 1e-9):
        found.append(f"{name}: extrapolation, its total dose {_amount(given[1], unit)} exceeds the largest total given, {total:g}.")
    return found


def _amount(value: float, unit: str) -> str:
    return f"{value:.4g} x {unit}" if unit[:1].isdigit() else f"{value:.4g} {unit}"


def _prior_driven(fit: Any) -> list[str]:
    table = contraction_table(fit)
    share = table[table["prior_driven"]]
    if share.empty:
        return []
    named = ", ".join(f"{r['name']} ({r['ratio']:.2f})" for _, r in share.iterrows())
    return [f"The extrapolation also rests on parameters that are mostly prior (posterior sd / prior sd): {named}."]
