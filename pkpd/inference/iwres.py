"""Individual weighted residuals of the quantified rows, averaged over draws; what epsilon shrinkage is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pkpd.inference.problem import FitProblem
from pkpd.noise import ResidualError


def individual_residuals(problem: FitProblem, ipred: np.ndarray, sites: Mapping[str, np.ndarray]) -> np.ndarray:
    """IWRES [rows]: the mean over draws of (y - f_i) / sd (of ln y and ln f for lognormal residuals); nan for censored rows and for other observations.

    `ipred` is [draw, rows]; `sites` holds the residual sds [draw] by name. Draws that could not be solved are left out of their rows.
    """
    rows, found = problem.rows, np.full(len(problem.rows.dv), np.nan)
    for i, o in enumerate(problem.observed_names):
        error = problem.observations[o]
        at = np.flatnonzero((rows.observable == i) & (rows.cens == 0))
        if isinstance(error, ResidualError) and at.size:
            found[at] = _mean(_weighted(error, rows.dv[at], ipred[:, at], [_column(sites, f"{x}_{o}", prior) for x, prior in error.priors]))
    return found


def _column(sites: Mapping[str, np.ndarray], site: str, prior: Any) -> Any:
    return np.asarray(sites[site])[:, None] if site in sites else prior


def _weighted(error: ResidualError, dv: np.ndarray, f: np.ndarray, sds: list[Any]) -> np.ndarray:
    mean, sd = (np.asarray(x) for x in error.mean_sd(f, sds))
    return ((np.log(dv) if error.logs else dv) - mean) / sd


def _mean(x: np.ndarray) -> np.ndarray:
    """Over draws, leaving out nan; nan where all are."""
    solved = np.isfinite(x)
    count = solved.sum(0)
    return np.where(count > 0, np.where(solved, x, 0.0).sum(0) / np.maximum(count, 1), np.nan)
