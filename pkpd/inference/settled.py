"""Centring weights and metric from a pilot run: which coordinates make the posterior most nearly normal.

Weights chosen at the mode take each spread at its prior median, and centre what the data inform there; where the posterior reaches small spreads those
coordinates end in a funnel. From a pilot's draws of each effect phi_i, its mean a_i and spread s given the effects before it, the weight is the one
whose raw_i has the least divergence from a normal law,

    J(w) = sum_i 1/2 log Var(raw_i(w) | a_i, log s) - (w - 1) E log s,      raw_i = w a_i + s^(w - 1) (phi_i - a_i)

(Var | is what is left after linear regression, which the metric takes out). Idea: Gorinova, Moore & Hoffman 2020, ICML (automatic reparameterisation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.inference.geometry import Geometry, geometry_at
from pkpd.inference.recentre import drawn, recentred, stacked, usable
from pkpd.inference.space import Space
from pkpd.population.partly_centred import PartlyCentred

GRID = np.linspace(0.0, 1.0, 21)
TIE = 1e-6
"""Divergence a subject below which two weights are the same."""


def divergences(phi: np.ndarray, a: np.ndarray, log_s: np.ndarray, grid: Sequence[float]) -> np.ndarray:
    """J of each weight of a grid; phi, a [draws, n], log_s [draws, n] or [draws, 1].

    A spread known exactly leaves nothing to choose between the weights:

    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> found = divergences(x, 0 * x, np.zeros((1000, 1)), (0.0, 0.5, 1.0))
    >>> bool(np.ptp(found) < 1e-12)
    True
    """
    log_s = np.broadcast_to(log_s, phi.shape)
    columns = np.stack([np.ones(phi.shape), a, log_s], -1).transpose(1, 0, 2)  # [n, draws, 3]
    basis, size, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis * (size > 1e-10 * size[:, :1])[:, None, :]  # what is constant already counts once

    def one(w: float) -> float:
        raw = (w * a + np.exp((w - 1.0) * log_s) * (phi - a)).T[:, :, None]
        left = raw - basis @ (basis.transpose(0, 2, 1) @ raw)
        return float((0.5 * np.log(np.mean(left**2, (1, 2)) + 1e-300)).sum() - (w - 1.0) * log_s.mean(0).sum())

    return np.array([one(w) for w in grid])


def best_weight(phi: np.ndarray, a: np.ndarray, log_s: np.ndarray, old: float = 1.0) -> float:
    """The weight of the grid with the least divergence; the old one where none is better, as where the spread is known."""
    *values, before = divergences(phi, a, log_s, (*GRID, old))
    best = int(np.argmin(values))
    return float(GRID[best]) if before - values[best] > TIE * phi.shape[1] else old


def settled_weights(space: Space, z: np.ndarray, old: Mapping[str, Any]) -> dict[str, Any]:
    """Weights [N] from draws z [S, D] in coordinates of the old weights: those that are the user's are kept, the rest are one for all subjects."""
    parameters = space.problem.population.parameters
    free = {n for n in old if parameters[n].centred is None and parameters[n].shape is None}
    compiled, found = _Compiled.of(space), dict(old)
    for _ in range(2):  # the second time in the order that the weights of the first put the effects in
        effects = [tuple(map(np.asarray, v)) for v in compiled.effects(z, dict(old), dict(found))]
        for group, (phi, a, s) in zip(compiled.names, effects, strict=True):
            found |= {n: w for n, w in _chosen(group, phi, a, s, old).items() if n in free}
        found = as_arrays(found, len(space.problem.cohort.subjects))
    return found


def as_arrays(weights: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Every weight for each subject [N]."""
    return {k: jnp.broadcast_to(jnp.asarray(w, float), (n,)) for k, w in weights.items()}


def _chosen(names: tuple[str, ...], phi: np.ndarray, a: np.ndarray, s: np.ndarray, old: Mapping[str, Any]) -> dict[str, float]:
    mean = {n: float(np.mean(old[n])) for n in names}
    return {n: best_weight(phi[:, :, j], a[:, :, j], np.log(s[:, :, j]), mean[n]) for j, n in enumerate(names)}


class _Compiled:
    """What a pilot's draws are looked at with, compiled once a space; `names` are those of each site, known after the first call of `effects`.

    effects(z [S, D], old, new): (phi, a, s [S, n, k]) of each site in coordinates `new`, given the effects before each in their order.
    recentred(z [S, D], old, new): the draws in coordinates `new`.
    """

    def __init__(self, space: Space):
        self.space, self.names = space, ()
        _ = space.latent  # made outside what is compiled
        self.effects = jax.jit(lambda z, old, new: jax.lax.map(lambda one: self._effects(one, old, new), z))
        self.recentred = jax.jit(lambda z, old, new: jax.lax.map(lambda one: recentred(space, one, old, new), z))

    @classmethod
    def of(cls, space: Space) -> _Compiled:
        """Those of this space, made on first use and kept with it."""
        if "_settling" not in space.__dict__:
            space.__dict__["_settling"] = cls(space)
        return space.__dict__["_settling"]

    def _effects(self, z: Any, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Any]:
        found, n = drawn(self.space, z, old), len(self.space.problem.cohort.subjects)
        self.names: tuple[tuple[str, ...], ...] = tuple(d.names for d in found)
        laws = [PartlyCentred(d.law.m, d.law.omega, d.law.chol, stacked(usable(self.space, new), d.names, n)) for d in found]
        return [(d.phi, *law.conditional(d.phi)) for d, law in zip(found, laws, strict=True)]


def settled(space: Space, geometry: Geometry, z: np.ndarray) -> Geometry | None:
    """Geometry from a pilot's draws z [S, D]: weights from them, and the Fisher information at the draw nearest their middle in those coordinates.

    A middle by coordinates need be no place of the posterior, a draw is one. None where it has no information to give.
    """
    weights = settled_weights(space, z, geometry.weights)
    moved = np.asarray(_Compiled.of(space).recentred(z, dict(geometry.weights), weights))
    moved = moved[np.isfinite(moved).all(1)]
    if not len(moved):
        return None
    away = (moved - np.median(moved, 0)) / (moved.std(0) + 1e-12)
    return geometry_at(space, jnp.asarray(moved[np.argmin((away**2).sum(1))]), weights, "the middle of a pilot's draws")
