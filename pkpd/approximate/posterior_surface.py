"""The posterior of the population's values with random effects integrated out, as a function of the unconstrained vector z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from numpyro.distributions import biject_to

from pkpd.approximate.marginal import Marginal
from pkpd.approximate.surface import Surface
from pkpd.approximate.values import PopulationValues


def log_prior(values: PopulationValues, z: Any) -> Any:
    """Log prior density of z [P] itself, the Jacobians of its coordinates included: what the sampler's potential holds of the population."""
    parts, total = values.unconstrained(z), jnp.zeros(())
    for name, law in values.laws.items():
        bijection = biject_to(law.support)
        x = bijection(parts[name])
        total += jnp.sum(law.log_prob(x)) + jnp.sum(bijection.log_abs_det_jacobian(parts[name], x))
    return total


class PosteriorSurface(Surface):
    """-2 log posterior density of z, up to a constant; a spread's marginal mode on the log scale stays away from zero, where its joint mode lies."""

    def __init__(self, marginal: Marginal):
        super().__init__(marginal, prior=True)

    def penalty(self, z: Any, population: Mapping[str, Any]) -> Any:
        return -2.0 * log_prior(self.marginal.rows.values, z)
