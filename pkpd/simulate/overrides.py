"""Parameters set by hand in a what-if, in every arm or in one, and doses multiplied by what a subject's product is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.errors import FitError, choices
from pkpd.inference.problem import FitProblem
from pkpd.model import Predictor


def by_arm(problem: FitProblem, overrides: Mapping[str, Any] | None, arms: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The overrides of each arm, checked: parameter -> number or function.

    `overrides` maps parameters to values for every arm, and names of arms to such mappings, which come last.
    """
    given = dict(overrides or {})
    shared = {n: v for n, v in given.items() if not isinstance(v, Mapping)}
    for name in [n for n, v in given.items() if isinstance(v, Mapping)]:
        if name not in arms:
            raise FitError(f"overrides names the arm '{name}', which is not given. {choices(name, arms)}")
    found = {arm: {**shared, **given.get(arm, {})} for arm in arms}
    for arm, values in found.items():
        for name, value in values.items():
            _check(problem, arm, name, value)
    return found


def _check(problem: FitProblem, arm: str, name: str, value: Any) -> None:
    if name not in problem.model.param_names:
        raise FitError(
            f"overrides names '{name}', which is no parameter of {problem.model.name}. {choices(name, problem.model.param_names)}"
        )
    if callable(value):
        return
    support = problem.model.param(name).support
    low, high = (-np.inf if support == "real" else 0.0), (1.0 if support == "unit" else np.inf)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not (np.isfinite(value) and low <= value <= high):
        span = {"real": "a finite number", "unit": "a number from 0 to 1"}.get(support, "a finite number, not below 0")
        raise FitError(
            f"overrides sets '{name}' of {arm} to {value!r}; accepted is {span}, in {problem.model.param(name).unit}, or a function of its value."
        )


def overridden(problem: FitProblem, theta: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Individual parameters with some of them set, or changed by a function of the value that a subject would have."""
    found = dict(theta)
    for name, value in values.items():
        now = theta.get(name, problem.model.typical[name])
        found[name] = value(now) if callable(value) else jnp.asarray(float(value))
    return found


def product_share(table: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """By what each subject's amounts are multiplied [N]: the columns' product."""
    share = np.prod([table[c].to_numpy(float) for c in columns], axis=0) if columns else np.ones(len(table))
    bad = np.flatnonzero(~(share > 0))
    if len(bad):
        raise FitError(
            f"product={tuple(columns)!r}: doses of virtual subject {bad[0] + 1} would be multiplied by {share[bad[0]]:g}; give numbers above 0."
        )
    return share


def with_product(bound: Predictor, share: np.ndarray) -> Predictor:
    """The same doses, the amounts of each subject times its share; infusions by duration keep their duration, those by rate their rate."""
    doses = bound.plan.doses
    return replace(bound, plan=replace(bound.plan, doses=replace(doses, amount=doses.amount * share)))
