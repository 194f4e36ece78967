"""Correlated random effects in the sampler's coordinates: each one centred as far as its weight says, given those before it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from numpyro.distributions import Distribution, constraints

from pkpd.population.power import power

HALF_LOG_2PI = 0.9189385332046727


class PartlyCentred(Distribution):
    """raw [n, k] of phi_i ~ N(m_i, diag(omega) C diag(omega)), C = chol chol', with a weight w in [0, 1] for each effect (and subject).

    One effect after another, those with the largest weights first: given the ones before it, phi ~ N(a, s), and raw ~ N(w a, s^w) with
    phi = a + s^(1-w) (raw - w a). Weight 1 is phi itself, weight 0 a standard normal, of which neither spread nor correlation is the scale.

    Source: Papaspiliopoulos, Roberts & Skold 2007, Stat Sci 22:59, for one effect; here for each conditional law of several.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 2)

    def __init__(self, mean: Any, omega: Any, chol: Any, weight: Any):
        """`mean` [n, k], `omega` [k], `chol` [k, k] lower, `weight` [k] or [n, k]."""
        self.m, self.omega, self.chol = mean, omega, chol
        self.w = jnp.broadcast_to(weight, jnp.shape(mean))
        super().__init__((), jnp.shape(mean), validate_args=False)

    @property
    def order(self) -> Any:
        """Effects by falling weight [k]."""
        return jnp.argsort(-self.w.mean(0))

    def _factor(self) -> tuple[Any, Any]:
        """The order, and the Cholesky factor of the covariance in that order: from a QR, which does not square its condition."""
        order = self.order
        upper = jnp.linalg.qr(self.chol[order].T, mode="r")
        return order, self.omega[order][:, None] * (upper * jnp.sign(jnp.diagonal(upper))[:, None]).T

    def effects(self, raw: Any) -> Any:
        """phi [n, k] of raw [n, k]."""
        return self._walk(raw, lambda x, a, s, w: (x - w * a) / power(s, w))[0]

    def raw(self, phi: Any) -> Any:
        """raw [n, k] of phi [n, k]."""
        _, z, a, s = self._walk(phi, lambda x, a, s, w: (x - a) / s)
        return self.w * a + power(s, self.w) * z

    def conditional(self, phi: Any) -> tuple[Any, Any]:
        """a [n, k] and s [n, k] of each effect given those before it."""
        return self._walk(phi, lambda x, a, s, w: (x - a) / s)[2:]

    def _walk(self, given: Any, standard: Any) -> tuple[Any, Any, Any, Any]:
        """phi, z = (phi - a) / s as `standard` makes it of what is given, a and s, [n, k] each, effect after effect in the order."""
        order, factor = self._factor()
        back = jnp.argsort(order)
        x, m, w = given[:, order], self.m[:, order], self.w[:, order]
        z, found = [], []
        for j in range(x.shape[1]):
            a = m[:, j] + sum((factor[j, i] * z[i] for i in range(j)), jnp.zeros(()))
            s = jnp.broadcast_to(factor[j, j], a.shape)
            z.append(standard(x[:, j], a, s, w[:, j]))
            found.append((a + s * z[-1], z[-1], a, s))
        phi, z, a, s = (jnp.stack(part, -1)[:, back] for part in zip(*found, strict=True))
        return phi, z, a, s

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        _, z, _, s = self._walk(value, lambda x, a, s, w: (x - w * a) / power(s, w))
        return jnp.sum(-0.5 * z**2 - HALF_LOG_2PI - self.w * jnp.log(s))

    def log_scale(self) -> Any:
        """Sum of w log s over subjects and effects: what is added to this log density makes it that of standard normals."""
        _, s = self.conditional(self.m)
        return jnp.sum(self.w * jnp.log(s))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        z = jax.random.normal(key, (*sample_shape, *self.event_shape))
        one = lambda x: self.raw(self.m + x @ (self.omega[:, None] * self.chol).T)  # noqa: E731
        flat = jax.vmap(one)(z.reshape(-1, *self.event_shape))
        return flat.reshape(*sample_shape, *self.event_shape)

    @property
    def mean(self) -> Any:
        """raw where phi is its mean."""
        return self.w * self.m
