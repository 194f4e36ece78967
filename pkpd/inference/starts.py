"""Several starts: descents from typical values and from values scattered over the prior, and the modes they end in.

Chains begin around one point, so R-hat knows nothing of a mode that none of them begins near; these descents are what looks for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from numpyro import handlers

from pkpd.errors import FitError
from pkpd.inference.arrow import Arrow
from pkpd.inference.geometry import Geometry, Report, _Tools, descend, find_geometry, there
from pkpd.inference.space import Space
from pkpd.population.medians import typical_value
from pkpd.population.shrink import of_subjects

FARTHEST = 2.0
"""How far a start may lie from the prior median in each unconstrained coordinate: a factor of 7.4 on the log scale."""
MOVED_IN = 5
"""How often a start without a density is moved half way to the typical one."""
SAME = 1.0
"""Distance of two ends in the population's values, in sds of the law around the better one, up to which they are one mode."""
LEVEL = 0.1
"""Log mass by which the end of an earlier start may fall short of the best one and still be taken."""
SETTLED = 0.1
"""Log density that a further Newton step would still promise, from which an end is taken for unfinished and is no mode by itself."""
RISE = 0.5
"""-log density by which a line between two ends must rise above both for them to be two modes."""
TELL = 0.01
"""Share of the mass from which another mode is a warning."""


@dataclass(frozen=True, eq=False)
class End:
    """Where a descent ended: z[D] with all effects centred, -log density there, log mass of the normal law around it, and whether it is a mode."""

    z: Any
    value: float
    mass: float
    factor: Any
    settled: bool


def best_geometry(space: Space, report: Report, starts: int, seed: int) -> Geometry:
    """The geometry at the mode of most mass that descents from `starts` places end in; `modes` of it tells of others with 1 % of the mass or more.

    The first start is the typical one, the others draw the population's values from the prior, at most a factor of 7.4 from its medians; random effects
    are at their location, spreads held. Raises `FitError` of the typical start where no start has a density.
    """
    if starts == 1:
        return find_geometry(space, report)
    tools, weights = _Tools.of(space), space.full_weights
    ends: list[End] = []
    lost: dict[int, Exception] = {}
    for i, z in enumerate(scattered(space, weights, starts, seed)):
        try:
            ends.append(_ended(tools, z, weights, report if i == 0 else lambda _: None))
        except (FitError, np.linalg.LinAlgError) as error:
            lost[i] = error
            report(f"start {i + 1} of {starts} finds no mode: {error}")
    if not ends:
        raise lost[0]
    best = _first_of_best(tools, weights, ends)
    same = [e for e in ends if _joined(tools, weights, best, e)]
    others = _others(tools, weights, best, [e for e in ends if e not in same])
    told = _in_words(space, best, others)
    report(f"starts: {len(same)} of {starts} end in one mode{_unsettled(ends)}{'; ' + told if told else ''}")
    found = find_geometry(space, report, (best.z, best.value))
    return replace(found, modes=told if any(share >= TELL for share, _ in others) else "")


def _first_of_best(tools: _Tools, weights: Mapping[str, Any], ends: list[End]) -> End:
    """The first end in the mode of most mass: the typical start's wherever it gets there, so that other starts change no draw of a fit with one mode."""
    top = max(ends, key=lambda e: e.mass)
    return next(e for e in ends if e is top or (top.mass - e.mass < LEVEL and _joined(tools, weights, top, e)))


def _joined(tools: _Tools, weights: Mapping[str, Any], a: End, b: End) -> bool:
    """Whether two ends are of one mode: near each other, nothing rises between them, or one is not finished, which is no mode by itself."""
    if not (a.settled and b.settled) or _apart(tools, a, b) <= SAME:
        return True
    between = [float(tools.value_grad(a.z + t * (b.z - a.z), weights)[0]) for t in np.linspace(0.1, 0.9, 9)]
    return all(x <= max(a.value, b.value) + RISE for x in between)


def _unsettled(ends: list[End]) -> str:
    n = sum(not e.settled for e in ends)
    return f" ({n} not finished: the posterior bends there)" if n else ""


def scattered(space: Space, weights: Mapping[str, Any], n: int, seed: int) -> list[Any]:
    """The typical start, and n - 1 with the population's values from the prior; spreads, and random effects given those values, stay typical."""
    typical = space.start(weights)
    free = ~space.held & np.array([not of_subjects(label) for label in space.labels()])
    found = [typical]
    for key in jax.random.split(jax.random.PRNGKey(seed), n - 1):
        trace = handlers.trace(handlers.seed(space.model, key)).get_trace(weights)
        drawn = np.asarray(space.flatten({name: trace[name]["value"] for name in space.latent}))
        away = np.clip(np.nan_to_num(drawn - typical), -FARTHEST, FARTHEST)
        z = _with_effects(space, weights, np.where(free, typical + away, typical), free)
        found.append(_moved_in(space, weights, z, typical))
    return found


def _with_effects(space: Space, weights: Mapping[str, Any], z: np.ndarray, free: np.ndarray) -> Any:
    """z with the random effects at their location given its population values."""
    values = space.constrain(z)
    named = {name for name, moved in zip(space.labels(), free, strict=True) if moved}
    filled = handlers.substitute(space.model, substitute_fn=lambda s: values[s["name"]] if s["name"] in named else typical_value(s))
    trace = handlers.trace(handlers.seed(filled, jax.random.PRNGKey(0))).get_trace(weights)
    return space.flatten({name: trace[name]["value"] for name in space.latent})


def _moved_in(space: Space, weights: Mapping[str, Any], z: Any, typical: Any) -> Any:
    """The start, or one nearer to the typical one where it has no density."""
    value_grad = _Tools.of(space).value_grad
    for _ in range(MOVED_IN):
        value, grad = value_grad(z, weights)
        if np.isfinite(value) and np.all(np.isfinite(grad)):
            break
        z = 0.5 * (z + typical)
    return z


def _ended(tools: _Tools, z: Any, weights: Mapping[str, Any], report: Report) -> End:
    z, value = descend(tools, z, weights, report)
    found = there(tools, z, value, dict(weights))
    factor, slope = found.factor, np.asarray(tools.value_grad(z, weights)[1])
    settled = bool(0.5 * slope @ tools.solve(found.information, slope) <= SETTLED)
    parts = (factor.root, factor.blocks) if isinstance(factor, Arrow) else (factor,)
    volume = sum(float(np.log(np.abs(np.diagonal(np.asarray(x), axis1=-2, axis2=-1))).sum()) for x in parts)
    return End(z, value, volume - value, factor, settled)


def _law(tools: _Tools, end: End) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates of the population's values that are not held, and their covariance around a mode."""
    common = np.asarray(tools.layout.common)
    root = np.asarray(end.factor.root if isinstance(end.factor, Arrow) else end.factor[common])
    free = ~np.asarray(tools.held)[common]
    return common[free], (root @ root.T)[np.ix_(free, free)]


def _apart(tools: _Tools, best: End, other: End) -> float:
    at, covariance = _law(tools, best)
    away = np.asarray(other.z - best.z)[at]
    return float(np.sqrt(max(away @ np.linalg.solve(covariance, away), 0.0)))


def _others(tools: _Tools, weights: Mapping[str, Any], best: End, ends: list[End]) -> list[tuple[float, End]]:
    """The distinct modes besides the best, with their share of all mass found, the largest first."""
    modes: list[End] = []
    for end in sorted(ends, key=lambda e: -e.mass):
        if not any(_joined(tools, weights, m, end) for m in modes):
            modes.append(end)
    total = np.logaddexp.reduce([best.mass, *(m.mass for m in modes)])
    return [(float(np.exp(m.mass - total)), m) for m in modes]


def _in_words(space: Space, best: End, others: list[tuple[float, End]]) -> str:
    """What other modes hold and where they lie, in the population's values that differ most."""
    if not others:
        return ""
    share, other = others[0]
    at, covariance = _law(_Tools.of(space), best)
    far = np.abs(np.asarray(other.z - best.z))[at] / np.sqrt(np.diagonal(covariance))
    labels = space.labels()
    names = list(dict.fromkeys(labels[at[k]] for k in np.argsort(-far)))[:3]
    here, away = space.constrain(best.z), space.constrain(other.z)
    values = ", ".join(f"{n} {_short(away[n])} for {_short(here[n])}" for n in names)
    more = f" ({len(others)} other modes in all)" if len(others) > 1 else ""
    return f"another lies at {values}, with {_percent(share)} of the mass by its normal law{more}"


def _short(value: Any) -> str:
    return ", ".join(f"{x:.3g}" for x in np.ravel(value)[:3])


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share > 1e-4 else "less than 0.01 %"


def warned(modes: str) -> tuple[tuple[str, str, str], ...]:
    """For the verdict, where a start found another mode of 1 % of the mass or more: in few words, in full, and what to do."""
    if not modes:
        return ()
    step = (
        "Two modes: look with pkpd.find_modes(problem, seed=...), and say which is meant by a prior or an order of the parameters (for a flip-flop pair, "
        "ka > CL / V)."
    )
    return (
        (
            "the posterior has another mode",
            f"The chains begin in the mode of most mass; {modes}. R-hat does not see a mode that no chain reaches.",
            step,
        ),
    )
