"""Information as an arrow: what all subjects share beside blocks of one subject each, so that cost grows with subjects, not with their square or cube.

        [ A   B_1' ... B_N' ]      A [K, K] of common coordinates
    H = [ B_1 D_1           ]      D_i [q, q] of subject i's own
        [ ...      ...  D_N ]      B_i [q, K] between them

No row and no prior term holds the coordinates of two subjects. With S = A - sum_i B_i' D_i^-1 B_i, a factor L of H^-1 = L L' is

    x_c = S^(-1/2)' u_c,      x_i = D_i^(-1/2)' u_i - D_i^-1 B_i x_c.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LARGE = 200
"""Coordinates from which factor and metric are kept as an arrow; below, one dense matrix is quicker."""
LEAST = 0.25
"""Curvature taken at least, which is a sd of 2: the prior may curve the wrong way, as for a spread."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Which of D coordinates are common [K], and which are each subject's own [N, q]."""

    common: np.ndarray
    own: np.ndarray

    @cached_property
    def order(self) -> np.ndarray:
        """Where coordinate d stands in (common, own of the first subject, of the second, ...)."""
        return np.argsort(np.concatenate([self.common, self.own.ravel()]))

    @property
    def size(self) -> int:
        return len(self.common) + self.own.size

    @cached_property
    def directions(self) -> np.ndarray:
        """[K + q, D] : each common coordinate, then each own coordinate of all subjects at once. What depends on one subject's alone is told apart."""
        found = np.zeros((len(self.common) + self.own.shape[1], self.size))
        found[np.arange(len(self.common)), self.common] = 1.0
        for j in range(self.own.shape[1]):
            found[len(self.common) + j, self.own[:, j]] = 1.0
        return found


def layout(space: Any) -> Layout:
    """Effects of subjects, of their occasions and on their residual spread are their own; the rest is common."""
    population, n, labels = space.problem.population, len(space.problem.cohort.subjects), np.array(space.labels())
    grouped = {x for g in population.correlation for x in g.names}
    sites = [f"raw_{'_'.join(g.names)}" for g in population.correlation]
    sites += [f"raw_{x}" for x in population.varying if x not in grouped] + [f"raw_occ_{x}" for x in population.occasions]
    sites += [f"raw_sigma_{x}" for x in space.problem.observed_names]  # of an error by subject
    columns = [np.flatnonzero(labels == s).reshape(n, -1) for s in sites]
    own = np.concatenate(columns, 1) if columns else np.zeros((n, 0), int)
    return Layout(np.flatnonzero(~np.isin(labels, sites)), own)


def split_at(space: Any) -> int | None:
    """The number of common coordinates where factor and metric are kept as an arrow; None where they are dense, as without subjects."""
    return len(layout(space).common) if space.full_weights and space.size >= LARGE else None


class Blocks(NamedTuple):
    """A, B and D of a symmetric arrow."""

    common: Any
    across: Any
    own: Any

    def __add__(self, other: Any) -> Blocks:
        return Blocks(*(np.asarray(a) + np.asarray(b) for a, b in zip(self, other, strict=True)))

    def dense(self, at: Layout) -> np.ndarray:
        """[D, D] in the coordinates' own order."""
        found = np.zeros((at.size, at.size))
        found[np.ix_(at.common, at.common)] = self.common
        for i, own in enumerate(at.own):
            found[np.ix_(own, own)] = self.own[i]
            found[np.ix_(own, at.common)] = self.across[i]
            found[np.ix_(at.common, own)] = np.asarray(self.across[i]).T
        return found

    def diagonal(self, at: Layout) -> np.ndarray:
        """[D]"""
        found = np.zeros(at.size)
        found[at.common], found[at.own] = np.diag(self.common), np.diagonal(self.own, axis1=1, axis2=2)
        return found

    def solve(self, gradient: np.ndarray, free: np.ndarray, at: Layout) -> np.ndarray:
        """H^-1 g [D] over the coordinates `free`, 0 for the others, which are common ones."""
        keep = free[at.common]
        across, g = np.asarray(self.across)[:, :, keep], gradient[at.own]
        slope = np.linalg.solve(self.own, np.concatenate([across, g[:, :, None]], 2))
        common = np.asarray(self.common)[np.ix_(keep, keep)] - np.einsum("njk,njl->kl", across, slope[:, :, :-1])
        x = np.linalg.solve(clipped(common), gradient[at.common][keep] - np.einsum("njk,nj->k", across, slope[:, :, -1]))
        found = np.zeros(at.size)
        found[at.common[keep]], found[at.own] = x, slope[:, :, -1] - slope[:, :, :-1] @ x
        return found


def dense(information: Any, space: Any) -> np.ndarray:
    """[D, D] of a geometry's information."""
    return information.dense(layout(space)) if isinstance(information, Blocks) else np.asarray(information)


def clipped(matrix: Any) -> np.ndarray:
    """Eigenvalues by size, LEAST at least [..., n, n]; NaN where it is not finite."""
    if not np.all(np.isfinite(matrix)):
        return np.full(np.shape(matrix), np.nan)
    values, vectors = np.linalg.eigh(0.5 * (matrix + np.swapaxes(matrix, -1, -2)))
    return (vectors * np.maximum(np.abs(values), LEAST)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


class Arrow(NamedTuple):
    """L as x_c = root u_c, x_i = blocks_i u_i - slopes_i x_c; u holds the common ones first, x is in the coordinates' own order."""

    root: Any
    blocks: Any
    slopes: Any
    order: Any

    def __matmul__(self, u: Any) -> Any:
        """L u [D]."""
        k = self.root.shape[0]
        common = self.root @ u[:k]
        own = (self.blocks * u[k:].reshape(self.blocks.shape[0], 1, -1)).sum(-1) - self.slopes @ common
        return jnp.concatenate([common, own.ravel()])[self.order]


def arrow(information: Blocks, at: Layout) -> Arrow:
    """The factor of the inverse. Raises `LinAlgError` where a block has none."""
    lower = np.linalg.cholesky(information.own)
    blocks = np.swapaxes(np.linalg.inv(lower), -1, -2)
    slopes = np.linalg.solve(information.own, information.across)
    common = clipped(information.common - np.einsum("njk,njl->kl", information.across, slopes))
    root = np.linalg.inv(np.linalg.cholesky(common)).T
    return Arrow(*map(jnp.asarray, (root, blocks, slopes, at.order)))


def positions(mode: Any, factor: Any, u: np.ndarray) -> np.ndarray:
    """mode + L u for draws u [..., D]."""
    if not isinstance(factor, Arrow):
        return np.asarray(mode) + u @ np.asarray(factor).T
    flat = u.reshape(-1, u.shape[-1])
    moved = np.concatenate([_spread(factor, jnp.asarray(flat[i : i + 1000])) for i in range(0, len(flat), 1000)])
    return np.asarray(mode) + moved.reshape(u.shape)


_spread = jax.jit(jax.vmap(Arrow.__matmul__, (None, 0)))
