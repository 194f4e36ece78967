"""The posterior as a function of one flat unconstrained vector: density, sites, and the pieces that geometry needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer.util import potential_energy

from pkpd.inference.cohort_model import cohort_model, prior_model
from pkpd.inference.problem import FitProblem
from pkpd.population.medians import typical_value
from pkpd.population.shrink import SHARED


class Coordinates:
    """z[D] unconstrained <-> named sites of a numpyro `model(weights)`."""

    @property
    def model(self) -> Callable:
        raise NotImplementedError

    @property
    def full_weights(self) -> dict[str, Any]:
        """Centring weights that make every random effect centred; empty where there are none."""
        return {}

    @cached_property
    def _trace(self) -> dict:
        return self.typical_trace(self.full_weights)

    def typical_trace(self, weights: Mapping[str, Any]) -> dict:
        """The model run at prior medians with random effects at zero."""
        seeded = handlers.seed(handlers.substitute(self.model, substitute_fn=typical_value), jax.random.PRNGKey(0))
        return handlers.trace(seeded).get_trace(weights)

    @cached_property
    def latent(self) -> dict[str, Any]:
        """Sampled sites and their bijections."""
        return {n: biject_to(s["fn"].support) for n, s in self._trace.items() if s["type"] == "sample" and not s["is_observed"]}

    def flatten(self, sites: Mapping[str, Any]) -> Any:
        return ravel_pytree({n: self.latent[n].inv(sites[n]) for n in self.latent})[0]

    @cached_property
    def _unravel(self) -> Callable:
        return ravel_pytree({n: self.latent[n].inv(self._trace[n]["value"]) for n in self.latent})[1]

    def start(self, weights: Mapping[str, Any]) -> Any:
        trace = self.typical_trace(weights)
        return self.flatten({n: trace[n]["value"] for n in self.latent})

    @cached_property
    def size(self) -> int:
        return int(self.flatten({n: self._trace[n]["value"] for n in self.latent}).shape[0])

    def labels(self) -> list[str]:
        """The site each coordinate belongs to."""
        parts = self._unravel(jnp.arange(self.size))
        labels = np.empty(self.size, object)
        for name, index in parts.items():
            labels[np.asarray(index, int).ravel()] = name
        return labels.tolist()

    def unconstrained(self, z: Any) -> dict[str, Any]:
        return self._unravel(z)

    def potential(self, z: Any, weights: Mapping[str, Any]) -> Any:
        """-log posterior density (up to a constant) in unconstrained coordinates; NaN where a subject cannot be solved."""
        return potential_energy(self.model, (weights,), {}, self._unravel(z))

    def constrain(self, z: Any) -> dict[str, Any]:
        raw = self._unravel(z)
        return {n: self.latent[n](raw[n]) for n in self.latent}

    def trace_at(self, z: Any, weights: Mapping[str, Any]) -> dict:
        """Every site, deterministic ones included, at z."""
        values = self.constrain(z)
        seeded = handlers.seed(handlers.substitute(self.model, data=values), jax.random.PRNGKey(0))
        return handlers.trace(seeded).get_trace(weights)


@dataclass(frozen=True, eq=False)
class Space(Coordinates):
    """The coordinates of a fit problem. Centring weights are an argument everywhere, so changing them compiles nothing anew."""

    problem: FitProblem

    @cached_property
    def model(self) -> Callable:
        return cohort_model(self.problem)

    @cached_property
    def full_weights(self) -> dict[str, Any]:
        """1 for each subject [N]; weights are arrays of this shape everywhere, so that choosing others compiles nothing anew."""
        return {n: jnp.ones(len(self.problem.cohort.subjects)) for n in self.problem.population.varying}

    @cached_property
    def held(self) -> np.ndarray:
        """Whether a coordinate [D] is a spread, correlation, degrees of freedom or shared by a horseshoe: held while the mode is looked for."""
        population = self.problem.population
        by_word = {"omega": population.varying, "gamma": population.occasions, "tau": population.levels, "df": population.varying}
        spreads = {f"{word}_{n}" for word, names in by_word.items() for n in names}
        return np.array([n in spreads or n.startswith(("chol_", *SHARED)) for n in self.labels()])

    def rows(self, z: Any, weights: Mapping[str, Any]) -> tuple[Any, Any]:
        """Mean and sd of every scored row at z."""
        fn = self.trace_at(z, weights)["dv"]["fn"]
        return fn.loc, fn.scale

    def terms(self, z: Any, weights: Mapping[str, Any]) -> Any:
        """The log-likelihood of every scored row at z."""
        return self.trace_at(z, weights)["dv"]["fn"].log_prob(jnp.asarray(self.problem.rows.dv))

    def summaries(self, z: Any) -> Any:
        """The log-likelihood of published summaries at z."""
        return self.problem.published.log_likelihood(self.constrain(z))

    def prior(self, z: Any, weights: Mapping[str, Any]) -> Any:
        """-log prior density of z."""
        return potential_energy(prior_model(self.problem), (weights,), {}, self._unravel(z))
