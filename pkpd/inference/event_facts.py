"""What a report says about doses: the lag, bioavailability, rate and duration of each route, and rows that a moving dose has crossed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from pkpd.components.dose import ATTRIBUTES
from pkpd.inference.predictive import Predictive
from pkpd.inference.problem import FitProblem

TRIED = 16
"""How many posterior draws are looked at for doses that cross rows."""
UNITS = {"lag": " h", "duration": " h"}


def event_facts(predictive: Predictive, sites: Mapping[str, np.ndarray]) -> list[str]:
    """Sentences about dose routes and about rows at which the likelihood jumps; `sites` are posterior draws [S, ...]."""
    return [*_routes(predictive.problem), *_crossed(predictive, sites)]


def _routes(problem: FitProblem) -> Iterator[str]:
    for target in problem.predictor.plan.targets:
        if target not in problem.model.dose_owner:
            continue
        dose = problem.model.dose_owner[target][0]
        said = [f"{a} {_told(a, getattr(dose, a))}" for a in ATTRIBUTES if getattr(dose, a) is not None]
        if said:
            rule = "the duration" if dose.scales == "duration" else "the rate"
            yield f"Doses by '{target}': {', '.join(said)}; bioavailability scales {rule} of an infusion given by its rate."


def _told(attribute: str, value: Any) -> str:
    if callable(value):
        return "by a function of parameters and covariates"
    return f"'{value}'" if isinstance(value, str) else f"{value:g}{UNITS.get(attribute, '')}"


def _crossed(predictive: Predictive, sites: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Rows seen before a dose under some draws and after it under others."""
    problem, doses = predictive.problem, predictive.problem.predictor.doses
    if not doses.moves:
        return
    with jax.ensure_compile_time_eval():
        drawn = [predictive.individual({n: v[i] for n, v in sites.items()}) for i in _some(sites)]
        counts = np.array([doses.before(problem.predictor.named(theta)) for theta in drawn])
    slots = (counts != counts[:1]).any(0)
    table = problem.cohort.observations.reset_index(drop=True)
    plan = problem.predictor.plan
    rows = table["row"][slots[plan.row_time, plan.row_lane] & table["scored"].to_numpy(bool)].tolist()
    if rows:
        listed = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        yield (
            f"An estimated lag moves a dose across scored rows ({len(rows)}: file row {listed}). Where such a dose is a bolus into what is observed, the "
            "likelihood jumps there, which a gradient cannot see: compare a fit without these rows, or a short infusion."
        )


def _some(sites: Mapping[str, np.ndarray]) -> np.ndarray:
    total = len(next(iter(sites.values())))
    return np.unique(np.linspace(0, total - 1, min(TRIED, total)).astype(int))
