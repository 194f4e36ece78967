"""Exact solution of small linear systems: y' = M y + u, with M from the equations by differentiation and exp(M tau) in Newton's form.

exp(M tau) v = f[x1] v + f[x1,x2] (M - x1) v + f[x1,x2,x3] (M - x1)(M - x2) v, over the eigenvalues x_i of M (real in compartment models);
a constant input u makes it the same sum for one state more, a constant 1, whose eigenvalue is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Periodic, Solve
from pkpd.solve.divided import ascending, divided_exp
from pkpd.solve.linear import Way, make_exact, make_exact_periodic
from pkpd.solve.structure import Structure, loops

MOST = 6  # states: each more is one more difference of exponentials, which costs accuracy as well as time


def applies(structure: Structure) -> bool:
    """Linear, a handful of states, exchange only along trees (of two compartments, or peripheral ones around a central one)."""
    return structure.linear and structure.n <= MOST and loops(structure) is not None


def eigenvalues(m: list[list[Any]], groups: Sequence[tuple[int, ...]]) -> list[Any]:
    """The diagonal for single states, the roots of the quadratic for an exchanging pair (the larger by the stable formula), else by `tree_roots`."""
    values: list[Any] = []
    for group in groups:
        if len(group) == 1:
            values.append(m[group[0]][group[0]])
        elif len(group) == 2:
            values += _pair(*(m[i][j] for i in group for j in group))
        else:
            block = jnp.stack([jnp.stack([m[i][j] for j in group], -1) for i in group], -2)
            values += list(jnp.moveaxis(tree_roots(block), -1, 0))
    return values


def _pair(a: Any, b: Any, c: Any, d: Any) -> list[Any]:
    fast = 0.5 * (a + d - jnp.sqrt((a - d) ** 2 + 4.0 * b * c))
    nothing = fast == 0.0  # neither exchange nor loss
    return [fast, jnp.where(nothing, 0.0, (a * d - b * c) / jnp.where(nothing, 1.0, fast))]


@jax.custom_jvp
def tree_roots(m: Any) -> Any:
    """Eigenvalues of m[.., s, s] whose exchanges form a tree: those of the symmetric matrix with entries sqrt(m_ij m_ji)."""
    both = m * jnp.swapaxes(m, -1, -2)
    size = m.shape[-1]
    return jnp.linalg.eigvalsh(jnp.where(jnp.eye(size, dtype=bool), m, jnp.sqrt(jnp.maximum(both, 0.0))))


@tree_roots.defjvp
def _tree_roots_jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """dx_i = trace(P_i dM), P_i = prod_{j != i} (M - x_j) / (x_i - x_j) the projection on its mode: no root of an exchange that may be zero."""
    (m,), (dm,) = primals, tangents
    x, one = tree_roots(m), jnp.eye(m.shape[-1])
    moved = []
    for i in range(m.shape[-1]):
        mode = jnp.broadcast_to(one, m.shape)
        for j in range(m.shape[-1]):
            if j != i:
                mode = mode @ (m - x[..., j, None, None] * one) / (x[..., i] - x[..., j])[..., None, None]
        moved.append(jnp.einsum("...ij,...ji->...", mode, dm))
    return x, jnp.stack(moved, -1)


def advance(m: list[list[Any]], x: Sequence[Any], tau: Any, y: Sequence[Any], u: Sequence[Any]) -> list[Any]:
    """y after tau under y' = M y + u: Newton's form for the matrix [[M, u], [0, 0]] applied to (y, 1); x its eigenvalues in ascending order.

    The fastest first: then (M - x1) has no negative entry in a compartment model and the leading terms do not cancel.
    """
    n, w, one = len(y), list(y), 1.0
    differences = divided_exp(x, tau)
    result = [differences[0] * wi for wi in w]
    for difference, node in zip(differences[1:], x[:-1], strict=True):
        w = [sum(m[i][j] * w[j] for j in range(n)) - node * w[i] + one * u[i] for i in range(n)]
        one = -node * one
        result = [a + difference * b for a, b in zip(result, w, strict=True)]
    return result


def _way(structure: Structure) -> Way:
    groups = loops(structure)
    assert groups is not None, "the closed form was asked for where it does not apply"

    def nodes(m: Any) -> list[Any]:
        values = eigenvalues(m, groups)
        return ascending([*values, jnp.zeros_like(values[0])])

    return Way(nodes, advance, lambda m: jnp.max(jnp.stack(eigenvalues(m, groups)), 0))


def make_closed_form(structure: Structure) -> Solve:
    """The contract's solve for a small linear system; raises nothing inside, NaN for a subject that fails."""
    return make_exact(structure, _way(structure))


def make_periodic(structure: Structure) -> Periodic:
    """Steady state of a train by a linear solve."""
    return make_exact_periodic(structure, _way(structure))
