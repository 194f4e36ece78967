"""FOCEI with rows below or above a limit: their likelihood in full (M3), its curvature in the mean alone.

    2 l(u*) + log |1 + sum_rows w a'a + 2 b'b|,   a = df/du,  w = -d2 log p / df2 (1 / s^2 of exact rows),  b = d ln s / du of exact rows

Never indefinite, and with first derivatives of the model only, so that stepping solvers have a gradient of it; Laplace's full second derivatives cost a
stencil over gradients at every step. It places the laws that draws come from; the weights use the likelihood itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.approximate.marginal import Marginal, Slopes
from pkpd.approximate.mode import Mode, find_mode
from pkpd.approximate.slopes import forward, stencil
from pkpd.noise.measurement import Measurement


@dataclass(frozen=True, eq=False)
class Limited(Marginal):
    """For residual errors whose rows may be censored."""

    def __post_init__(self) -> None:
        """Takes censored rows, which FOCEI by itself refuses."""

    @property
    def linear(self) -> bool:
        return True

    def normal_energy(self, moments: Callable, u: Any, slopes: Slopes = forward) -> tuple[Any, Any, Any]:
        """l [N], its gradient [N, K] and its expected curvature [N, K, K]."""
        rows = self.rows.problem.rows
        (mean, sd), (d_mean, d_sd) = slopes(moments, u)
        term = lambda m, s: Measurement(m, s, rows.logs, rows.cens, rows.lower).log_prob(jnp.asarray(rows.dv))  # noqa: E731
        one = jnp.ones_like(mean)
        in_mean = lambda m: jax.jvp(lambda x: term(x, sd), (m,), (one,))[1]  # noqa: E731
        (value, d_term), in_sd = jax.jvp(lambda x: term(x, sd), (mean,), (one,)), jax.jvp(lambda s: term(mean, s), (sd,), (one,))[1]
        weight = jnp.maximum(-jax.jvp(in_mean, (mean,), (one,))[1], 0.0)
        b = jnp.where(jnp.asarray(rows.cens == 0), d_sd / sd, 0.0)
        energy = 0.5 * jnp.sum(u**2, 1) - self.rows.add(value)
        gradient = u - self.rows.add(d_term * d_mean + in_sd * d_sd).T
        outer = lambda w, x: w * x[:, None] * x[None]  # noqa: E731
        return energy, gradient, jnp.eye(u.shape[1]) + jnp.moveaxis(self.rows.add(outer(weight, d_mean) + outer(2.0, b)), -1, 0)

    def gradient(self, population: Mapping[str, Any], u: Any) -> Any:
        return self.normal_energy(self.moments(population), u, forward if self.rows.twice else stencil)[1]

    def curvature(self, population: Mapping[str, Any], u: Any) -> Any:
        moments = self.moments(population)
        found = (forward if self.rows.twice else stencil)(lambda u: self.normal_energy(moments, u)[1], u)[1]
        swapped = jnp.swapaxes(found, 0, 1)
        return 0.5 * (swapped + jnp.swapaxes(swapped, -1, -2))

    def mode(self, population: Mapping[str, Any], start: Any) -> Mode:
        moments = self.moments(population)
        return find_mode(lambda u: self.normal_energy(moments, u), start)

    def metric(self, population: Mapping[str, Any], u: Any) -> Any:
        return self.normal_energy(self.moments(population), u)[2]
