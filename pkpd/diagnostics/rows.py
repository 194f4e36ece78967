"""The long table behind every diagnostic: one line per observation row, with its value, its limits and what it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import absent, need, observation, report_facts
from pkpd.errors import FitError, choices

COLUMNS = ("time", "subject", "observable", "unit", "cens", "lower", "scored")
LOG_SPAN = 10.0  # an observable that spans more than a decade is read on a log axis


def rows(fit: Any) -> pd.DataFrame:
    """Observation rows of a fit as a table, in the order of the tree's `obs` dimension.

    Columns: time (h), subject, observable, unit, cens (0, 1, -1), lower, scored, dv (nan where not measured; the limit where
    censored), lloq and uloq (limits of quantification of every row as far as the data tell; nan where unknown).
    Raises `FitError` when the tree lacks constant_data or observed_data.
    """
    tree = need(fit, "constant_data", "observed_data/dv")
    constant = tree["constant_data"]
    table = pd.DataFrame({name: np.asarray(constant[name].values) for name in COLUMNS if name in constant})
    for name in ("subject", "observable", "unit"):
        table[name] = [str(value) for value in table[name]]
    table["cens"] = table["cens"].astype(int)
    table["dv"] = np.asarray(tree["observed_data"]["dv"].values, dtype=float)
    table["scored"] = table["scored"].astype(bool) & np.isfinite(table["dv"])
    table["lloq"] = known_limits(table, side=1)
    table["uloq"] = known_limits(table, side=-1)
    return table


def known_limits(table: pd.DataFrame, side: int) -> np.ndarray:
    """The limit of quantification of each row, as far as the censored rows reveal it; nan where they do not.

    A censored row carries its own limit. Another row takes the commonest limit of its subject's rows of the same observable,
    else the commonest of the observable; a limit that the row's own measured value contradicts is not used.
    `side` is 1 for the lower limit, -1 for the upper.

    >>> t = pd.DataFrame({"subject": ["a", "a", "b"], "observable": "y", "cens": [1, 0, 0], "dv": [5.0, 9.0, 2.0]})
    >>> known_limits(t, side=1).tolist()
    [5.0, 5.0, nan]
    """
    hit = table["cens"] == side
    own = table["dv"].where(hit)
    common = own.groupby(table["observable"]).transform(_commonest)
    within = own.groupby([table["observable"], table["subject"]]).transform(_commonest)
    limit = own.fillna(within).fillna(common)
    contradicted = ~hit & (side * (table["dv"] - limit) < 0)
    return limit.mask(contradicted).to_numpy(float)


def _commonest(values: pd.Series) -> float:
    modes = values.dropna().mode()
    return float(modes.iloc[0]) if len(modes) else np.nan


def observables(fit: Any) -> tuple[str, ...]:
    """Names of the observables that have rows, in the order in which they first appear."""
    return tuple(dict.fromkeys(rows(fit)["observable"]))


def observable_rows(fit: Any, observable: str) -> pd.DataFrame:
    """The rows of one observable, indexed by their position in `obs`.

    Raises `FitError` with the nearest name when the fit has no such observable.
    """
    table = rows(fit)
    if observable not in set(table["observable"]):
        raise FitError(f"This fit has no observable '{observable}'. {choices(observable, set(table['observable']))}")
    return table[table["observable"] == observable]


def endpoint(fit: Any, observable: str) -> str:
    """What the values of an observable are: continuous, counts, binary, grades, states, event or recurrent event; continuous where not told."""
    return str(observation(fit, observable).get("endpoint", "continuous"))


NUMBERS = ("continuous", "counts")
"""Endpoints whose values are amounts: they have percentiles, residuals and a difference from the prediction."""


def numeric(fit: Any) -> tuple[str, ...]:
    """Observables whose values are amounts (continuous, counts)."""
    return tuple(name for name in observables(fit) if endpoint(fit, name) in NUMBERS)


def need_numeric(fit: Any, observable: str) -> str:
    """`observable` itself; raises `FitError` where its values are no amounts."""
    kind = endpoint(fit, observable)
    if kind not in NUMBERS:
        raise FitError(
            f"'{observable}' is no amount ({kind}), so it has no residuals and no difference from a prediction; look at plot_vpc."
        )
    return observable


def left_out(fit: Any) -> str:
    """A sentence on observables that have no residuals; empty when there are none."""
    others = [f"{name} ({endpoint(fit, name)})" for name in observables(fit) if name not in numeric(fit)]
    return f"Not shown here, as its values are no amounts: {', '.join(others)}; see the visual predictive check." if others else ""


def no_residuals(fit: Any) -> str:
    """A sentence where no observable at all has residuals; else empty."""
    if absent(fit, "constant_data", "observed_data") or numeric(fit):
        return ""
    return "No observable of this fit is an amount, so there are no residuals and no plot of observed against predicted; see the visual predictive check."


def unit_of(table: pd.DataFrame) -> str:
    """The unit shared by the rows of one observable; empty when there is none."""
    return str(table["unit"].iloc[0]) if len(table) else ""


def covariates(fit: Any) -> pd.DataFrame:
    """Covariates of the subjects: one line a subject (index: subject id), one column a covariate, without the prefix."""
    tree = need(fit, "constant_data")
    constant = tree["constant_data"]
    found = {
        str(name).removeprefix("covariate_"): constant[name].values for name in constant.data_vars if str(name).startswith("covariate_")
    }
    return pd.DataFrame(found, index=subject_ids(fit))


def subject_ids(fit: Any) -> list[str]:
    """Subject ids as text, in the tree's order of subjects."""
    tree = need(fit, "constant_data")
    for group in ("constant_data", "posterior", "predictions"):
        if group in tree.children and "subject" in tree[group].indexes:
            return [str(value) for value in tree[group].indexes["subject"]]
    return list(dict.fromkeys(str(value) for value in tree["constant_data"]["subject"].values))


def is_log(fit: Any, observable: str) -> bool:
    """Whether an observable is read on a log axis: declared lognormal in `report["noise"]`, else positive over more than a decade."""
    if (kind := endpoint(fit, observable)) != "continuous":
        return kind == "binary" and str(observation(fit, observable).get("kind", "")).startswith(("detection", "last positive"))
    declared = report_facts(fit).get("noise", {}).get(observable)
    if declared is not None:
        return "lognormal" in str(declared).lower()
    table = observable_rows(fit, observable)
    values = table.loc[table["scored"], "dv"]
    return bool(len(values) and values.min() > 0 and values.max() > LOG_SPAN * values.min())
