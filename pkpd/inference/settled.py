"""Centring weights and metric from a pilot run: which coordinates make the posterior most nearly normal.

Weights chosen at the mode take each spread at its prior median, and centre what the data inform there; where the posterior reaches small spreads those
coordinates end in a funnel. From a pilot's draws of each effect phi_i, its mean a_i and spread s given the effects before it, the weight is the one
whose raw_i has the least divergence from a normal law,

    J(w) = sum_i 1/2 log Var(raw_i(w) | a_i, log s) - (w - 1) E log s,      raw_i = w a_i + s^(w - 1) (phi_i - a_i)

(Var | is what is left after linear regression, which the metric takes out). Idea: Gorinova, Moore & Hoffman 2020, ICML (automatic reparameterisation).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.inference.geometry import Geometry, geometry_at
from pkpd.inference.recentre import drawn, recentred, stacked, usable
from pkpd.inference.space import Space
from pkpd.population.partly_centred import PartlyCentred

GRID = np.linspace(0.0, 1.0, 21)


def divergence(raw: np.ndarray, a: np.ndarray, log_s: np.ndarray, w: float) -> float:
    """J of one weight; raw, a [draws, n], log_s [draws, n] or [draws, 1].

    A spread known exactly leaves nothing to choose between the weights:

    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> flat = np.zeros((1000, 1))
    >>> bool(abs(divergence(x, 0 * x, flat, 0.0) - divergence(x, 0 * x, flat, 1.0)) < 1e-12)
    True
    """
    log_s = np.broadcast_to(log_s, raw.shape)
    total = 0.0
    for i in range(raw.shape[1]):
        columns = np.stack([np.ones(len(raw)), a[:, i], log_s[:, i]], 1)
        left = raw[:, i] - columns @ np.linalg.lstsq(columns, raw[:, i], rcond=None)[0]
        total += 0.5 * np.log(np.mean(left**2) + 1e-300) - (w - 1.0) * log_s[:, i].mean()
    return float(total)


def best_weight(phi: np.ndarray, a: np.ndarray, log_s: np.ndarray) -> float:
    """The weight of the grid with the least divergence."""
    values = [divergence(w * a + np.exp((w - 1.0) * log_s) * (phi - a), a, log_s, w) for w in GRID]
    return float(GRID[int(np.argmin(values))])


def settled_weights(space: Space, z: np.ndarray, old: Mapping[str, Any]) -> dict[str, Any]:
    """Weights [n] of every varying parameter from draws z [S, D] in coordinates of the weights `old`; those the user gave are kept."""
    parameters = space.problem.population.parameters
    free = {n for n in old if parameters[n].centred is None and parameters[n].shape is None}
    found = dict(old)
    for names, phi, a, s in _effects(space, z, old, old):
        found |= {n: w for n, w in _chosen(names, phi, a, s).items() if n in free}
    for names, phi, a, s in _effects(space, z, old, found):  # in the order these weights put the effects in
        found |= {n: w for n, w in _chosen(names, phi, a, s).items() if n in free}
    n = len(space.problem.cohort.subjects)
    return {k: jnp.broadcast_to(jnp.asarray(w, float), (n,)) for k, w in found.items()}


def _chosen(names: tuple[str, ...], phi: np.ndarray, a: np.ndarray, s: np.ndarray) -> dict[str, float]:
    return {n: best_weight(phi[:, :, j], a[:, :, j], np.log(s[:, :, j])) for j, n in enumerate(names)}


def _effects(space: Space, z: np.ndarray, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Any]:
    """(names, phi, a, s [S, n, k]) of each site, given the effects before each in the order of the weights `new`."""
    names: list[tuple[str, ...]] = []
    _ = space.latent  # made outside what is compiled

    def one(z: Any) -> list[Any]:
        found, n = drawn(space, z, old), len(space.problem.cohort.subjects)
        names[:] = [d.names for d in found]
        laws = [PartlyCentred(d.law.m, d.law.omega, d.law.chol, stacked(usable(space, new), d.names, n)) for d in found]
        return [(d.phi, *law.conditional(d.phi)) for d, law in zip(found, laws, strict=True)]

    values = jax.jit(lambda x: jax.lax.map(one, x))(jnp.asarray(z))
    return [(n, *map(np.asarray, v)) for n, v in zip(names, values, strict=True)]


def settled(space: Space, geometry: Geometry, z: np.ndarray) -> Geometry:
    """Geometry from a pilot's draws z [S, D]: weights from them, and the Fisher information at their middle in those coordinates."""
    weights = settled_weights(space, z, geometry.weights)
    moved = jax.jit(lambda x: jax.lax.map(lambda one: recentred(space, one, geometry.weights, weights), x))(jnp.asarray(z))
    return geometry_at(space, jnp.median(moved, axis=0), weights)
