"""Covariate effects on a parameter's transformed scale: allometric (power), exponential, and categorical (a shift for each level against a reference)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.population.shrink import Horseshoe


@dataclass(frozen=True, eq=False)
class Effect:
    """`beta log(x / reference)` (power), `beta (x - reference) / per` (exponential), `beta [x = level]` for each level (categorical)."""

    covariate: str
    reference: float
    kind: str
    beta: Any
    per: float = 1.0

    @property
    def estimated(self) -> bool:
        return isinstance(self.beta, (Distribution, Horseshoe))

    def regressor(self, x: Any) -> Any:
        """What beta is multiplied by at values x, traced ones too: log(x / reference), or (x - reference) / per."""
        return jnp.log(x / self.reference) if self.kind == "power" else (x - self.reference) / self.per

    def levels(self, values: np.ndarray) -> list[float]:
        return [float(v) for v in np.unique(values) if v != self.reference]

    def columns(self, values: np.ndarray, known: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Design columns by suffix of the coefficient's name: "WT", or "HER2" (one other level), or "HER2_2" for each of several.

        `known` are the levels of a category that were fitted (None: those of `values`); virtual subjects need not have all of them.
        """
        if self.kind == "power":
            if np.any(values <= 0):
                raise FitError(f"A power effect of {self.covariate} needs positive values; the cohort has {np.nanmin(values):g}.")
            return {self.covariate: np.log(values / self.reference)}
        if self.kind == "exponential":
            return {self.covariate: (values - self.reference) / self.per}
        every = np.unique(values if known is None else known)
        strange, levels = np.setdiff1d(values, every), self.levels(every)
        if len(strange):
            listed = ", ".join(f"{x:g}" for x in every)
            raise FitError(f"{self.covariate} is {strange[0]:g}, a level whose effect is not known: the data have {listed}.")
        if len(levels) == len(every):
            raise FitError(f"The reference {self.reference:g} of {self.covariate} occurs in no subject; there are {sorted(set(values))}.")
        names = [self.covariate if len(levels) == 1 else f"{self.covariate}_{v:g}" for v in levels]
        return {n: (values == v).astype(float) for n, v in zip(names, levels, strict=True)}


def power(covariate: str, reference: float, beta: Any) -> Effect:
    """theta_i = theta (x_i / reference)^beta"""
    if reference <= 0:
        raise FitError(f"The reference of a power effect must be positive; {covariate} has {reference}.")
    return Effect(covariate, float(reference), "power", beta)


def exponential(covariate: str, reference: float, beta: Any) -> Effect:
    """g(theta_i) = g(theta) + beta (x_i - reference): theta_i = theta exp(beta (x_i - reference)) on the log scale"""
    return Effect(covariate, float(reference), "exponential", beta)


def categorical(covariate: str, reference: float, beta: Any) -> Effect:
    """theta_i = theta exp(beta) in subjects whose covariate is not the reference"""
    return Effect(covariate, float(reference), "categorical", beta)
