"""Whom a dose is chosen for: virtual subjects of a population whose values are uncertain, or the draws of one patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from pkpd.approximate.patient import PatientPosterior
from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError, choices
from pkpd.simulate.forecast import Forecast


@dataclass(frozen=True, eq=False)
class People:
    """D draws of what is not known with M subjects each: `theta` [D M] by parameter (those of a draw together), `weights` [D] of the draws.

    `patient` is set where they are the draws of one patient (M = 1), whose doses so far count.
    """

    prior: PatientPrior
    theta: Mapping[str, np.ndarray]
    weights: np.ndarray
    covariates: Mapping[str, float] = field(default_factory=dict)
    patient: PatientPosterior | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(D, M)"""
        return len(self.weights), len(next(iter(self.theta.values()))) // len(self.weights)

    @property
    def caution(self) -> str:
        """What must be said with every number made of them: of a patient whose posterior was not found, not to use it."""
        return "" if self.patient is None or self.patient.verdict.startswith("Converged") else f" Do not use it: {self.patient.verdict}"

    def few(self, most: int) -> People:
        """At most `most` of them, whole draws first thinned, then their subjects."""
        d, m = self.shape
        draws = np.unique(np.linspace(0, d - 1, min(d, max(1, most))).astype(int))
        each = np.arange(max(1, min(m, most // len(draws))))
        index = (draws[:, None] * m + each).ravel()
        weights = self.weights[draws] / self.weights[draws].sum()
        return People(self.prior, {n: x[index] for n, x in self.theta.items()}, weights, self.covariates, self.patient)


def virtual_people(
    prior: PatientPrior, *, subjects: int = 50, draws: int = 20, covariates: Mapping[str, float] | None = None, seed: int = 1
) -> People:
    """`subjects` new subjects for each of `draws` draws of the population, all with the same `covariates`.

    What varies between draws could be learnt by a larger study, what varies between the subjects of a draw could not. A prior whose values are held has one
    draw. Returns `People`. Raises `FitError` for covariates that are missing and numbers that are not positive.

    >>> virtual_people(prior, subjects=100).shape                                          # doctest: +SKIP
    (1, 100)
    """
    for word, n in (("subjects", subjects), ("draws", draws)):
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise FitError(f"virtual_people({word}={n!r}): a whole number of at least 1 is needed.")
    told = dict(covariates or {})
    missing = [c for c in prior.covariates if c not in told]
    if missing:
        raise FitError(
            f"The population reads the covariate '{missing[0]}'; give covariates={{'{missing[0]}': ...}}. {choices(missing[0], told)}"
        )
    total = len(next(iter(prior.draws.values())))
    index = np.unique(np.linspace(0, total - 1, min(draws, total)).astype(int))
    values = {n: np.asarray(x)[index] for n, x in prior.draws.items()}
    factor = np.linalg.cholesky(prior.omega(values))
    z = np.asarray(jax.random.normal(jax.random.key(seed), (subjects, factor.shape[-1])))  # the same subjects in every draw
    eta = np.einsum("dij,mj->dmi", factor, z).reshape(-1, factor.shape[-1])
    wide = lambda x: {n: np.repeat(v, subjects) for n, v in x.items()}  # noqa: E731
    theta = prior.theta(wide(prior.typical(told, values)), eta, wide(prior.shapes(values)))
    found = {n: np.array(np.broadcast_to(x, (len(index) * subjects,))) for n, x in theta.items()}
    return People(prior, found, np.full(len(index), 1.0 / len(index)), told)


def as_people(who: People | Forecast) -> People:
    """People, or the weighted draws of a forecast, equal in weight after resampling by systematic steps."""
    if isinstance(who, People):
        return who
    patient = who.patient
    n = len(patient.weights)
    index = np.searchsorted(np.cumsum(patient.weights), (np.arange(n) + 0.5) / n)
    theta: dict[str, Any] = {k: patient.draws[k].to_numpy()[np.minimum(index, n - 1)] for k in patient.draws}
    held = {c: float(patient.cohort.covariates[c].iloc[0]) for c in patient.prior.covariates}
    return People(patient.prior, theta, np.full(n, 1.0 / n), held, patient)
