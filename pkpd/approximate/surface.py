"""The objective as a function of the unconstrained vector z, with gradient and curvature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.approximate.marginal import Marginal

STEP = 1e-3  # for the curvature, by differences of the gradient: it leaves about 1e-6 of it
COARSE = 1e-2  # for differences of the objective itself, where it has no gradient


@dataclass(frozen=True, eq=False)
class Surface:
    """z [P] -> the objective of all subjects (and -2 log prior where `prior`), modes followed from a start u [N, K]."""

    marginal: Marginal
    prior: bool = False

    @property
    def smooth(self) -> bool:
        """Whether the gradient is by differentiation: always for normal rows, else where the solver can be differentiated twice."""
        return self.marginal.linear or self.marginal.rows.twice

    def value(self, z: Any, u: Any) -> tuple[Any, Any]:
        """Objective and modes."""
        population = self.marginal.rows.values.constrained(z)
        mode = u if self.marginal.method == "FO" else self.marginal.mode(population, u).u
        return self._total(z, mode), mode

    def _total(self, z: Any, u: Any, moved: bool = False) -> Any:
        values = self.marginal.rows.values
        population = values.constrained(z)
        at = self.marginal.moved(population, u) if moved and self.marginal.method != "FO" else u
        total = jnp.sum(self.marginal.at(population, at, derived=moved))
        return total + self.penalty(z, population) if self.prior else total

    def penalty(self, z: Any, population: Mapping[str, Any]) -> Any:
        """-2 log prior density of the values, each on its own scale."""
        return -2.0 * self.marginal.rows.values.log_prior(population)

    @cached_property
    def _compiled(self) -> Any:
        def both(z: Any, u: Any) -> tuple[Any, Any, Any]:
            population = self.marginal.rows.values.constrained(z)
            mode = u if self.marginal.method == "FO" else self.marginal.mode(population, u).u
            value, gradient = jax.value_and_grad(lambda z: self._total(z, mode, True))(z)
            return value, gradient, mode

        return jax.jit(both if self.smooth else self.value)

    def evaluate(self, z: np.ndarray, u: Any) -> tuple[float, np.ndarray, Any]:
        """Objective, gradient [P] and modes, the modes searched from u."""
        if self.smooth:
            value, gradient, mode = self._compiled(jnp.asarray(z), u)
            return float(value), np.asarray(gradient), mode
        value, mode = self._compiled(jnp.asarray(z), u)
        sides = [[float(self._compiled(jnp.asarray(z + s * e), mode)[0]) for s in (COARSE, -COARSE)] for e in np.eye(len(z))]
        return float(value), np.array([(a - b) / (2 * COARSE) for a, b in sides]), mode

    def curvature(self, z: np.ndarray, u: Any) -> np.ndarray:
        """Second derivatives [P, P] by differences of the gradient."""
        h = STEP if self.smooth else COARSE
        rows = [(self.evaluate(z + h * e, u)[1] - self.evaluate(z - h * e, u)[1]) / (2 * h) for e in np.eye(len(z))]
        return 0.5 * (np.array(rows) + np.array(rows).T)
