"""The covariance a chain adapts in its own coordinates u: dense, or where there are many a dense block of the first K (common) and a diagonal for the rest.

Coordinates are whitened by the Fisher information before, so that little is left to adapt; what is left lies between common coordinates, for which a dense
block costs little.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.mcmc.metrics import Metric
from jax.scipy.linalg import solve_triangular

ALONE = 10.0
"""What 2 D is in the weight n / (n + 2 D) of a window's covariance for a diagonal, whose terms are estimated one by one."""


class Split(NamedTuple):
    """A block [K, K] and a diagonal [D - K]."""

    block: Any
    diagonal: Any


def nothing(d: int, common: int | None) -> Any:
    """A scatter of no draws."""
    return jnp.zeros((d, d)) if common is None else Split(jnp.zeros((common, common)), jnp.zeros(d - common))


def identity(d: int, common: int | None) -> Any:
    return jnp.eye(d) if common is None else Split(jnp.eye(common), jnp.ones(d - common))


def outer(a: Any, b: Any, like: Any) -> Any:
    """What a draw adds to the scatter."""
    if not isinstance(like, Split):
        return jnp.outer(a, b)
    k = like.block.shape[0]
    return Split(jnp.outer(a[:k], b[:k]), a[k:] * b[k:])


def shrunk(scatter: Any, seen: Any) -> Any:
    """The covariance of a window of `seen` draws, shrunk towards the identity: weight n / (n + 2 D)."""
    if isinstance(scatter, Split):
        weight = seen / (seen + ALONE)
        rest = weight * scatter.diagonal / jnp.maximum(seen - 1.0, 1.0) + (1.0 - weight)
        return Split(shrunk(scatter.block, seen), rest)
    d = scatter.shape[0]
    weight = seen / (seen + 2.0 * d)
    return weight * (scatter / jnp.maximum(seen - 1.0, 1.0)) + (1.0 - weight) * jnp.eye(d)


def root(covariance: Any) -> Any:
    """R, R R' = covariance."""
    if isinstance(covariance, Split):
        return Split(jnp.linalg.cholesky(covariance.block), jnp.sqrt(covariance.diagonal))
    return jnp.linalg.cholesky(covariance)


def times(matrix: Any, x: Any) -> Any:
    """M x [D]."""
    if not isinstance(matrix, Split):
        return matrix @ x
    k = matrix.block.shape[0]
    return jnp.concatenate([matrix.block @ x[:k], matrix.diagonal * x[k:]])


def transposed(matrix: Any, x: Any) -> Any:
    """M' x [D]."""
    return times(Split(matrix.block.T, matrix.diagonal) if isinstance(matrix, Split) else matrix.T, x)


def untransposed(r: Any, x: Any) -> Any:
    """R'^-1 x [D], of a root."""
    if not isinstance(r, Split):
        return solve_triangular(r, x, lower=True, trans=1)
    k = r.block.shape[0]
    return jnp.concatenate([solve_triangular(r.block, x[:k], lower=True, trans=1), x[k:] / r.diagonal])


def for_nuts(r: Any) -> Metric:
    """The metric as BlackJAX's kernel takes it, from the root of the covariance.

    The kinetic energy is a sum of squares, 0.5 |R' p|^2, and so never below zero: 0.5 p . C p overflows to minus infinity where a gradient is immense, and
    a trajectory that comes there would stay.
    """

    def momentum(key: Any, position: Any) -> Any:
        return untransposed(r, jax.random.normal(key, position.shape))

    def kinetic(momentum: Any, position: Any = None) -> Any:
        return 0.5 * jnp.sum(transposed(r, momentum) ** 2)

    def turning(momentum_left: Any, momentum_right: Any, momentum_sum: Any, position_left: Any = None, position_right: Any = None) -> Any:
        ahead = times(r, transposed(r, momentum_sum - 0.5 * (momentum_left + momentum_right)))  # v_left . rho = p_left . C rho
        return (momentum_left @ ahead <= 0) | (momentum_right @ ahead <= 0)

    def scale(position: Any, element: Any, *, inv: bool, trans: bool) -> Any:
        raise NotImplementedError("NUTS does not scale.")

    return Metric(momentum, kinetic, turning, scale)
