"""Matrices of all lanes at once, `[n, n, B]`: inverses without LAPACK, whose call for each lane costs more than the arithmetic."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

_settle = jax.lax.optimization_barrier  # each product below is used several times: XLA would work it out again inside each consumer


def inverse(w: Any) -> Any:
    """W^-1 by halves, [A B; C D] with S = D - C A^-1 B, without pivoting: W = I - gamma h J has large diagonals, and a step in which it
    has not fails its error test. Three times faster than Gauss-Jordan, which passes over the whole matrix n times.
    """
    n = w.shape[0]
    if n == 1:
        return 1.0 / w
    k = n // 2
    a = _settle(inverse(w[:k, :k]))
    right, left = _settle((product(a, w[:k, k:]), product(w[k:, :k], a)))
    s = _settle(inverse(_settle(w[k:, k:] - product(w[k:, :k], right))))
    corner, edge = _settle((-product(right, s), -product(s, left)))
    return jnp.concatenate([jnp.concatenate([a - product(corner, left), corner], 1), jnp.concatenate([edge, s], 1)], 0)


def product(a: Any, b: Any) -> Any:
    """The matrix product lane by lane, as one sum over lanes' vectors: a contraction would put the lanes outermost."""
    return sum(a[:, k, None] * b[None, k] for k in range(a.shape[1]))


def apply(a: Any, x: Any) -> Any:
    """A x for a[n, n, B], x[n, B]."""
    return sum(a[:, k] * x[k] for k in range(a.shape[1]))


def apply_transposed(a: Any, x: Any) -> Any:
    """A' x for a[n, n, B], x[n, B]."""
    return sum(a[k] * x[k] for k in range(a.shape[0]))


def weigh(weights: Any, k: Any) -> Any:
    """sum_i w_i k_i over stages k[S, n, B]."""
    return jnp.tensordot(jnp.asarray(weights, k.dtype), k, 1)
