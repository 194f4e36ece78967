"""Whether a descent ended at a minimum, in words: gradient, curvature, boundaries, modes of the subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pkpd.approximate.bfgs import Descent
from pkpd.approximate.objective import ObjectiveValue
from pkpd.inference.verdict import Verdict

CLOSE, FLAT, ZERO, EDGE, OTHER = 1e-2, 0.05, 2e-3, 7.0, 1e-2


@dataclass(frozen=True, eq=False)
class Found:
    """What a descent left: coordinates at rest [P], curvature of the others, labels [P], and the objectives with modes searched anew from 0 [N]."""

    method: str
    at: Descent
    rest: np.ndarray
    curvature: np.ndarray
    labels: Sequence[str]
    objective: ObjectiveValue
    anew: np.ndarray


def at_boundary(name: str, value: object, z: float) -> bool:
    """A spread below 0.002, or a value that lies closer to the end of its support than exp(-7) of it."""
    if name.startswith(("omega_", "gamma_")):
        return float(np.asarray(value)) < ZERO
    bounded = name.startswith(("chol_", "share_", "rho_"))
    return bounded and bool(abs(z) > EDGE)


def judge(found: Found) -> Verdict:
    """Converged when one more Newton step would gain less than 0.01 of the objective and every subject is at its mode; the rest are warnings."""
    free = [n for n, rest in zip(found.labels, found.rest, strict=True) if not rest]
    definite = bool(len(free)) and bool(np.all(np.linalg.eigvalsh(found.curvature) > 0))
    reasons, warnings, steps = [], [], []
    left = _left(found, definite)
    if left:
        reasons.append(left)
        steps.append("Start nearer with start={...}, try starts=5, or fix what the data do not tell.")
    unsettled = found.objective.individual.unsettled
    if unsettled:
        reasons.append(f"Modes not found for {len(unsettled)} subjects ({'; '.join(unsettled[:3])}).")
        steps.append("Look at these subjects' rows; their objective is not what the method means.")
    if not definite:
        warnings.append(f"no standard errors: the curvature is not positive definite ({_flat(found.curvature, free)})")
        steps.append("The data do not tell these values apart: fix one, or sample with priors (pkpd.sample).")
    warnings += _boundary(found, steps)
    warnings += _elsewhere(found, steps)
    if reasons:
        return Verdict(False, f"NOT CONVERGED: {reasons[0]}", (*reasons, *warnings), tuple(steps))
    word = ("Converged", "Converged, with a warning", "Converged, with warnings")[min(len(warnings), 2)]
    told = f"{found.method} objective {found.objective.value:.3f}, largest gradient {_largest(found):.1e} after {found.at.evaluations} evaluations"
    return Verdict(True, "; ".join((f"{word}: {told}", *warnings)) + ".", tuple(warnings), tuple(steps))


def _largest(found: Found) -> float:
    return float(np.max(np.abs(found.at.gradient[~found.rest]), initial=0.0))


def _left(found: Found, definite: bool) -> str:
    """What is left of the way down, empty where nothing is."""
    gradient = found.at.gradient[~found.rest]
    worst = (
        [n for n, rest in zip(found.labels, found.rest, strict=True) if not rest][int(np.argmax(np.abs(gradient)))] if gradient.size else ""
    )
    if definite:
        gain = 0.5 * float(gradient @ np.linalg.solve(found.curvature, gradient))
        return f"One more Newton step would lower the objective by {gain:.3g}; its slope is largest in {worst}." if not gain < CLOSE else ""
    return (
        ""
        if _largest(found) < FLAT
        else f"The slope of the objective in {worst} is {_largest(found):.3g}, and its curvature is not positive definite."
    )


def _flat(curvature: np.ndarray, free: Sequence[str]) -> str:
    """The values along the flattest direction."""
    if not len(free):
        return "every value is at a boundary"
    _, vectors = np.linalg.eigh(curvature)
    order = np.argsort(-np.abs(vectors[:, 0]))
    return ", ".join(dict.fromkeys(free[i] for i in order[:3] if abs(vectors[i, 0]) > 0.3))


def _boundary(found: Found, steps: list[str]) -> list[str]:
    names = list(dict.fromkeys(n for n, rest in zip(found.labels, found.rest, strict=True) if rest))
    if not names:
        return []
    steps.append(
        f"At a boundary: leave out the variability or correlation that the data do not show ({', '.join(names)}), or hold it fixed."
    )
    return [f"{', '.join(names)} at a boundary, without standard error"]


def _elsewhere(found: Found, steps: list[str]) -> list[str]:
    each = found.objective.by_subject.to_numpy()
    apart = np.flatnonzero(~(np.abs(found.anew - each) < OTHER))
    if not apart.size:
        return []
    steps.append("Several modes in a subject: plot its fit, and compare with pkpd.sample.")
    names = ", ".join(found.objective.individual.subjects[i] for i in apart[:3])
    return [f"searched from 0, the mode of subject {names} lies elsewhere"]
