"""One path of Pathfinder: a quasi-Newton descent, a normal law at each of its steps, and the law that lies nearest the posterior.

At step l the descent knows a place x, a gradient g and an inverse curvature H: the law is N(x - H g, H). Of all steps the one with the largest evidence
lower bound, the mean of log density - log q over draws of q, is kept: it stops a path that runs on into a funnel's neck.
Source: Zhang, Carpenter, Gelman & Vehtari 2022, JMLR 23:306; with the full inverse curvature in place of a limited-memory one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from pkpd.approximate.bfgs import Descent, minimise
from pkpd.approximate.laws import Law
from pkpd.approximate.target import Integrated, Target

ENOUGH, MOST = 1e-8, 200
"""Gain of a Newton step at which a path ends: the last steps gain nothing but knowledge of the curvature."""
LOOKS = 10
"""Draws of each step's law for its evidence lower bound."""
SHRINK = 6
"""How often a start without a density is moved half way to the centre."""


@dataclass(frozen=True, eq=False)
class Path:
    """The law of the best step, its evidence lower bound, which step of how many it was; the start it came from, and how often that was moved in."""

    law: Law
    bound: float
    step: int
    steps: int
    moved: int


def follow(target: Target | Integrated, start: np.ndarray, key: Any) -> Path | None:
    """Descend from `start` (moved half way to the centre while it has no density); None where no step has a law with a finite bound."""
    moved = 0
    while not np.isfinite(target.evaluate(start)[0]) and moved < SHRINK:
        start, moved = 0.5 * (start + target.centre), moved + 1
    if not np.isfinite(target.evaluate(start)[0]):
        return None
    seen: list[Descent] = []
    minimise(target.evaluate, start, target.begin(), ENOUGH, MOST, lambda _: None, seen.append)
    laws = [law for law in map(_law, seen) if law is not None]
    if not laws:
        return None
    bounds = _bounds(target, laws, key)
    best = int(np.argmax(bounds))
    return Path(laws[best], float(bounds[best]), best + 1, len(laws), moved) if np.isfinite(bounds[best]) else None


def _law(at: Descent) -> Law | None:
    try:
        return Law(at.z - at.inverse @ at.gradient, np.linalg.cholesky(0.5 * (at.inverse + at.inverse.T)))
    except np.linalg.LinAlgError:
        return None


def _bounds(target: Target | Integrated, laws: list[Law], key: Any) -> np.ndarray:
    """Evidence lower bound of each law, -inf where a draw has no density; the same noise for all."""
    noise = np.asarray(jax.random.normal(key, (LOOKS, target.size)))
    draws = [law.draw(noise) for law in laws]
    log_p = target.log_density(np.concatenate(draws)).reshape(len(laws), LOOKS)
    log_q = np.stack([law.normal_log_density(v) for law, v in zip(laws, draws, strict=True)])
    return np.mean(log_p - log_q, 1)
