"""How long the effect of a dose lasts in a typical subject: the difference of two curves, with the doses and without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.events.buckets import part_of
from pkpd.events.plan import build_plan
from pkpd.inference.predictive import Predictive
from pkpd.inference.problem import FitProblem
from pkpd.model import Predictor

GONE, SEEN = 0.01, 1e-3
"""The effect counts while it is above this share of its peak, and above this share of the value without doses (a solver tells no less)."""
BEYOND, EARLY, LOOKS = 100.0, 1e-3, 64
"""The curve is followed from EARLY to BEYOND spans of the data after the last dose, at LOOKS times in geometric order."""


@dataclass(frozen=True, eq=False)
class Course:
    """The subject that is followed longest, twice: lane 0 with its doses, lane 1 without; `after` [T] are the looks (h after its last dose)."""

    problem: FitProblem
    subject: int
    span: float
    after: np.ndarray
    predictor: Predictor

    def effect(self, sites: Mapping[str, Any]) -> tuple[Any, Any]:
        """|with doses - without| and |without| [T, observables] at the typical values in `sites`."""
        problem, lanes = self.problem, np.array([self.subject, self.subject])
        theta = Predictive(problem, {}).typical(sites, problem.covariates)
        theta = {n: jnp.asarray(v)[lanes] if jnp.ndim(v) else v for n, v in theta.items()}
        table = self.predictor.observables(theta)[0]
        which = np.array([problem.model.observable_names.index(o) for o in problem.observed_names])
        dosed, without = table[:, which, 0], table[:, which, 1]
        return jnp.abs(dosed - without), jnp.abs(without)


def course(problem: FitProblem) -> Course | None:
    """Laid out for the subject with doses that is followed longest; None where nobody is dosed or followed."""
    doses, rows = problem.cohort.doses, problem.cohort.observations
    given = doses[doses["kind"].isin(["dose", "reset_dose"])]
    last = rows[rows["scored"].astype(bool)].groupby("subject")["time"].max()
    spans = (last - np.minimum(given.groupby("subject")["time"].min(), rows.groupby("subject")["time"].min())).dropna()
    if spans.empty or not spans.max() > 0:
        return None
    subject, span = int(spans.idxmax()), float(spans.max())
    after = span * np.geomspace(EARLY, BEYOND, LOOKS)
    start = float(given.loc[given["subject"] == subject, "time"].max())
    return Course(problem, subject, span, after, _predictor(problem, subject, start + after))


def _predictor(problem: FitProblem, subject: int, times: np.ndarray) -> Predictor:
    own, lanes = problem.predictor.plan, np.array([subject, subject])
    doses = problem.cohort.doses
    mine = doses[doses["subject"] == subject].assign(subject=0)
    looks = pd.DataFrame({"subject": np.repeat([0, 1], len(times)), "time": np.tile(times, 2), "rank": 1e12})
    plan = build_plan(mine, looks, 2, intervals=part_of(own, lanes).intervals, late_last=own.late > 0, by_record=own.by_record)
    at = {n: np.asarray(v)[lanes] if np.ndim(v) else v for n, v in problem.predictor.at.items()}
    plan = replace(plan, start=own.start[lanes])
    return Predictor(problem.fitted_model, plan, np.zeros(len(looks), int), problem.solver, problem.predictor.free, at, False)


def lasting(after: np.ndarray, effect: np.ndarray, without: np.ndarray) -> np.ndarray:
    """For how long [S] the effect [S, T] stays above 1 % of its peak: infinite where it does to the end, NaN where it still rises there or is none.

    >>> t = np.geomspace(0.01, 100.0, 200)
    >>> [f"{x:.2f}" for x in lasting(t, np.exp(-np.outer([1.0, 1e-9], t)), np.zeros((2, 200)))]     # 0.01 + ln 100
    ['4.62', 'inf']
    """
    peak = effect.max(1, keepdims=True)
    floor = np.maximum(GONE * peak, SEEN * without)
    above = effect > floor
    end = len(after) - 1 - np.argmax(above[:, ::-1], 1)
    nothing = ~np.isfinite(peak[:, 0]) | ~above.any(1) | (effect.argmax(1) == len(after) - 1)
    line, nxt = np.arange(len(effect)), np.minimum(end + 1, len(after) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        high, low, aim = (np.log(np.maximum(x, 1e-300)) for x in (effect[line, end], effect[line, nxt], floor[line, nxt]))
        part = np.clip((high - aim) / (high - low), 0.0, 1.0)
    found = after[end] + part * (after[nxt] - after[end])
    return np.where(nothing, np.nan, np.where(end == len(after) - 1, np.inf, found))


def slowness(effect: np.ndarray) -> np.ndarray:
    """Mean over the looks of log(effect / peak) [S], from 0 (nothing is lost) down; NaN where there is none."""
    peak = effect.max(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(peak[:, 0] > 0, np.log(np.maximum(effect / peak, 1e-12)).mean(1), np.nan)
