"""What a forest plot needs of each covariate effect: its coefficient, its reference, and the values at which the cohort shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pkpd.inference.over_time import levels_of
from pkpd.inference.problem import FitProblem
from pkpd.population.draw import columns
from pkpd.population.effects import Effect
from pkpd.population.parameters import Individual

PERCENTILES = (5, 95)


def effect_facts(problem: FitProblem) -> list[dict[str, Any]]:
    """One line a coefficient: parameter, scale, unit, typical (None where estimated), covariate, kind, reference, per, site, value (None where
    estimated), and `at`, pairs of a covariate's value and what it is: a percentile of the cohort, or a level with its number of subjects.
    """
    parameters = problem.population.parameters.items()
    return [line for name, spec in parameters if spec.tied_to is None for e in spec.effects for line in _lines(problem, name, spec, e)]


def _lines(problem: FitProblem, name: str, spec: Individual, e: Effect) -> Iterator[dict[str, Any]]:
    values = _values(problem, e.covariate)
    told = {
        "parameter": name,
        "scale": spec.scale,
        "unit": problem.site_unit(name),
        "typical": None if spec.prior is not None else spec.value,
    }
    told |= {"covariate": e.covariate, "kind": e.kind, "reference": e.reference, "per": e.per}
    told |= {"value": None if e.estimated else float(e.beta)}
    sites = list(columns(name, e, problem.design))
    if e.kind != "categorical":
        yield {**told, "site": sites[0], "at": _percentiles(values)}
        return
    who = "records" if e.covariate in problem.cohort.interpolation else "subjects"
    levels = e.levels(levels_of(problem.cohort, e.covariate))
    for site, level in zip(sites, levels, strict=True):
        yield {**told, "site": site, "at": [[level, f"{int((values == level).sum())} of {len(values)} {who}"]]}


def coefficient_words(problem: FitProblem) -> dict[str, str]:
    """What each coefficient means, by site, its unit included."""
    return {f["site"]: _words(f) for f in effect_facts(problem)}


def _words(fact: dict[str, Any]) -> str:
    g = {"log": "log {}", "logit": "logit {}", "identity": "{}"}[fact["scale"]].format(fact["parameter"])
    if fact["kind"] == "power":
        return f"change of {g} with log({fact['covariate']}/{fact['reference']:g})"
    if fact["kind"] == "exponential":
        return f"change of {g} per {fact['per']:g} of {fact['covariate']}"
    return f"change of {g} where {fact['covariate']} is {fact['at'][0][0]:g}"


def _values(problem: FitProblem, covariate: str) -> np.ndarray:
    """The covariate of every subject, or of every record where it changes; missing ones left out."""
    cohort = problem.cohort
    table = cohort.covariate_records if covariate in cohort.interpolation else cohort.covariates
    values = table[covariate].to_numpy(float)
    return values[np.isfinite(values)]


def _percentiles(values: np.ndarray) -> list[list[Any]]:
    found = np.percentile(values, PERCENTILES)
    if found[0] == found[1]:
        return [[float(found[0]), "all"]]
    return [[float(x), f"{p}th percentile"] for x, p in zip(found, PERCENTILES, strict=True)]
