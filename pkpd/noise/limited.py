"""Rows of one law whose values and censoring are arguments of a compiled program."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints


class Limited(dist.Distribution):
    """Rows y of `law` (a `Measurement` or `StudentMeasurement` of exact rows), known exactly or by limits; censoring may be traced.

    Density of y where `cens` is 0; P(Y < y) where it is 1, P(lower < Y < y) where `lower` is finite too; P(Y > y) where -1. The same as `law` with
    the same censoring fixed. `limited` and `between` [n] say which rows can be censored at all, and which can lie between two limits.
    """

    arg_constraints = {}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("law", "cens", "lower")
    pytree_aux_fields = ("limited", "between")

    def __init__(self, law: Any, cens: Any, lower: Any, limited: np.ndarray, between: np.ndarray, *, validate_args: Any = None):
        self.law, self.cens, self.lower, self.limited, self.between = law, cens, lower, limited, between
        super().__init__(batch_shape=law.batch_shape, validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row."""
        exact = self.law.log_prob(value)
        if not np.any(self.limited):
            return exact
        inside = self.cens == 0
        z = jnp.where(inside, 0.0, self.law.standardised(value))
        tail = self.law.log_below(jnp.where(self.cens == -1, -z, z))
        return jnp.where(inside, exact, self._two_limits(z, tail) if np.any(self.between) else tail)

    def _two_limits(self, z: Any, tail: Any) -> Any:
        both = (self.cens == 1) & jnp.isfinite(self.lower)
        low = jnp.where(both, self.law.standardised(jnp.where(both, self.lower, 1.0)), -1.0)
        return jnp.where(both, self.law.log_between(low, jnp.where(both, z, 1.0)), tail)
