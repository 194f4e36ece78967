"""Leave-one-out predictive density by row, from the log-likelihood a fit stores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.diagnostics.integrated import subject_log_likelihood
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


COLUMNS = ["subject", "rows", "log_score", "pareto_k", "influential"]
INFLUENTIAL = 0.7


def subject_scores(fit: Any, *, integrated: bool = False) -> pd.DataFrame:
    """PSIS-LOO by subject: subject, rows, log_score (expected log density of all its rows when it is left out), pareto_k, influential (k above 0.7).

    By default the log-likelihood of a subject is the sum over its rows at its own random effects, which its rows inform: leaving it out moves them back to
    the population, further than re-weighted draws can follow where random effects are well seen. A k above 0.7 says that the posterior would be another
    one without the subject, or that only a fit without it could tell; `log_score` is then not to be used. `integrated=True` takes the random effects out by
    weighted points first (102,400 solves of the cohort; the fit must have its problem), so that k speaks of the population alone. Subjects whose rows are
    certain are left out. Source: Vehtari, Gelman & Gabry 2017, Stat Comput 27:1413.

    >>> subject_scores(fit).head()                                                         # doctest: +SKIP
    """
    from arviz_stats.base import array_stats

    tree = need(fit, "log_likelihood/dv", "constant_data/subject")
    subject = np.array([str(s) for s in tree["constant_data"]["subject"].values])
    lines = []
    for name, own in (_integrated(fit) if integrated else _conditional(tree, subject)).items():
        solved = own[np.isfinite(own)]
        if len(solved) > 1 and solved.std() > CERTAIN:
            log_weights, k = array_stats.psislw(solved)
            score = float(np.log(np.sum(np.exp(solved + log_weights))))
            lines.append((name, int((subject == name).sum()), score, float(k), bool(k > INFLUENTIAL)))
    return pd.DataFrame(lines, columns=COLUMNS)


def _conditional(tree: Any, subject: np.ndarray) -> dict[str, np.ndarray]:
    dv = tree["log_likelihood"]["dv"]
    values = dv.to_numpy().reshape(-1, dv.sizes["obs"])
    return {name: values[:, subject == name].sum(1) for name in dict.fromkeys(subject.tolist())}


def _integrated(fit: Any) -> dict[str, np.ndarray]:
    found = subject_log_likelihood(fit)
    values = found.to_numpy().reshape(-1, found.sizes["subject"])
    return {str(s): values[:, i] for i, s in enumerate(found["subject"].values)}


def who_is_influential(table: pd.DataFrame, *, integrated: bool = False) -> str:
    """One sentence on `subject_scores`, made with the same `integrated`.

    >>> who_is_influential(pd.DataFrame([("P1", 8, -9.1, 0.4, False)], columns=COLUMNS))
    'No subject is influential: every Pareto-k is below 0.7.'
    """
    far = table[table["influential"]].sort_values("pareto_k", ascending=False)
    if far.empty:
        return f"No subject is influential: every Pareto-k is below {INFLUENTIAL}."
    who = ", ".join(f"{s} (k {k:.2f})" for s, k in zip(far["subject"].head(3), far["pareto_k"].head(3), strict=True))
    more = f" and {len(far) - 3} more" if len(far) > 3 else ""
    if integrated:
        return f"{len(far)} of {len(table)} subjects are influential: {who}{more}; re-weighting cannot stand for a fit without one of them."
    return (
        f"Pareto-k is above {INFLUENTIAL} for {len(far)} of {len(table)} subjects: {who}{more}. Leaving one out also frees its own random effects, so this "
        "does not tell who moves the population; subject_scores(fit, integrated=True) does."
    )
