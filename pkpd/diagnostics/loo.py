"""Leave-one-out predictive density by row, from the log-likelihood a fit stores."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pkpd.diagnostics.layout import need

CERTAIN = 1e-6


def leave_one_out(fit: Any) -> tuple[Any, np.ndarray]:
    """PSIS-LOO (Vehtari, Gelman & Gabry 2017) by ArviZ over the rows that are not certain, and which rows those are.

    A row below its limit under every draw (a sample before the first dose, say) has log-likelihood 0 throughout: it tells nothing, adds nothing
    to the sum, and has no tail for the Pareto fit, so it is left out. Returns ArviZ's result (pointwise) and a flag for each row of `obs`.

    >>> result, kept = leave_one_out(fit)                                                  # doctest: +SKIP
    """
    import arviz as az

    tree = need(fit, "log_likelihood/dv", "posterior")
    rows = tree["log_likelihood"]["dv"]
    kept = (rows.std(("chain", "draw")) > CERTAIN).to_numpy()
    groups = {"posterior": tree["posterior"].to_dataset(), "log_likelihood": rows.isel(obs=np.flatnonzero(kept)).to_dataset()}
    return az.loo(xr.DataTree.from_dict(groups), pointwise=True), kept
