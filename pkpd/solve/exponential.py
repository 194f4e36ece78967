"""Any linear system exactly, of any size and with any modes: one matrix exponential for each stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Periodic, Solve
from pkpd.solve.linear import Way, make_exact, make_exact_periodic
from pkpd.solve.structure import Structure


def make_exponential(structure: Structure) -> Solve:
    """The contract's solve for linear equations: y and a constant 1 by exp([[M, u], [0, 0]] tau), for each segment and each look."""
    return make_exact(structure, WAY)


def make_exponential_periodic(structure: Structure) -> Periodic:
    """Steady state of a train by a linear solve."""
    return make_exact_periodic(structure, WAY)


def _advance(m: Any, _: Any, tau: Any, y: Sequence[Any], u: Sequence[Any]) -> list[Any]:
    """y after tau under y' = M y + u, by scaling and squaring (jax.scipy.linalg.expm)."""
    n = len(m)
    rows = [[*(m[i][j] * tau for j in range(n)), u[i] * tau] for i in range(n)]
    shape = jnp.broadcast_shapes(*(jnp.shape(x) for row in rows for x in row), *(jnp.shape(x) for x in y))
    whole = lambda values: jnp.stack([jnp.broadcast_to(x, shape) for x in values], -1)  # noqa: E731
    table = jnp.stack([*map(whole, rows), jnp.zeros((*shape, n + 1))], -2)
    grown = jax.vmap(jax.scipy.linalg.expm)(table.reshape(-1, n + 1, n + 1)).reshape(table.shape)
    found = jnp.einsum("...ij,...j->...i", grown[..., :n, :], whole([*y, jnp.ones(())]))
    return [found[..., i] for i in range(n)]


def _growth(m: Any) -> Any:
    table = jnp.stack([jnp.stack(row, -1) for row in m], -2)
    return jnp.max(jnp.linalg.eigvals(jax.lax.stop_gradient(table)).real, -1)


WAY = Way(lambda m: [], _advance, _growth)
