"""All scored rows of a fit as one distribution, made of the laws of its observables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints


class Joined(dist.Distribution):
    """Rows [n] of several laws: `places[k]` are the rows of `laws[k]`; each row has one term of the log-likelihood."""

    arg_constraints = {}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("laws",)
    pytree_aux_fields = ("places", "n")

    def __init__(self, laws: Sequence[Any], places: Sequence[np.ndarray], n: int, *, validate_args: Any = None):
        self.laws, self.places, self.n = tuple(laws), tuple(places), n
        super().__init__(batch_shape=(n,), validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row."""
        value = jnp.asarray(value)
        found = jnp.zeros(value.shape)
        for law, at in zip(self.laws, self.places, strict=True):
            found = found.at[..., at].set(law.log_prob(value[..., at]))
        return found

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Replicates of every row, uncensored."""
        found = jnp.zeros((*sample_shape, self.n))
        for law, at, own in zip(self.laws, self.places, jax.random.split(key, max(len(self.laws), 1)), strict=False):
            found = found.at[..., at].set(law.sample(own, sample_shape))
        return found
