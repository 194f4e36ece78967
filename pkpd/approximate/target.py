"""A posterior as descents and normal laws see it: of all unknowns in whitened coordinates, or of the population's values with effects integrated out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.approximate.posterior_surface import PosteriorSurface
from pkpd.inference.geometry import Geometry
from pkpd.inference.space import Space


@dataclass(frozen=True, eq=False)
class Target:
    """`potential(v)` is -log density of v [D], up to a constant; NaN where a subject cannot be solved. `centre` [D] is where it has one."""

    potential: Callable[[Any], Any]
    centre: np.ndarray

    @property
    def size(self) -> int:
        return len(self.centre)

    def begin(self) -> Any:
        """What a descent carries from step to step."""
        return None

    @cached_property
    def _slope(self) -> Callable:
        return jax.jit(jax.value_and_grad(self.potential))

    @cached_property
    def _slopes(self) -> Callable:
        return jax.jit(lambda v: jax.lax.map(jax.value_and_grad(self.potential), v))

    def slopes(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """-log density [S] and its gradient [S, D]."""
        value, gradient = self._slopes(jnp.asarray(v))
        return np.asarray(value), np.asarray(gradient)

    @cached_property
    def _many(self) -> Callable:
        return jax.jit(lambda v: jax.lax.map(self.potential, v))  # one after another: adaptive solvers lose more than they gain together

    def evaluate(self, v: np.ndarray, carried: Any = None) -> tuple[float, np.ndarray, Any]:
        """Value and gradient, for a descent."""
        value, gradient = self._slope(jnp.asarray(v))
        return float(value), np.asarray(gradient), carried

    def log_density(self, v: np.ndarray, batch: int = 100) -> np.ndarray:
        """-potential of v [S, D], -inf where there is none; in whole batches, compiled once."""
        padded = np.concatenate([v, np.broadcast_to(v[:1], (-len(v) % batch, self.size))])
        found = [np.asarray(self._many(jnp.asarray(padded[i : i + batch]))) for i in range(0, len(padded), batch)]
        value = -np.concatenate(found)[: len(v)]
        return np.where(np.isnan(value), -np.inf, value)


def target_of(space: Space, geometry: Geometry) -> Target:
    """The posterior around the sampler's start, in the coordinates that its Fisher metric whitens."""
    return Target(lambda v: space.potential(geometry.mode + geometry.factor @ v, geometry.weights), np.zeros(space.size))


@dataclass(frozen=True, eq=False)
class Integrated:
    """The population's values z, random effects integrated out by the surface's method; `centre` are the prior medians."""

    surface: PosteriorSurface

    @cached_property
    def centre(self) -> np.ndarray:
        values = self.surface.marginal.rows.values
        return np.asarray(values.flat(values.medians))

    @property
    def size(self) -> int:
        return len(self.centre)

    def begin(self) -> Any:
        """Modes of the random effects to start from."""
        return jnp.zeros(self.surface.marginal.rows.shape)

    def evaluate(self, z: np.ndarray, carried: Any = None) -> tuple[float, np.ndarray, Any]:
        """-log density and its gradient."""
        value, gradient, modes = self.surface.evaluate(z, self.begin() if carried is None else carried)
        return 0.5 * value, 0.5 * gradient, modes

    def slopes(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """-log density [S] and its gradient [S, P]."""
        found = [self.evaluate(one) for one in z]
        return np.array([f[0] for f in found]), np.stack([f[1] for f in found])

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """Of z [S, P], -inf where there is none."""
        value = np.array([-0.5 * float(self._value(jnp.asarray(one), self.begin())) for one in z])
        return np.where(np.isnan(value), -np.inf, value)

    @cached_property
    def _value(self) -> Callable:
        return jax.jit(lambda z, u: self.surface.value(z, u)[0])
