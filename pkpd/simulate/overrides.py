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
from pkpd.model import Model, Predictor


def by_arm(model: Model, overrides: Mapping[str, Any] | None, arms: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
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
            _check(model, arm, name, value)
    return found


def _check(model: Model, arm: str, name: str, value: Any) -> None:
    if name not in model.param_names:
        raise FitError(f"overrides names '{name}', which is no parameter of {model.name}. {choices(name, model.param_names)}")
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not callable(value) and not (number and _supported(model, name, np.asarray(value, float)).all()):
        raise FitError(
            f"overrides sets '{name}' of {arm} to {value!r}; accepted is {_span(model, name)}, in {model.param(name).unit}, or a function of its value."
        )


def _supported(model: Model, name: str, values: np.ndarray) -> np.ndarray:
    support = model.param(name).support
    low, high = (-np.inf if support == "real" else 0.0), (1.0 if support == "unit" else np.inf)
    return np.asarray(np.isfinite(values) & (values >= low) & (values <= high))


def _span(model: Model, name: str) -> str:
    return {"real": "a finite number", "unit": "a number from 0 to 1"}.get(model.param(name).support, "a finite number, not below 0")


def check_made(model: Model, arm: str, changes: Mapping[str, Any], theta: Mapping[str, Any]) -> None:
    """Raise `FitError` for a function that made a parameter [..., N] what it cannot be."""
    for name in changes:
        values = np.asarray(theta[name])
        bad = np.argwhere(~_supported(model, name, values))
        if len(bad):
            raise FitError(
                f"overrides makes '{name}' of {arm} {values[tuple(bad[0])]:g} in virtual subject {bad[0][-1] + 1}; it must be {_span(model, name)}."
            )


def changed(name: str, change: Any, now: Any) -> Any:
    """A parameter's value set, or changed by a function of the value(s) that the subjects would have; a function gives one number, or one a subject."""
    if not callable(change):
        return jnp.asarray(float(change))
    made = jnp.asarray(change(now), float)
    if made.shape not in ((), jnp.shape(now)):
        raise FitError(
            f"The function that overrides sets '{name}' by gives shape {made.shape}; accepted is one number, or one a subject, {jnp.shape(now)}."
        )
    return made


def overridden(problem: FitProblem, theta: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Individual parameters with some of them set, or changed by a function of the value that a subject would have."""
    found = dict(theta)
    for name, value in values.items():
        now = theta.get(name, problem.model.typical[name])
        found[name] = changed(name, value, now)
    return found


def product_share(table: pd.DataFrame, columns: str | Sequence[str]) -> np.ndarray:
    """By what each subject's amounts are multiplied [N]: the columns' product."""
    columns = (columns,) if isinstance(columns, str) else tuple(columns)
    for name in columns:
        if name not in table.columns:
            raise FitError(f"product names '{name}', which the virtual subjects do not have. {choices(str(name), map(str, table.columns))}")
    share = np.prod([table[c].to_numpy(float) for c in columns], axis=0) if columns else np.ones(len(table))
    bad = np.flatnonzero(~(share > 0))
    if len(bad):
        raise FitError(
            f"product={columns!r}: doses of virtual subject {bad[0] + 1} would be multiplied by {share[bad[0]]:g}; give numbers above 0."
        )
    return share


def with_product(bound: Predictor, share: np.ndarray) -> Predictor:
    """The same doses, the amounts of each subject times its share; infusions by duration keep their duration, those by rate their rate."""
    doses = bound.plan.doses
    return replace(bound, plan=replace(bound.plan, doses=replace(doses, amount=doses.amount * share)))
