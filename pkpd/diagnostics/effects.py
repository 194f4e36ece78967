"""Covariate effects in the parameter's own terms: ratios to the reference subject, or differences, at values that the cohort has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import absent, pooled, report_facts

COLUMNS = ["name", "parameter", "covariate", "at", "what", "reference", "measure", "unit", "q5", "q50", "q95", "inside", "fixed"]
BAND = (0.8, 1.25)
"""The limits of average bioequivalence, between which the field calls an effect on an exposure small."""


def effect_table(fit: Any) -> pd.DataFrame:
    """What each covariate does to its parameter, at the 5th and 95th percentile of the cohort or at each level, against the reference subject.

    On the log scale the ratio theta(x) / theta(reference) = exp(beta c(x)), with c(x) = log(x / reference) (power), (x - reference) / per
    (slope) or 1 (a level); on the logit and identity scales the difference g^-1(g(theta) + beta c(x)) - theta, in the parameter's unit.

    Returns one line a value: name (site of beta), parameter, covariate, at (value of the covariate), what (percentile, or how many of the
    subjects), reference, measure ("ratio" or "difference"), unit, q5, q50, q95 (of the posterior; equal where beta is fixed and nothing else
    enters), inside (posterior probability of a ratio within 0.8 to 1.25; NaN of a difference), fixed. No lines for a fit without effects or one
    stored before effects were. Raises `FitError` where the tree lacks draws of an estimated coefficient.

    >>> effect_table(fit)[["parameter", "covariate", "at", "q50"]]                         # doctest: +SKIP

    Source: Menon-Andersen et al. 2011, Clin Pharmacol Ther 90:471 (forest plots of covariates).
    """
    return pd.DataFrame([line for fact in _facts(fit) for line in _lines(fit, fact)], columns=COLUMNS)


def has_effects(fit: Any) -> bool:
    """Whether a stored fit tells of any covariate effect and holds the draws."""
    return bool(_facts(fit)) and not absent(fit, "posterior")


def _facts(fit: Any) -> list[dict[str, Any]]:
    return report_facts(fit).get("effects", [])


def _lines(fit: Any, fact: dict[str, Any]) -> Iterator[list[Any]]:
    fixed = fact["value"] is not None
    beta = np.array([fact["value"]]) if fixed else pooled(fit, "posterior", fact["site"])
    measure = "ratio" if fact["scale"] == "log" else "difference"
    for x, what in fact["at"]:
        values = change(fit, fact, beta * design(fact, x))
        inside = float(np.mean((values >= BAND[0]) & (values <= BAND[1]))) if measure == "ratio" else np.nan
        told = [fact["site"], fact["parameter"], fact["covariate"], x, what, fact["reference"], measure]
        unit = "" if measure == "ratio" else fact["unit"]
        yield [*told, unit, *map(float, np.quantile(values, [0.05, 0.5, 0.95])), inside, fixed]


def design(fact: dict[str, Any], x: float) -> float:
    """What beta is multiplied by at the value x.

    >>> design({"kind": "exponential", "reference": 40.0, "per": 10.0}, 60.0)
    2.0
    """
    if fact["kind"] == "categorical":
        return 1.0
    return float(np.log(x / fact["reference"])) if fact["kind"] == "power" else (x - fact["reference"]) / fact.get("per", 1.0)


def change(fit: Any, fact: dict[str, Any], shift: np.ndarray) -> np.ndarray:
    """The ratio, or the difference, that a shift on the transformed scale makes."""
    if fact["scale"] == "log":
        return np.exp(shift)
    if fact["scale"] == "identity":
        return shift
    typical = np.array([fact["typical"]]) if fact["typical"] is not None else pooled(fit, "posterior", fact["parameter"])
    return 1 / (1 + (1 / typical - 1) * np.exp(-shift)) - typical
