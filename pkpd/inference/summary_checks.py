"""What is refused of published summaries, with sentences: terms that do not fit their arm, their residual error, each other, or the fit's own patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pkpd.errors import FitError, choices
from pkpd.inference.summaries import Detectable, DetectableJointly, SummaryArm
from pkpd.noise import ResidualError
from pkpd.population import Population

KINDS = ("additive", "proportional", "combined 1", "combined 2", "lognormal", "power")
"""Residual errors that are one normal law of y or log y given the prediction."""
Arms = Sequence[tuple[SummaryArm, Sequence[Any]]]


def observables(arms_terms: Any) -> list[str]:
    """Observables that any term reads."""
    return list(dict.fromkeys(t.observable for _, terms in arms_terms for t in terms if t.observable is not None))


def check_summaries(arms_terms: Any, noise: Mapping[str, Any], population: Population) -> None:
    """Raise a `FitError` for the first term that does not fit its arm, its observable's residual error, the population, or another term."""
    check_shape(arms_terms)
    _check_population([arm for arm, _ in arms_terms], population)
    for arm, terms in arms_terms:
        for term in terms:
            _check_term(arm, term, noise)
        _check_apart(arm, terms)


def check_shape(arms_terms: Any) -> None:
    """Raise a `FitError` for what is not pairs of an arm and its terms."""
    pairs = isinstance(arms_terms, Sequence) and all(
        isinstance(p, tuple | list) and len(p) == 2 and isinstance(p[0], SummaryArm) for p in arms_terms
    )
    if not pairs or not all(isinstance(terms, Sequence) and len(terms) for _, terms in arms_terms):
        raise FitError(
            "Summaries are pairs of an arm and what was reported of it: [(SummaryArm(...), [Detectable(...), ...]), ...], each with at least one term."
        )


def _check_population(arms: Sequence[SummaryArm], population: Population) -> None:
    if population.mixture is not None:
        raise FitError(
            "Published summaries under subpopulations are not supported: leave `mixture` out of the Population of the summaries."
        )
    for name, spec in population.parameters.items():
        told = f"The likelihood of summaries integrates over normal random effects of each patient, and '{name}' "
        if spec.occasion is not None:
            raise FitError(f"{told}varies over '{spec.occasion}'. Leave .over('{spec.occasion}', ...) out.")
        if spec.level is not None:
            raise FitError(f"{told}varies across '{spec.level}', whose deviation patients share. Leave .across('{spec.level}', ...) out.")
        if spec.df is not None:
            raise FitError(f"{told}has those of Student's t. Leave .tails(...) out.")
    for e in (e for v in population.parameters.values() for e in v.effects):
        lacking = [arm.name for arm in arms if e.covariate not in (arm.covariates or {})]
        if lacking:
            raise FitError(
                f"The population reads the covariate '{e.covariate}', which arm '{lacking[0]}' does not have; add it to covariates=."
            )
        for arm in arms:
            if np.isnan(np.asarray((arm.covariates or {})[e.covariate], float)).any():
                raise FitError(
                    f"The covariate '{e.covariate}' of arm '{arm.name}' has values that are missing; give a number for each patient."
                )


def check_draws(arms_terms: Arms, draws: int) -> None:
    """Raise a `FitError` where an arm lists covariates of more patients than there are virtual subjects."""
    for arm, _ in arms_terms:
        if draws < arm.n_patients and arm.listed(draws) is not None:
            raise FitError(
                f"Arm '{arm.name}' lists covariates of {arm.n_patients} patients, and there are draws={draws} virtual subjects; give at least one a patient."
            )


def _check_term(arm: SummaryArm, term: Any, noise: Mapping[str, Any]) -> None:
    where, kind = f"{type(term).__name__} of arm '{arm.name}'", term.observable
    if kind is not None and kind not in arm.model.observable_names:
        raise FitError(f"{where}: {arm.model.name} has no observable '{kind}'. {choices(kind, arm.model.observable_names)}")
    if kind is not None and kind not in noise:
        raise FitError(f"{where}: noise has no residual error of '{kind}'. {choices(kind, noise)}")
    if kind is not None and (type(noise[kind]) is not ResidualError or noise[kind].kind not in KINDS):
        raise FitError(
            f"{where}: the summaries of '{kind}' have no law under its observation '{noise[kind].kind}'; accepted are additive_error, "
            "proportional_error, combined_error, power_error and lognormal_error, without limits_by, by_group, by_subject or autoregressive."
        )
    for t in term.visits:
        if not np.isclose(arm.times_h, t, rtol=1e-9, atol=1e-9).any():
            raise FitError(
                f"{where}: there is no visit at {t:g} h; the arm's times_h are {', '.join(f'{x:g}' for x in arm.times_h)}. Add it."
            )
    if not 1 <= term.of <= arm.n_patients:
        raise FitError(f"{where}: of={term.of}, and the arm has {arm.n_patients} patients; of lies between 1 and that.")
    wrong = term.wrong()
    if wrong:
        raise FitError(f"{where}: {wrong}.")


def _check_apart(arm: SummaryArm, terms: Sequence[Any]) -> None:
    """Counts of the same patients at two visits are not independent."""
    seen: dict[str, str] = {}
    for term in (t for t in terms if isinstance(t, Detectable | DetectableJointly)):
        visits = ", ".join(f"{t:g}" for t in term.visits)
        if term.observable in seen:
            raise FitError(
                f"Arm '{arm.name}' has two counts of detectable '{term.observable}', at {seen[term.observable]} h and at {visits} h: the same "
                "patients, so not independent. Give one DetectableJointly with the number of patients of each pattern, or keep one visit."
            )
        seen[term.observable] = visits


def check_no_overlap(label: str, arms: Sequence[SummaryArm]) -> None:
    """Raise a `FitError` where an arm's `patients` are those of the individual cohort `label`: their data would count twice."""
    twice = [arm.name for arm in arms if arm.patients and arm.patients.strip().lower() == label.strip().lower()]
    if twice:
        raise FitError(
            f"Arm '{twice[0]}' summarises the patients '{label}', whose individual data are in the fit: they would count twice. "
            "Leave the arm out, or the individual data."
        )
