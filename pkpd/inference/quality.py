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

import numpy as np
import xarray as xr

from pkpd.errors import FitError, choices
from pkpd.solve import Solver

QUALITIES = ("draft", "standard", "final")
FINAL = {"draws": 2000, "warmup": 1500, "target_accept": 0.95, "max_tree_depth": 10}
"""Least settings of a final fit; larger ones of the problem are kept."""
FINAL_ESS, DOUBLINGS = 1000.0, 2
"""Effective draws that a final fit asks for in every population parameter, and how often its draws are doubled to get there."""
FINER = 100.0
MEANING = {
    "draft": "Quality draft: an approximation weighed against the exact posterior, for a first look; no run of NUTS.",
    "standard": "Quality standard: NUTS with the problem's own settings; converged means R-hat at most 1.01 and 400 effective draws of every "
    "population parameter.",
    "final": "Quality final: NUTS with a solver 100 times finer, at least 2000 draws of each chain after 1500 of warm-up at a target acceptance of 0.95, and "
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
    """The settings of a final fit: none below `FINAL`."""
    return replace(sampler, **{name: max(getattr(sampler, name), least) for name, least in FINAL.items()})


def finer(solver: Solver) -> Solver:
    """A hundredth of the tolerances (not below 1e-12), half of the cascade's mesh; exact methods have neither.

    >>> finer(Solver(rtol=1e-6)).rtol
    1e-08
    """
    first = None if solver.mesh_first is None else solver.mesh_first / 2
    rtol, atol = max(solver.rtol / FINER, 1e-12), max(solver.atol / FINER, 1e-14)
    return replace(solver, rtol=float(f"{rtol:.6g}"), atol=float(f"{atol:.6g}"), mesh_growth=solver.mesh_growth / 2, mesh_first=first)


def until_enough(
    run: Callable[[Any, Any], Any], sampler: Any, common: np.ndarray, kept: Any, checkpoint: Callable[[Path], Any], report: Callable
) -> Any:
    """Draws by `run(sampler, checkpoint)`, doubled while any coordinate in `common` has fewer than `FINAL_ESS` effective ones or R-hat above 1.01.

    `kept` is the fit's checkpoint, or None: chains then go on from one in a temporary folder. An interruption ends it with the draws there are.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = kept if kept is not None else checkpoint(Path(folder) / "chains")
        for left in range(DOUBLINGS, -1, -1):
            draws = run(sampler, place)
            ess, rhat = mixing(draws.z[..., common])
            if draws.stopped or left == 0 or (ess >= FINAL_ESS and rhat <= 1.01):
                return draws, sampler
            report("final: %.0f effective draws (1000 asked for), R-hat %.3f; going on with twice the draws", ess, rhat)
            sampler = replace(sampler, draws=2 * sampler.draws)
    raise AssertionError("unreachable")


def mixing(z: np.ndarray) -> tuple[float, float]:
    """Smallest of bulk and tail ESS, and largest R-hat, of coordinates z [chain, draw, D]; by ranks, so the same as of the parameters themselves."""
    import arviz as az  # not at import time: it takes seconds

    data = xr.Dataset({"z": (("chain", "draw", "d"), z)})
    ess = min(float(az.ess(data, method=m)["z"].min()) for m in ("bulk", "tail"))
    rhat = float(az.rhat(data)["z"].max()) if z.shape[0] > 1 else 1.0
    return ess, rhat
