"""Rows of subjects whose kind is unknown: the likelihood summed over kinds, still one term a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logsumexp
from numpyro.distributions import constraints


class Mixed(dist.Distribution):
    """Rows [n] under K laws: p(y_i) = sum_k share_k prod_j p_k(y_ij) for subject i; the term of a row is its density given the subject's rows before it.

    `laws` are one law a kind, of all rows; `log_shares` [K]; `subject` [n] counts from 0 to `subjects` - 1. The terms of a subject add up to log p(y_i).
    """

    arg_constraints = {}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("laws", "log_shares")
    pytree_aux_fields = ("subject", "subjects")

    def __init__(self, laws: Sequence[Any], log_shares: Any, subject: np.ndarray, subjects: int, *, validate_args: Any = None):
        self.laws, self.log_shares, self.subject, self.subjects = tuple(laws), log_shares, subject, subjects
        super().__init__(batch_shape=(len(subject),), validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row given the rows of its subject before it."""
        so_far = logsumexp(self._weighed(value), axis=0)  # [N, most rows]
        before = jnp.concatenate([jnp.zeros((*so_far.shape[:1], 1)), so_far[:, :-1]], axis=1)
        return (so_far - before)[self.subject, self._place]

    def membership(self, value: Any) -> Any:
        """log P(kind k | all rows of the subject) [N, K]."""
        last = self._weighed(value)[:, :, -1].T
        return last - logsumexp(last, axis=1, keepdims=True)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Replicates of every row; the kind of a subject is drawn by the shares."""
        which, *keys = jax.random.split(key, len(self.laws) + 1)
        kinds = jax.random.categorical(which, self.log_shares, shape=(*sample_shape, self.subjects))
        each = jnp.stack([law.sample(k, sample_shape) for law, k in zip(self.laws, keys, strict=True)])
        return jnp.take_along_axis(each, kinds[None, ..., self.subject], axis=0)[0]

    @property
    def _place(self) -> np.ndarray:
        """How many rows of its subject stand before each row."""
        order = np.argsort(self.subject, kind="stable")
        ranks = np.empty(len(order), int)
        sorted_subjects = self.subject[order]
        first = np.searchsorted(sorted_subjects, sorted_subjects, side="left")
        ranks[order] = np.arange(len(order)) - first
        return ranks

    def _weighed(self, value: Any) -> Any:
        """log share_k + log p_k(rows so far) [K, N, most rows]; a row that is not there adds nothing."""
        place, subject = self._place, self.subject
        terms = jnp.stack([law.log_prob(value) for law in self.laws])
        laid = jnp.zeros((len(self.laws), self.subjects, int(place.max(initial=0)) + 1)).at[:, subject, place].set(terms)
        return self.log_shares[:, None, None] + jnp.cumsum(laid, axis=2)
