"""Prior against posterior: how much of each population parameter came from the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import SPREADS, absent, pooled, population_names

PRIOR_DRIVEN = 0.8
COLUMNS = ["name", "scale", "prior_sd", "posterior_sd", "ratio", "prior_driven"]


def reading_scale(name: str, prior: np.ndarray, posterior: np.ndarray) -> str:
    """The scale on which a parameter is compared: "log" when every draw is positive, "linear" otherwise.

    Spreads (`omega_`, `sigma_`) stay linear: their priors reach zero, where a log scale would show only the tail.

    >>> reading_scale("k_e", np.array([0.1, 2.0]), np.array([0.5])), reading_scale("omega_k_e", np.array([0.1]), np.array([0.5]))
    ('log', 'linear')
    """
    positive = bool((prior > 0).all() and (posterior > 0).all())
    return "log" if positive and not name.startswith(SPREADS) else "linear"


def contraction(name: str, prior: np.ndarray, posterior: np.ndarray) -> tuple[str, float, float, float]:
    """Scale, prior sd, posterior sd and their ratio posterior/prior, the sds taken on the reading scale (ln or as it is).

    >>> scale, before, after, ratio = contraction("beta", np.array([-2.0, 2.0]), np.array([-1.0, 1.0]))
    >>> scale, ratio
    ('linear', 0.5)
    """
    scale = reading_scale(name, prior, posterior)
    read = np.log if scale == "log" else np.asarray
    before, after = float(np.std(read(prior))), float(np.std(read(posterior)))
    return scale, before, after, after / before if before > 0 else float("nan")


def contraction_table(fit: Any) -> pd.DataFrame:
    """One line per population parameter that has prior draws: name, scale, prior_sd, posterior_sd, ratio, prior_driven.

    `ratio` is posterior/prior sd; above 0.8 the parameter is called prior-driven.
    """
    lines = []
    for name in population_names(fit):
        if not absent(fit, f"prior/{name}"):
            found = contraction(name, pooled(fit, "prior", name), pooled(fit, "posterior", name))
            lines.append([name, *found, found[-1] > PRIOR_DRIVEN])
    return pd.DataFrame(lines, columns=COLUMNS)
