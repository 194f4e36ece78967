"""Covariates that some subjects lack: where a fit can take them as parameters, and where it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pkpd.data import Cohort
from pkpd.errors import choices
from pkpd.model import Model
from pkpd.population import Population
from pkpd.population.missing import lacks, levels_stay, named


def lacking(cohort: Cohort, name: str) -> list[str]:
    """The subjects without a value of a covariate."""
    empty = cohort.covariates[name].isna().to_numpy() if name in cohort.covariates else np.zeros(0, bool)
    return [cohort.subjects[i] for i in np.flatnonzero(empty)]


def wrong_missing(model: Model, population: Population, cohort: Cohort) -> list[str]:
    """Sentences on missing covariates that the fit cannot take."""
    return [*_priors(population, cohort), *_read(model, population, cohort), *_effects(population, cohort)]


def _priors(population: Population, cohort: Cohort) -> Iterator[str]:
    for name in population.missing:
        if name not in cohort.covariates:
            yield f"missing names '{name}', which the cohort does not carry. {choices(name, list(cohort.covariates))}"


def _read(model: Model, population: Population, cohort: Cohort) -> Iterator[str]:
    cure = "Fill it in, or leave these subjects out (cohort.subset)."
    for name in model.covariate_names:
        if who := lacking(cohort, name):
            yield f"{model.name} reads {name}, which is missing in {named(who)}: an imputed value does not reach the equations. {cure}"
    for column in dict.fromkeys(population.occasions.values()):
        if who := lacking(cohort, column):
            yield f"'{column}' numbers occasions and is missing in {named(who)}. {cure}"


def _effects(population: Population, cohort: Cohort) -> Iterator[str]:
    effects = [e for v in population.parameters.values() for e in v.effects]
    for name in dict.fromkeys(e.covariate for e in effects):
        who = lacking(cohort, name)
        if not who:
            continue
        if name in cohort.interpolation:
            yield (
                f"{name} changes within subjects and is missing in {named(who)}: a course in time is not imputed. "
                "Fill it in, or leave these subjects out (cohort.subset)."
            )
        elif any(e.kind == "categorical" for e in effects if e.covariate == name):
            yield f"{name} is missing in {named(who)}. {levels_stay(name)}"
        elif name not in population.missing:
            yield lacks(name, who)
