"""The population's values three ways: named numbers as reports show them, the sampled sites, and one unconstrained vector z."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from numpyro import handlers
from numpyro.distributions import biject_to

from pkpd.approximate.effects import Effects, effects_of
from pkpd.errors import FitError, choices
from pkpd.inference.cohort_model import prior_model
from pkpd.inference.problem import FitProblem
from pkpd.population.medians import typical_value


@dataclass(frozen=True, eq=False)
class PopulationValues:
    """Which sites a problem has beside its random effects. Raises `FitError` for what no approximation by subject can hold."""

    problem: FitProblem

    @cached_property
    def effects(self) -> Effects:
        return effects_of(self.problem)

    @cached_property
    def laws(self) -> dict[str, dist.Distribution]:
        """Priors of the sampled sites that all subjects share."""
        if self.problem.population.mixture is not None:
            raise FitError(
                f"{self.problem.name}: subpopulations have one mode for each kind, which the approximations do not follow. {AWAY}"
            )
        seeded = handlers.seed(handlers.substitute(prior_model(self.problem), substitute_fn=typical_value), jax.random.PRNGKey(0))
        with jax.ensure_compile_time_eval():  # numbers, also when asked for first while a function is traced
            sites = {n: s for n, s in handlers.trace(seeded).get_trace({}).items() if s["type"] == "sample"}
        own = {b.site for b in self.effects.blocks}
        shared = {n: s["fn"] for n, s in sites.items() if n not in own}
        self._check(shared)
        return shared

    def _check(self, shared: Mapping[str, dist.Distribution]) -> None:
        for name, fn in shared.items():
            if not name.startswith("chol_") and (fn.shape() != () or name not in self.problem.population_sites):
                raise FitError(
                    f"{self.problem.name}: '{name}' (shape {fn.shape()}) is neither one number of the population nor a random effect of each subject, "
                    f"which is all that the approximations take. {AWAY}"
                )

    def sampled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Sampled sites from named numbers. Raises `FitError` for names missing or unknown, and numbers outside their support."""
        self._check_names(values)
        found = {n: jnp.asarray(float(values[n])) for n in self.laws if not n.startswith("chol_")}
        for n, x in found.items():
            support: Any = self.laws[n].support
            if not (np.isfinite(x) and bool(support(x))):
                raise FitError(
                    f"{self.problem.name}: {n} = {float(x):g} lies outside the support of its prior ({type(self.laws[n]).__name__})."
                )
        return found | {f"chol_{'_'.join(g.names)}": self._factor(g.names, values) for g in self.problem.population.correlation}

    def _check_names(self, values: Mapping[str, Any]) -> None:
        known = self.problem.population_sites
        missing = [n for n in known if n not in values and n in self._wanted]
        unknown = [n for n in values if n not in known]
        if unknown:
            raise FitError(f"{self.problem.name}: '{unknown[0]}' is no value of this population. {choices(unknown[0], known)}")
        if missing:
            raise FitError(
                f"{self.problem.name}: a value of {', '.join(missing)} is missing. Give a number for each of {', '.join(known)}."
            )

    @property
    def _wanted(self) -> set[str]:
        return {n for n in self.laws if not n.startswith("chol_")} | {n for n in self.problem.population_sites if n.startswith("corr_")}

    def _factor(self, names: tuple[str, ...], values: Mapping[str, Any]) -> Any:
        matrix = np.eye(len(names))
        for i, a in enumerate(names):
            for j in range(i + 1, len(names)):
                matrix[i, j] = matrix[j, i] = float(values[f"corr_{a}_{names[j]}"])
        if not np.all(np.linalg.eigvalsh(matrix) > 0):
            raise FitError(f"{self.problem.name}: the correlations of {', '.join(names)} are not those of a positive definite matrix.")
        return jnp.asarray(np.linalg.cholesky(matrix))

    def named(self, sampled: Mapping[str, Any]) -> dict[str, Any]:
        """Named numbers from sampled sites, in report order."""
        correlated = {}
        for g in self.problem.population.correlation:
            matrix = sampled[f"chol_{'_'.join(g.names)}"] @ sampled[f"chol_{'_'.join(g.names)}"].T
            correlated |= {f"corr_{a}_{b}": matrix[i, j] for i, a in enumerate(g.names) for j, b in enumerate(g.names) if j > i}
        return {n: correlated[n] if n in correlated else sampled[n] for n in self.problem.population_sites}

    @cached_property
    def medians(self) -> dict[str, Any]:
        """Sampled sites at their prior medians, correlations at none."""
        with jax.ensure_compile_time_eval():
            return {n: jnp.asarray(typical_value({"type": "sample", "name": n, "fn": fn}), float) for n, fn in self.laws.items()}

    def flat(self, sampled: Mapping[str, Any]) -> Any:
        """z of the sampled sites: log, logit or as it is, by each prior's support."""
        return ravel_pytree({n: biject_to(fn.support).inv(sampled[n]) for n, fn in self.laws.items()})[0]

    @cached_property
    def _unravel(self) -> Any:
        with jax.ensure_compile_time_eval():
            return ravel_pytree({n: biject_to(fn.support).inv(self.medians[n]) for n, fn in self.laws.items()})[1]

    def unconstrained(self, z: Any) -> dict[str, Any]:
        """The coordinates of each site."""
        return self._unravel(z)

    def constrained(self, z: Any) -> dict[str, Any]:
        parts = self._unravel(z)
        return {n: biject_to(fn.support)(parts[n]) for n, fn in self.laws.items()}

    @cached_property
    def labels(self) -> list[str]:
        """The site of each coordinate of z."""
        size = len(self.flat(self.medians))
        parts, labels = self._unravel(jnp.arange(float(size))), [""] * size
        for n, at in parts.items():
            for i in np.asarray(at, int).ravel():
                labels[i] = n
        return labels

    def log_prior(self, sampled: Mapping[str, Any]) -> Any:
        """Log prior density of the values on their own scale; a correlation matrix has LKJ's density on the matrix."""
        return sum(_density(n, fn, sampled[n]) for n, fn in self.laws.items())


def _density(name: str, fn: Any, value: Any) -> Any:
    if name.startswith("chol_"):
        return dist.LKJ(value.shape[-1], fn.concentration).log_prob(value @ value.T)
    return fn.log_prob(value)


AWAY = "Sample the problem with pkpd.sample, which needs no approximation."
