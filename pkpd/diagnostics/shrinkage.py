"""Shrinkage of the random effects: how far the data of each subject let its own value be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import absent, eta_names, pooled, tree_of

DEFINITION = "Shrinkage = 1 - sd over subjects of the posterior mean effect / posterior mean of omega. 0: each subject is seen; 1: none is."


def shrinkage(means: np.ndarray, omega: float) -> float:
    """Shrinkage of one random effect: 1 - sd(posterior means of eta) / omega, nan with fewer than two subjects.

    `means` is `[subject]`, on the scale of `omega`. The sd divides by n - 1.
    Source: Savic & Karlsson 2009, AAPS J 11:558 (sd form).

    >>> round(shrinkage(np.array([-0.3, 0.0, 0.3]), 0.5), 6)
    0.4
    """
    if len(means) < 2 or not omega > 0:
        return float("nan")
    return float(1 - np.std(means, ddof=1) / omega)


def shrinkage_table(fit: Any) -> pd.DataFrame:
    """One line per parameter with a random effect: name, omega (posterior mean), sd_eta, shrinkage, mean_posterior_sd.

    `mean_posterior_sd` is the mean over subjects of the posterior sd of eta: near omega when a subject's data say nothing.
    """
    return pd.DataFrame([_line(fit, name) for name in eta_names(fit) if not absent(fit, f"posterior/omega_{name}")], columns=COLUMNS)


COLUMNS = ["name", "omega", "sd_eta", "shrinkage", "mean_posterior_sd"]


def _line(fit: Any, name: str) -> list[Any]:
    eta = pooled(fit, "posterior", f"eta_{name}", "subject")
    omega = float(pooled(fit, "posterior", f"omega_{name}").mean())
    means = eta.mean(axis=0)
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    return [name, omega, spread, shrinkage(means, omega), float(eta.std(axis=0).mean())]


EPSILON = "Epsilon shrinkage = 1 - sd of the individual weighted residuals. Near 0: residuals can show a wrong model; near 1: predictions follow each value."
EPSILON_COLUMNS = ["observable", "rows", "sd_iwres", "shrinkage"]


def epsilon_shrinkage_table(fit: Any) -> pd.DataFrame:
    """One line per observable with a plain residual error: observable, quantified rows, sd_iwres, shrinkage.

    Shrinkage = 1 - sd(IWRES), IWRES = (y - f_i) / sd averaged over the posterior. Above about 0.3, individual predictions and residuals say little of the
    model. Empty for a fit made before IWRES were stored. Source: Savic & Karlsson 2009, AAPS J 11:558.

    >>> epsilon_shrinkage_table(fit)                                                       # doctest: +SKIP
    """
    if absent(fit, "residuals/iwres", "constant_data/observable"):
        return pd.DataFrame(columns=EPSILON_COLUMNS)
    tree = tree_of(fit)
    iwres, names = tree["residuals"]["iwres"].to_numpy(), tree["constant_data"]["observable"].to_numpy()
    lines = []
    for name in dict.fromkeys(str(n) for n in names):
        own = iwres[(names == name) & np.isfinite(iwres)]
        if len(own) > 1:
            sd = float(np.std(own, ddof=1))
            lines.append((name, len(own), sd, 1 - sd))
    return pd.DataFrame(lines, columns=EPSILON_COLUMNS)
