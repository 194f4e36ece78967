"""Random effects of occasions and of levels, and effects of covariates that change: what the population asks of the model, and the levels it needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.data import Cohort
from pkpd.errors import choices
from pkpd.model import Model
from pkpd.model.varying import Varying, vary
from pkpd.population import Population
from pkpd.population.effects import Effect


def levels_of(cohort: Cohort, column: str) -> np.ndarray:
    """The sorted distinct values of a column, over all records where it changes within a subject."""
    table = cohort.covariate_records if column in cohort.covariate_records else cohort.covariates
    return np.unique(table[column].to_numpy(float))


def levels(population: Population, cohort: Cohort) -> dict[str, Any]:
    """What `Population.draw` needs besides covariates: "changing", and "levels:COLUMN" of occasions, groups of subjects, what changes and categories.

    Virtual subjects need not have all levels of a category, and their effects are named by those of the data.
    """
    named = {e.covariate for _, e in _changing(population, cohort)}
    effects = [e for v in population.parameters.values() for e in v.effects if e.kind == "categorical"]
    categories = {e.covariate for e in effects if e.covariate in cohort.covariates and cohort.covariates[e.covariate].dtype.kind in "fiu"}
    columns = sorted(named | categories | set(population.occasions.values()) | set(population.levels.values()))
    if not columns:
        return {}
    return {"changing": tuple(sorted(named)), **{f"levels:{c}": levels_of(cohort, c) for c in columns}}


def fitted_model(model: Model, population: Population, cohort: Cohort) -> Model:
    """The model whose parameters change by occasion and by covariates that change within a subject; itself where none does."""
    if not _needed(population, cohort):
        return model
    slopes: dict[str, list] = {}
    for name, e in _changing(population, cohort):
        slopes.setdefault(name, []).append(_slope(e, cohort))
    varied = {}
    for name in dict.fromkeys([*population.occasions, *slopes]):
        column = population.occasions.get(name)
        levels = tuple(levels_of(cohort, column).tolist()) if column else ()
        varied[name] = Varying(
            population.parameters[name].own or population.parameters[name].scale, column, levels, tuple(slopes.get(name, ()))
        )
    return vary(model, varied)


def wrong_columns(population: Population, cohort: Cohort) -> list[str]:
    """Sentences on columns of occasions that the cohort does not carry, or carries as a line."""
    found = []
    for name, column in population.occasions.items():
        if column not in cohort.covariates:
            found.append(
                f"'{name}' varies over '{column}', which the cohort does not carry. {choices(column, list(cohort.covariates))} "
                f"Read it with read_cohort(..., covariates=['{column}'])."
            )
        elif cohort.interpolation.get(column) in ("linear", "midpoint"):
            found.append(f"'{column}' numbers occasions and is interpolated: read it with interpolation={{'{column}': 'nocb'}} or 'locf'.")
    return found


def wrong_levels(model: Model, population: Population, cohort: Cohort) -> list[str]:
    """Sentences on columns of levels that the cohort does not carry, that change within a subject, or whose name is taken in the fit's tree."""
    found = []
    for name, column in population.levels.items():
        told = f"'{name}' varies across '{column}'"
        if column not in cohort.covariates:
            known = choices(column, list(cohort.covariates))
            found.append(f"{told}, which the cohort does not carry. {known} Read it with read_cohort(..., covariates=['{column}']).")
        elif column in cohort.interpolation:
            found.append(f"{told}, which changes within a subject; a level is the same in all records of one. Use .over('{column}', ...).")
        elif column in (*model.param_names, "chain", "draw", "subject"):
            found.append(f"{told}, and the draws of a fit use that name for something else. Rename the column.")
    return found


def _needed(population: Population, cohort: Cohort) -> bool:
    return bool(population.occasions) or bool(_changing(population, cohort))


def _changing(population: Population, cohort: Cohort) -> list[tuple[str, Effect]]:
    return [(n, e) for n, v in population.parameters.items() for e in v.effects if e.covariate in cohort.interpolation]


def _slope(e: Effect, cohort: Cohort) -> tuple[Any, ...]:
    if e.kind != "categorical":
        return (e.covariate, e.kind, e.reference)
    other = [v for v in levels_of(cohort, e.covariate).tolist() if v != e.reference]
    return (e.covariate, e.kind, e.reference, other[0])
