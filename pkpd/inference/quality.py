"""The ladder of a fit: draft, standard, final; what each changes and what it means.

A draft is an approximation weighed against the exact posterior, standard is NUTS as the problem sets it, final is NUTS with a finer solver, longer
chains, and more draws until a stricter convergence is reached.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pkpd.errors import FitError, choices
from pkpd.solve import Solver

QUALITIES = ("draft", "standard", "final")
FINAL = {"draws": 2000, "warmup": 1500, "target_accept": 0.95, "max_tree_depth": 10}
"""Least settings of a final fit; larger ones of the problem are kept."""
FINAL_ESS, DOUBLINGS = 1000.0, 2
"""Effective draws that a final fit asks for in every population parameter, and how often its draws are doubled to get there."""
FINER, STEPS_MORE = 100.0, 4
"""How much finer the tolerances are, and how many more steps may be taken: of order 5 or 4, 100 times finer takes 2.5 to 3.2 times the steps."""
MEANING = {
    "draft": "Quality draft: an approximation weighed against the exact posterior, for a first look; no chains are run.",
    "standard": "Quality standard: the problem's own settings; converged means R-hat at most 1.01 and 400 effective draws of every "
    "population parameter.",
    "final": "Quality final: a solver 100 times finer, at least 2000 draws of each chain after 1500 of warm-up at a target acceptance of 0.95, and "
    "up to four times as many draws until every population parameter has R-hat at most 1.01 and 1000 effective draws, which converged means here.",
}


def checked_quality(quality: Any) -> str:
    """The name of a rung. Raises `FitError` for any other.

    >>> checked_quality("draft")
    'draft'
    """
    if quality not in QUALITIES:
        raise FitError(f"quality={quality!r} is not known. {choices(str(quality), QUALITIES)}")
    return quality


def raised(sampler: Any) -> Any:
    """The settings of a final fit: none below `FINAL`. Raises `FitError` for a single chain, which has no R-hat to be final by."""
    if sampler.chains < 2:
        raise FitError(
            "quality='final' with chains=1: a single chain has nothing to be compared with. Ask for at least 2 chains (4 are usual)."
        )
    now = {name: getattr(sampler, name) for name in FINAL} | {"target_accept": sampler.acceptance}
    return replace(sampler, **{name: max(now[name], least) for name, least in FINAL.items()})


def finer(solver: Solver) -> Solver:
    """A hundredth of the tolerances (down to 1e-12), half of the cascade's mesh, four times the steps; never coarser. Exact methods have none of these.

    >>> finer(Solver(rtol=1e-6)).rtol
    1e-08
    """
    first = None if solver.mesh_first is None else solver.mesh_first / 2
    rtol, atol = min(solver.rtol, max(solver.rtol / FINER, 1e-12)), min(solver.atol, max(solver.atol / FINER, 1e-14))
    tolerances = {"rtol": float(f"{rtol:.6g}"), "atol": float(f"{atol:.6g}"), "max_steps": STEPS_MORE * solver.max_steps}
    return replace(solver, **tolerances, mesh_growth=solver.mesh_growth / 2, mesh_first=first)


def until_enough(
    run: Callable[[Any, Any], Any],
    sampler: Any,
    mixing: Callable[[Any], tuple[float, float]],
    kept: Any,
    checkpoint: Callable[[Path], Any],
    report: Callable,
) -> Any:
    """Draws by `run(sampler, checkpoint)`, doubled while `mixing(draws)` has a smallest ESS below `FINAL_ESS` or a largest R-hat above 1.01.

    `kept` is the fit's checkpoint, or None: chains then go on from one in a temporary folder. An interruption ends it with the draws there are.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = kept if kept is not None else checkpoint(Path(folder) / "chains")
        for left in range(DOUBLINGS, -1, -1):
            draws = run(sampler, place)
            if draws.stopped or left == 0:
                return draws, sampler
            ess, rhat = mixing(draws)
            if ess >= FINAL_ESS and rhat <= 1.01:
                return draws, sampler
            report("final: %.0f effective draws (1000 asked for), R-hat %.3f; going on with twice the draws", ess, rhat)
            sampler = replace(sampler, draws=2 * sampler.draws)
    raise AssertionError("unreachable")


def worst(summary: Any) -> tuple[float, float]:
    """Smallest of bulk and tail ESS, and largest R-hat, of a summary: of the parameters in their units, since the folded R-hat depends on the scale."""
    return float(summary[["ess_bulk", "ess_tail"]].min().min()), float(summary["rhat"].max())
