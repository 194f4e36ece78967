"""A law of a whole posterior in two floors: population values z, and each subject's random effects u_i given z; drawn, and weighed against the exact one.

    z ~ t_df(centre, root root') or a mixture of such,   u_im | z ~ t_df(u_i*(z), A_i(z)^-1),  m = 1..M
    p^(y_i | z) = 1/M sum_m p(y_i | u_im) N(u_im; 0, 1) / q(u_im | z)
    w = p(z) prod_i p^(y_i | z) / q(z),   u_i = u_im with probability proportional to its term

u_i* is the subject's mode and A_i its curvature at z. The estimate of each likelihood is unbiased, so that (z, u) weighed by w has the exact posterior as its
target whatever M; and the weights are as many as z has coordinates, not as many as there are subjects. Laws have Student's t tails: a normal law's
weights need not be bounded where a spread may be near zero. Source: Tran, Scharth, Pitt & Kohn 2013, arXiv:1309.3339 (importance sampling squared).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import logsumexp

from pkpd.approximate.importance import Weights
from pkpd.approximate.laws import Law, drawn_from, mixture_log_density, student, student_log_density
from pkpd.approximate.marginal import Marginal
from pkpd.approximate.posterior_surface import log_prior

BATCH, QUIET = 250, 10.0
"""Draws of one call, and seconds without a word at least between two reports of progress."""
log = logging.getLogger("pkpd")


class Drawn(NamedTuple):
    """Population values z [S, P], random effects u [S, N, K], log target density and log density of z's law [S], each up to a constant."""

    z: np.ndarray
    u: np.ndarray
    log_target: np.ndarray
    log_law: np.ndarray

    @property
    def log_ratio(self) -> np.ndarray:
        return self.log_target - self.log_law


@dataclass(frozen=True, eq=False)
class Nested:
    """`laws` of z, drawn from in equal parts with Student's t tails; `start` [N, K] are where modes are searched from, `inner` is M."""

    marginal: Marginal
    laws: tuple[Law, ...]
    start: Any
    inner: int

    def draw(self, n: int, key: Any) -> Drawn:
        """At least n draws, one law after another, in whole batches: a remainder would be compiled a second time."""
        whole = BATCH * len(self.laws)
        n += -n % whole
        outer, inner = jax.random.split(key)
        z = drawn_from(self.laws, n, outer)
        keys, run = jax.random.split(inner, n), _effects_of(self.marginal, self.inner)
        parts, told = [], time.monotonic()
        for i in range(0, n, BATCH):
            parts.append(jax.block_until_ready(run(jnp.asarray(z[i : i + BATCH]), keys[i : i + BATCH], self.start)))
            if time.monotonic() - told > QUIET:
                told = time.monotonic()
                log.info("drawn and weighed: %d of %d", i + BATCH, n)
        u, target = (np.concatenate([np.asarray(p[k]) for p in parts]) for k in (0, 1))
        return Drawn(z, u, target, mixture_log_density(self.laws, z))

    @property
    def size(self) -> int:
        return len(self.laws[0].centre)

    def refined(self, drawn: Drawn, weights: Weights) -> Law:
        """The first law with the weighted mean and covariance of the draws, shrunk towards its own where few draws count: weight ess / (ess + 2 P)."""
        share, law = weights.ess / (weights.ess + 2.0 * self.size), self.laws[0]
        mean = weights.weight @ drawn.z
        away = drawn.z - mean
        covariance = share * (away.T * weights.weight) @ away + (1.0 - share) * law.root @ law.root.T
        return Law(share * mean + (1.0 - share) * law.centre, np.linalg.cholesky(covariance))


@lru_cache(maxsize=8)
def _effects_of(marginal: Marginal, count: int) -> Callable[..., tuple[Any, Any]]:
    """Compiled: z [B, P], keys, start -> u [B, N, K] given z and the data, and log p(z) + sum of log p^(y_i | z) [B].

    One z after another: adaptive solvers lose more than they gain together.
    """
    rows = marginal.rows

    def one(z: Any, key: Any, start: Any) -> tuple[Any, Any]:
        population, (first, second) = rows.values.constrained(z), jax.random.split(key)
        mode = marginal.mode(population, start).u
        lower = jnp.linalg.cholesky(marginal.metric(population, mode))
        noise = student(first, (count, *rows.shape))
        away = solve_triangular(jnp.broadcast_to(lower, (count, *lower.shape)), noise[..., None], trans=1, lower=True)
        u = mode + away[..., 0]
        log_law = student_log_density(noise) + jnp.sum(jnp.log(jnp.diagonal(lower, axis1=-2, axis2=-1)), -1)
        each = jax.lax.map(lambda at: rows.log_likelihood(population, at), u) - 0.5 * jnp.sum(u**2, -1) - log_law
        each = jnp.where(jnp.isnan(each), -jnp.inf, each)  # [M, N]: what cannot be solved has no weight
        chosen = jax.random.categorical(second, each, axis=0)
        total = jnp.sum(logsumexp(each, axis=0) - np.log(count))
        return u[chosen, jnp.arange(rows.shape[0])], log_prior(rows.values, z) + total

    return jax.jit(lambda z, keys, start: jax.lax.map(lambda x: one(*x, start), (z, keys)))
