"""-2 log likelihood of each subject with its random effects integrated out, by five approximations.

With l(u) = -log p(y_i | u) + u'u / 2, u_i* its minimum, r = (x - f) / s the residuals of normal rows, a = ds_f/du / s and b = d ln s / du:

    FO       x ~ N(f(0) + F u, s(0)^2), F = df/du at 0: exact for this linear model
    FOCE     2 l(u*) + log |1 + a'a|,           s held at s(0) in l and in a
    FOCEI    2 l(u*) + log |1 + a'a + 2 b'b|
    Laplace  2 l(u*) + log |l''(u*)|
    exact    adaptive Gauss-Hermite quadrature around u* in the coordinates of l''(u*)

Constants n ln 2 pi of normal rows are left out, as NONMEM does. Source: Wang 2007, J Pharmacokinet Pharmacodyn 34:575; Pinheiro & Bates 1995 (quadrature).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.approximate.mode import Mode, find_mode
from pkpd.approximate.rows import INDEPENDENT, SubjectRows
from pkpd.approximate.slopes import forward, stencil
from pkpd.errors import FitError, choices

METHODS = ("FO", "FOCE", "FOCEI", "Laplace", "exact")
MOST_EFFECTS = 3
_held = jax.lax.stop_gradient
Slopes = Callable[[Callable[[Any], Any], Any], tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Marginal:
    """One method on the rows of a problem; `nodes` a random effect for "exact". Raises `FitError` where the method cannot be used."""

    rows: SubjectRows
    method: str
    nodes: int = 9

    def __post_init__(self) -> None:
        rows, name = self.rows, self.rows.problem.name
        if self.method not in METHODS:
            raise FitError(f"{name}: method '{self.method}' is not known. {choices(self.method, METHODS)}")
        if self.linear and not rows.normal:
            raise FitError(f"{name}: {self.method} {_why_not_linear(rows)} Use method='Laplace'.")
        if self.method == "exact" and rows.shape[1] > MOST_EFFECTS:
            raise FitError(
                f"{name}: method='exact' takes up to {MOST_EFFECTS} random effects a subject, and there are {rows.shape[1]}; the points grow as nodes^K. "
                "Use method='Laplace'."
            )

    @property
    def linear(self) -> bool:
        return self.method in ("FO", "FOCE", "FOCEI")

    @property
    def interaction(self) -> bool:
        """Whether the residual spread follows the random effects."""
        return self.method not in ("FO", "FOCE")

    def moments(self, population: Mapping[str, Any]) -> Callable[[Any], tuple[Any, Any]]:
        """u -> mean and sd of the rows; without interaction the sd is that at u = 0."""
        if self.interaction:
            return lambda u: self.rows.moments(population, u)
        scale = self.rows.moments(population, jnp.zeros(self.rows.shape))[1]
        return lambda u: (self.rows.moments(population, u)[0], scale)

    def normal_energy(self, moments: Callable, u: Any, slopes: Slopes = forward) -> tuple[Any, Any, Any]:
        """l [N], its gradient [N, K] and its expected curvature 1 + a'a + 2 b'b [N, K, K] for normal rows."""
        (mean, sd), (d_mean, d_sd) = slopes(moments, u)
        r, a, b = (self.rows.x - mean) / sd, d_mean / sd, d_sd / sd
        value = self.rows.add(0.5 * r**2 + jnp.log(sd)) + 0.5 * jnp.sum(u**2, 1) + 0.5 * self.rows.jacobian
        gradient = self.rows.add(-r * a + (1.0 - r**2) * b).T + u
        outer = lambda x: x[:, None] * x[None]  # noqa: E731
        return value, gradient, jnp.eye(u.shape[1]) + jnp.moveaxis(self.rows.add(outer(a) + 2.0 * outer(b)), -1, 0)

    def energy(self, population: Mapping[str, Any], u: Any) -> Any:
        """l [N] under any law of the rows, without the constant."""
        law = self.rows.law(population, u)
        likelihood = self.rows.add(law.log_prob(jnp.asarray(self.rows.problem.rows.dv)))
        return 0.5 * jnp.sum(u**2, 1) - likelihood - 0.5 * self.rows.constant(law)

    def gradient(self, population: Mapping[str, Any], u: Any) -> Any:
        """dl/du [N, K]."""
        if self.rows.normal:
            moments = self.moments(population)
            return self.normal_energy(moments, u, forward if self.rows.twice else stencil)[1]
        if self.rows.twice:
            return jax.grad(lambda u: jnp.sum(self.energy(population, u)))(u)
        return stencil(lambda u: self.energy(population, u), u)[1].T

    def curvature(self, population: Mapping[str, Any], u: Any) -> Any:
        """l'' [N, K, K]."""
        if self.rows.twice:
            found = forward(lambda u: self.gradient(population, u), u)[1]
        elif self.rows.normal:  # one difference of first derivatives, not two
            moments = self.moments(population)
            found = stencil(lambda u: self.normal_energy(moments, u)[1], u)[1]
        else:
            found = stencil(lambda u: jax.grad(lambda u: jnp.sum(self.energy(population, u)))(u), u)[1]
        return _symmetric(jnp.swapaxes(found, 0, 1))

    def mode(self, population: Mapping[str, Any], start: Any) -> Mode:
        """u* of every subject."""
        if self.rows.normal:
            moments = self.moments(population)
            return find_mode(lambda u: self.normal_energy(moments, u), start)

        def energy(u: Any) -> tuple[Any, Any, Any]:
            value, back = jax.vjp(lambda u: self.energy(population, u), u)
            return value, back(jnp.ones_like(value))[0], bent_up(self.curvature(population, u))

        return find_mode(energy, start)

    def moved(self, population: Mapping[str, Any], mode: Any) -> Any:
        """The mode with its derivative in the population.

        u* moves with the population so that l'(u*) stays 0 (implicit functions): one Newton step from the mode has that derivative.
        """
        held = _held(mode)
        pull = _held(self.curvature({n: _held(x) for n, x in population.items()}, held))
        return held - jnp.linalg.solve(pull, self.gradient(population, held)[..., None])[..., 0]

    def at(self, population: Mapping[str, Any], u: Any, curvature: Any = None, derived: bool = False) -> Any:
        """The objective of each subject [N] with its mode u [N, K]; `curvature` is l'' there, where it is known already; `derived`: it will be
        differentiated.
        """
        slopes = stencil if derived and not self.rows.twice else forward
        if self.method == "FO":
            return self._first_order(population, slopes)
        if self.linear:
            value, _, expected = self.normal_energy(self.moments(population), u, slopes)
            return 2.0 * value + log_determinant(expected)
        curvature = self.curvature(population, u) if curvature is None else curvature
        if self.method == "Laplace":
            return 2.0 * self.energy(population, u) + log_determinant(curvature)
        return self._quadrature(population, u, curvature)

    def _first_order(self, population: Mapping[str, Any], slopes: Slopes) -> Any:
        value, gradient, expected = self.normal_energy(self.moments(population), jnp.zeros(self.rows.shape), slopes)
        gained = jnp.sum(gradient * jnp.linalg.solve(expected, gradient[..., None])[..., 0], 1)
        return 2.0 * value - gained + log_determinant(expected)

    def _quadrature(self, population: Mapping[str, Any], u: Any, curvature: Any) -> Any:
        width = jnp.linalg.inv(jnp.linalg.cholesky(curvature))  # rows: H^-1 = width' width
        points, weights = hermite(self.nodes, u.shape[1])

        @jax.checkpoint
        def one(point: Any) -> Any:
            return jnp.sum(point**2) - self.energy(population, u + np.sqrt(2.0) * jnp.einsum("k,nkj->nj", point, width))

        terms = jax.lax.map(one, jnp.asarray(points))
        constant = u.shape[1] * np.log(np.pi)
        return log_determinant(curvature) + constant - 2.0 * jax.scipy.special.logsumexp(terms + weights[:, None], axis=0)


def hermite(nodes: int, effects: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [nodes^K, K] and log weights of Gauss-Hermite quadrature in K dimensions."""
    z, w = np.polynomial.hermite.hermgauss(nodes)
    points = np.array(list(itertools.product(z, repeat=effects)))
    return points, np.array([np.sum(np.log(x)) for x in itertools.product(w, repeat=effects)])


def log_determinant(matrix: Any) -> Any:
    """log |M| of positive definite M [..., K, K]; NaN for others."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(matrix), axis1=-2, axis2=-1)), -1)


def _symmetric(m: Any) -> Any:
    return 0.5 * (m + jnp.swapaxes(m, -1, -2))


def bent_up(curvature: Any) -> Any:
    """Positive definite with the same axes: eigenvalues by size, at least a half (the random effects' own curvature is 1)."""
    values, vectors = jnp.linalg.eigh(jnp.where(jnp.isfinite(curvature), curvature, 0.0))
    return (vectors * jnp.maximum(jnp.abs(values), 0.5)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)


def _why_not_linear(rows: SubjectRows) -> str:
    problem = rows.problem
    censored = np.flatnonzero(problem.rows.cens)
    if censored.size:
        name = problem.cohort.subjects[int(rows.subject[censored[0]])]
        return f"linearises a normal residual, and {censored.size} rows are censored (the first: subject {name}), each with a likelihood of its own."
    other = [o for o, law in problem.observations.items() if type(law) not in INDEPENDENT]
    return f"linearises independent normal residuals, and '{other[0]}' has another law ({problem.observations[other[0]].kind})."
