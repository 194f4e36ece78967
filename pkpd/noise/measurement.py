"""One measured row: normal on its own or on the log scale, exactly observed or known only by limits (the M3 method and its kin)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from pkpd.noise.tails import log_below, log_between

TINY = 1e-30


class Measurement(dist.Distribution):
    """Rows y with x = y or log y (where `logs`) normal(mean, sd).

    cens 0: density of y; cens 1: P(Y < y), or P(lower < Y < y) where `lower` is given; cens -1: P(Y > y).
    Sampling returns uncensored replicates on the scale of y.
    Source: Beal 2001, J Pharmacokinet Pharmacodyn 28:481 (M3); Bergstrand & Karlsson 2009, AAPS J 11:371.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("loc", "scale")
    pytree_aux_fields = ("logs", "cens", "lower")

    def __init__(self, mean: Any, sd: Any, logs: np.ndarray, cens: np.ndarray, lower: np.ndarray, *, validate_args: Any = None):
        self.loc, self.scale = mean, sd
        self.logs, self.cens, self.lower = logs, cens, lower
        super().__init__(batch_shape=jnp.shape(mean), validate_args=False)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        x = self.loc + self.scale * jax.random.normal(key, sample_shape + self.batch_shape)
        return jnp.where(self.logs, jnp.exp(jnp.where(self.logs, x, 0.0)), x)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row."""
        positive = jnp.where(self.logs, jnp.maximum(value, TINY), 1.0)
        z = self.standardised(value)
        exact = -0.5 * z**2 - jnp.log(self.scale) - 0.5 * np.log(2 * np.pi) - jnp.log(positive)
        if not np.any(self.cens):
            return exact
        return jnp.where(self.cens == 0, exact, self._limits(jnp.where(self.cens == 0, 0.0, z)))

    def standardised(self, value: Any) -> Any:
        """z = (x - loc) / scale of values y."""
        positive = jnp.where(self.logs, jnp.maximum(value, TINY), 1.0)
        return (jnp.where(self.logs, jnp.log(positive), value) - self.loc) / self.scale

    def log_below(self, z: Any) -> Any:
        """log P(Z < z)."""
        return log_below(z)

    def log_between(self, a: Any, b: Any) -> Any:
        """log P(a < Z < b), a < b."""
        return log_between(a, b)

    def _limits(self, z: Any) -> Any:
        result = log_below(jnp.where(self.cens == -1, -z, z))
        bounded = np.isfinite(self.lower) & (self.cens == 1)
        if not np.any(bounded):
            return result
        low = np.where(bounded, self.lower, 1.0)
        with np.errstate(divide="ignore"):
            low_x = np.where(self.logs, np.log(np.maximum(low, TINY)), low)
        a = jnp.where(bounded, (low_x - self.loc) / self.scale, -1.0)
        return jnp.where(bounded, log_between(a, jnp.where(bounded, z, 1.0)), result)
