"""Minimise a function of few unknowns whose value may be missing (NaN) in places: BFGS with a line search that backs away from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LONGEST, GAIN, SHORTEST = 1.0, 1e-4, 1e-8


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent stands: z, value, gradient, the last inverse curvature, what `evaluate` passes on, and how many evaluations it took."""

    z: np.ndarray
    value: float
    gradient: np.ndarray
    inverse: np.ndarray
    carried: Any
    evaluations: int


def minimise(
    evaluate: Callable[[np.ndarray, Any], tuple],
    z: np.ndarray,
    carried: Any,
    enough: float,
    most: int,
    report: Callable[[str], None],
    seen: Callable[[Descent], None] | None = None,
) -> Descent:
    """Descend from z until a Newton step would gain less than `enough`; `evaluate(z, carried)` gives value, gradient, and what to carry on.
    `seen` is given every step.

    No coordinate moves by more than 1 a step. Source: Nocedal & Wright 2006, chapter 6.
    """
    value, gradient, carried = evaluate(z, carried)
    scale = 1.0 / max(float(np.linalg.norm(gradient)), 1e-8) if np.isfinite(value) else 1.0
    at, fresh = Descent(z, value, gradient, 0.1 * scale * np.eye(len(z)), carried, 1), True
    for k in range(most):
        step = -at.inverse @ at.gradient
        slope = float(at.gradient @ step)
        if not np.isfinite(slope) or (not fresh and -0.5 * slope < enough):
            break
        found = _search(evaluate, at, step * min(1.0, LONGEST / float(np.max(np.abs(step)))))
        if found is None:
            if fresh:
                break
            at, fresh = _replaced(at, np.eye(len(z)) * 0.1 / max(float(np.linalg.norm(at.gradient)), 1e-8)), True
            continue
        at, fresh = _updated(at, found, fresh), False
        report(f"step {k + 1}: objective {at.value:.4f}")
        if seen is not None:
            seen(at)
    return at


def _search(evaluate: Callable, at: Descent, step: np.ndarray) -> Descent | None:
    """The first of halved steps that gains enough."""
    part, slope, count = 1.0, float(at.gradient @ step), at.evaluations
    while part > SHORTEST**0.5:
        value, gradient, carried = evaluate(at.z + part * step, at.carried)
        count += 1
        if np.isfinite(value) and np.all(np.isfinite(gradient)) and value <= at.value + GAIN * part * slope:
            return Descent(at.z + part * step, value, gradient, at.inverse, carried, count)
        part *= 0.5
    return None


def _updated(at: Descent, found: Descent, fresh: bool) -> Descent:
    """With the inverse curvature that explains the last step too; left as it is where the curvature along the step is not positive."""
    s, y = found.z - at.z, found.gradient - at.gradient
    bend = float(s @ y)
    if bend <= 1e-10 * float(np.linalg.norm(s) * np.linalg.norm(y)):
        return found
    inverse = np.eye(len(s)) * bend / float(y @ y) if fresh else at.inverse
    left = np.eye(len(s)) - np.outer(s, y) / bend
    return _replaced(found, left @ inverse @ left.T + np.outer(s, s) / bend)


def _replaced(at: Descent, inverse: np.ndarray) -> Descent:
    return Descent(at.z, at.value, at.gradient, inverse, at.carried, at.evaluations)
