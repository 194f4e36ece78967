"""How much each estimate owes to the prior and to the data: power-scaling of one and of the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.diagnostics.layout import need, population_names
from pkpd.inference.predictive import thin

ALPHAS = (0.8, 1.25)
"""Powers given to the prior and to the likelihood: a fifth weaker and a quarter stronger."""
SENSITIVE = 0.05
"""Sensitivity from which a parameter counts as moved: a normal posterior whose mean moves by 0.3 sd when a density is squared (Kallioinen et al. 2024)."""
COLUMNS = ["name", "prior", "likelihood", "shift", "diagnosis"]
FINE, BOTH, WEAK = "", "prior and data both move it", "prior strong, data weak"


def sensitivity_table(fit: Any) -> pd.DataFrame:
    """One line per population parameter: name, sensitivity to prior and likelihood, shift, diagnosis.

    The posterior is re-weighted by prior^(a - 1), and by likelihood^(a - 1), for a = 0.8 and 1.25, with Pareto-smoothed weights; the sensitivity is the
    cumulative Jensen-Shannon distance that this makes per doubling of a, by ArviZ. `shift` is how far the mean moves from the weaker prior to the
    stronger, in posterior sds. Above 0.05 both ways: "prior and data both move it"; to the prior alone: "prior strong, data weak". The priors of typical
    values are scaled on their unconstrained scale; random effects are not, being part of the model. The likelihood is known at the thinned draws of a
    fit, 400 at most.
    Raises `FitError` for a fit made before the prior's density was stored.
    Source: Kallioinen, Paananen, Buerkner & Vehtari 2024, Stat Comput 34:57.

    >>> sensitivity_table(fit)                                                             # doctest: +SKIP
    """
    import arviz as az

    tree = need(fit, "posterior", "log_prior", "log_likelihood/dv")
    names = [n for n in population_names(fit) if not n.startswith("corr_")]
    posterior, prior = tree["posterior"].to_dataset()[names], tree["log_prior"].to_dataset()
    by_prior = az.psense(_tree(posterior, log_prior=prior), group="prior", alphas=ALPHAS)
    few, dv = _thinned(posterior, tree["log_likelihood"]["dv"])
    by_data = az.psense(_tree(few, log_likelihood=dv.fillna(0.0).to_dataset(name="dv")), group="likelihood", alphas=ALPHAS)
    moved = _shifts(posterior, prior)
    lines = [(n, float(by_prior[n]), float(by_data[n]), moved[n]) for n in names]
    return pd.DataFrame([(*line, diagnosis(line[1], line[2])) for line in lines], columns=COLUMNS)


def diagnosis(prior: float, likelihood: float) -> str:
    """What the two sensitivities say together.

    >>> diagnosis(0.2, 0.3), diagnosis(0.2, 0.01), diagnosis(0.01, 0.3)
    ('prior and data both move it', 'prior strong, data weak', '')
    """
    if prior < SENSITIVE:
        return FINE
    return BOTH if likelihood >= SENSITIVE else WEAK


def _tree(posterior: xr.Dataset, **more: xr.Dataset) -> xr.DataTree:
    return xr.DataTree.from_dict({"posterior": posterior, **more})


def _thinned(posterior: xr.Dataset, rows: xr.DataArray) -> tuple[xr.Dataset, xr.DataArray]:
    """The draws that the log-likelihood was kept of, as they were chosen when the fit was labelled."""
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    kept = thin((chains, draws), chains * rows.sizes["draw"])[: rows.sizes["draw"]]
    few = posterior.isel(draw=kept).assign_coords(draw=np.arange(len(kept)))
    return few, rows.assign_coords(chain=few["chain"], draw=few["draw"])


def _shifts(posterior: xr.Dataset, prior: xr.Dataset) -> dict[str, float]:
    """(mean under prior^1.25 - mean under prior^0.8) / posterior sd."""
    from arviz_stats.base import array_stats

    density = sum(prior[n].to_numpy().ravel() for n in prior.data_vars)
    weights = [
        np.exp(array_stats.psislw(-(a - 1.0) * density)[0]) for a in ALPHAS
    ]  # made for leave-one-out: it takes what the weights are one over
    found = {}
    for n in (str(n) for n in posterior.data_vars):
        x = posterior[n].to_numpy().ravel()
        found[n] = float((weights[1] @ x - weights[0] @ x) / x.std())
    return found
