"""The likelihood of each subject as a function of its random effects u, for fixed values of the population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from pkpd.approximate.values import AWAY, PopulationValues
from pkpd.errors import FitError
from pkpd.inference.cohort_model import cohort_model
from pkpd.inference.problem import FitProblem
from pkpd.noise import Joined
from pkpd.noise.grouped import GroupedError, SubjectError
from pkpd.noise.measurement import TINY, Measurement
from pkpd.noise.residual import ResidualError
from pkpd.noise.serial import SerialMeasurement

INDEPENDENT = (ResidualError, GroupedError, SubjectError)
LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False)
class SubjectRows:
    """The scored rows of a problem, summed by subject."""

    problem: FitProblem

    @cached_property
    def values(self) -> PopulationValues:
        return PopulationValues(self.problem)

    @property
    def shape(self) -> tuple[int, int]:
        """N subjects, K random effects each."""
        return len(self.problem.cohort.subjects), len(self.values.effects.names)

    @cached_property
    def subject(self) -> np.ndarray:
        return self.problem.cohort.observations["subject"].to_numpy(int)[self.problem.rows.index]

    def add(self, rows: Any) -> Any:
        """[..., n] to sums [..., N]."""
        return jnp.zeros((*jnp.shape(rows)[:-1], self.shape[0])).at[..., self.subject].add(rows)

    def law(self, population: Mapping[str, Any], u: Any) -> Any:
        """The distribution of all scored rows."""
        data = {**population, **self.values.effects.raws(population, u)}
        trace = handlers.trace(handlers.seed(handlers.substitute(cohort_model(self.problem), data=data), jax.random.PRNGKey(0))).get_trace(
            {}
        )
        more = [n for n, s in trace.items() if s["type"] == "sample" and s["is_observed"] and n != "dv"]
        if more:
            raise FitError(f"{self.problem.name}: the likelihood has a part that belongs to no subject ('{more[0]}'). {AWAY}")
        return trace["dv"]["fn"]

    def log_likelihood(self, population: Mapping[str, Any], u: Any) -> Any:
        """log p(y_i | u_i) [N]."""
        return self.add(self.law(population, u).log_prob(jnp.asarray(self.problem.rows.dv)))

    def moments(self, population: Mapping[str, Any], u: Any) -> tuple[Any, Any]:
        """Mean and sd [n] of every row on the scale where its residual is normal."""
        law = self.law(population, u)
        if isinstance(law, Measurement):
            return law.loc, law.scale
        loc, scale = jnp.zeros(law.n), jnp.ones(law.n)
        for part, at in zip(law.laws, law.places, strict=True):
            loc, scale = loc.at[at].set(part.loc), scale.at[at].set(part.scale)
        return loc, scale

    @cached_property
    def x(self) -> np.ndarray:
        """The measured values on that scale [n]."""
        rows = self.problem.rows
        return np.where(rows.logs, np.log(np.maximum(np.where(rows.logs, rows.dv, 1.0), TINY)), rows.dv)

    @cached_property
    def jacobian(self) -> np.ndarray:
        """2 sum ln y of the rows that are normal in ln y [N]: what the objective of log-transformed data lacks."""
        own = np.where(self.problem.rows.logs, self.x, 0.0)
        return 2.0 * np.bincount(self.subject, weights=own, minlength=self.shape[0])

    @cached_property
    def normal(self) -> bool:
        """Whether all rows are observed exactly, independent and normal given u: what FO and FOCE linearise."""
        return not np.any(self.problem.rows.cens) and all(type(o) in INDEPENDENT for o in self.problem.observations.values())

    def constant(self, law: Any) -> np.ndarray:
        """n_i ln 2 pi [N] of the exactly observed rows whose law is normal: what NONMEM leaves out."""
        laws, places = (law.laws, law.places) if isinstance(law, Joined) else ((law,), (np.arange(len(self.x)),))
        counted = np.zeros(len(self.x))
        for part, at in zip(laws, places, strict=True):
            if isinstance(part, (Measurement, SerialMeasurement)):
                counted[at] = self.problem.rows.cens[at] == 0
        return LOG_2PI * np.bincount(self.subject, weights=counted, minlength=self.shape[0])

    @cached_property
    def dropped(self) -> float:
        """sum of `constant`; the law is only traced."""
        seen: list[float] = []
        jax.eval_shape(lambda u: seen.append(float(self.constant(self.law(self.values.medians, u)).sum())), jnp.zeros(self.shape))
        return seen[0]

    @cached_property
    def twice(self) -> bool:
        """Whether the solver can be differentiated twice (closed forms); asked by tracing, nothing is solved."""
        total = lambda u: jnp.sum(self.log_likelihood(self.values.medians, u))  # noqa: E731
        u = jnp.zeros(self.shape)
        try:
            jax.eval_shape(lambda u: jax.jvp(jax.grad(total), (u,), (u,)), u)
        except Exception as error:  # each solver refuses in its own class
            if "first derivatives only" in str(error):
                return False
            raise
        return True
