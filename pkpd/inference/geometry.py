"""Where to start and how the posterior is shaped: mode with the spreads held, Fisher information there, centring weights from it.

The joint mode of a hierarchical posterior lies where spreads vanish, so spreads (omega, gamma, tau, degrees of freedom, correlations, a horseshoe) are
held at their prior medians. The information is J' W J + prior curvature, J the Jacobian of every row's mean and log sd, W the curvature of the row's
likelihood in them (for a censored row that of log Phi): no second derivatives of the solver, never indefinite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pkpd.errors import FitError
from pkpd.inference.arrow import LARGE, Blocks, arrow, clipped, layout
from pkpd.inference.centring import chosen
from pkpd.inference.joint import curvature
from pkpd.inference.recentre import recentred
from pkpd.inference.space import Space
from pkpd.inference.start_failure import why_not_finite
from pkpd.population.shrink import of_subjects

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where u = 0 stands z[D], factor L with L L' = inverse information, the centring weights used [N], -log density there, and what place it is.

    Factor and information are [D, D], or an `Arrow` and `Blocks` where there are many coordinates.
    """

    mode: Any
    factor: Any
    weights: dict[str, Any]
    potential: float
    information: Any
    place: str = "the mode with spreads held"
    modes: str = ""
    """What other starts found beside it, in words; empty where there is one mode, or where there was one start."""


def find_geometry(space: Space, report: Report, mode: tuple[Any, float] | None = None) -> Geometry:
    """Mode (spreads held), weights, and metric; weights named by the user are kept, the rest come from the information at the mode.

    The mode is looked for from typical values, unless it is given: z with all effects centred, and -log density there.
    """
    tools = _Tools.of(space)
    weights = space.full_weights
    z, value = descend(tools, space.start(weights), weights, report) if mode is None else mode
    own = _weights(space, tools, z, weights)
    z = recentred(space, z, weights, own)
    z, value = _newton(tools, z, float(tools.value_grad(z, own)[0]), own, 4)
    return there(tools, z, value, own)


def geometry_at(space: Space, z: Any, weights: Mapping[str, Any], place: str) -> Geometry | None:
    """The metric at a point that is not looked for; None where the density or the information there is not finite."""
    tools = _Tools.of(space)
    try:
        return replace(there(tools, z, float(tools.value_grad(z, weights)[0]), dict(weights)), place=place)
    except FitError:
        return None


def there(tools: _Tools, z: Any, value: float, weights: dict[str, Any]) -> Geometry:
    """The metric at a point. Raises `FitError` where there is none."""
    info = tools.information(z, weights)
    factor = tools.factor(info) if all(np.all(np.isfinite(x)) for x in jax.tree.leaves(info)) else None
    if factor is None or not (np.isfinite(value) and all(np.all(np.isfinite(x)) for x in jax.tree.leaves(factor))):
        raise FitError(
            f"{tools.space.problem.name}: the density or the information of the rows is not finite where the sampler would start."
        )
    return Geometry(z, factor, weights, value, info)


class _Tools:
    """Compiled once: value and gradient, information, data information."""

    def __init__(self, space: Space):
        self.space, self.layout = space, layout(space)
        self.large = self.layout.size >= LARGE
        self.held = jnp.asarray(space.held)
        self.subject = space.problem.cohort.observations["subject"].to_numpy(int)[space.problem.rows.index]
        self.value_grad = jax.jit(jax.value_and_grad(space.potential))
        self.data = jax.jit(self._with_summaries if space.problem.summaries else self._data)
        self._prior_curvature = jax.jit(self._prior)

    @classmethod
    def of(cls, space: Space) -> _Tools:
        """Those of this space, made on first use and kept with it."""
        if "_tools" not in space.__dict__:
            space.__dict__["_tools"] = cls(space)
        return space.__dict__["_tools"]

    def _with_summaries(self, z: Any, weights: Mapping[str, Any]) -> Blocks:
        """The rows' information and the summaries'."""
        found, at = self._data(z, weights), np.flatnonzero([not of_subjects(n) for n in self.space.labels()])
        shared = curvature(self.space.summaries, z, at)[np.ix_(self.layout.common, self.layout.common)]
        return found._replace(common=found.common + shared)

    def _data(self, z: Any, weights: Mapping[str, Any]) -> Blocks:
        """J' W J of the rows; where laws are not normal, the scores' outer product (its expectation is the Fisher information too)."""
        if not self.space.problem.plain:
            _, scores = _columns(lambda x: self.space.terms(x, weights), z, self.layout.directions)
            return self._outer(scores, jnp.ones(scores.shape[1]))
        rows = self.space.problem.rows
        (mean, sd), jac = _columns(lambda x: self.space.rows(x, weights), z, self.layout.directions)
        fn = self.space.trace_at(z, weights)["dv"]["fn"]
        score = lambda m: type(fn)(m, sd, rows.logs, rows.cens, rows.lower).log_prob(jnp.asarray(rows.dv))  # noqa: E731
        slope = lambda m: jax.jvp(score, (m,), (jnp.ones_like(m),))[1]  # noqa: E731
        curvature = jnp.maximum(-jax.jvp(slope, (mean,), (jnp.ones_like(mean),))[1], 0.0)
        exact = jnp.asarray(rows.cens == 0)
        of_mean, of_sd = self._outer(jac[0], curvature), self._outer(jac[1] / sd, jnp.where(exact, 2.0, 0.0))
        return jax.tree.map(jnp.add, of_mean, of_sd)

    def _outer(self, jac: Any, weight: Any) -> Blocks:
        """sum over rows of weight J J', from the directions' derivatives [K + q, rows]; each row has its own subject's."""
        k, n = len(self.layout.common), len(self.layout.own)
        common, own = jac[:k], jac[k:]
        summed = lambda x, y: jax.ops.segment_sum(jnp.einsum("jr,kr->rjk", weight * x, y), self.subject, n)  # noqa: E731
        return Blocks((weight * common) @ common.T, summed(own, common), summed(own, own))

    def _prior(self, z: Any, weights: Mapping[str, Any]) -> Blocks:
        """The prior's curvature, by Hessian-vector products in the same directions."""
        slope, k, at = jax.grad(lambda x: self.space.prior(x, weights)), len(self.layout.common), self.layout
        _, columns = _columns(slope, z, at.directions)
        return Blocks(columns[:k][:, at.common], jnp.moveaxis(columns[:k][:, at.own], 0, -1), jnp.moveaxis(columns[k:][:, at.own], 0, -1))

    def information(self, z: Any, weights: Mapping[str, Any]) -> Any:
        """[D, D], or blocks of it where it is large; the prior's part by size where it curves the wrong way."""
        data, prior = (Blocks(*map(np.asarray, f(z, weights))) for f in (self.data, self._prior_curvature))
        if self.large:
            return data + prior._replace(own=clipped(prior.own))
        return data.dense(self.layout) + clipped(prior.dense(self.layout))

    def factor(self, information: Any) -> Any:
        """L of the inverse information L L'; None, or not finite, where there is none."""
        try:
            return (
                arrow(information, self.layout) if self.large else jnp.asarray(np.linalg.inv(np.linalg.cholesky(np.asarray(information))).T)
            )
        except np.linalg.LinAlgError:
            return None

    def solve(self, information: Any, gradient: np.ndarray) -> np.ndarray:
        """The Gauss-Newton direction, spreads held."""
        free = ~np.asarray(self.held)
        if self.large:
            return information.solve(gradient, free, self.layout)
        direction = np.zeros(len(gradient))
        direction[free] = np.linalg.solve(information[np.ix_(free, free)], gradient[free])
        return direction

    def _omega(self, sites: Mapping[str, Any], name: str) -> Any:
        return sites.get(f"omega_{name}", self.space.problem.population.parameters[name].between)


def raw_site(space: Space, name: str) -> tuple[str, tuple]:
    """The sampler's own site of a varying parameter, and where in it the parameter stands: a column of its correlated group, or all of it."""
    for group in space.problem.population.correlation:
        if name in group.names:
            return f"raw_{'_'.join(group.names)}", (slice(None), group.names.index(name))
    return f"raw_{name}", (slice(None),)


def _columns(function: Callable, z: Any, directions: np.ndarray) -> tuple[Any, Any]:
    """Value and derivatives in each direction [directions, rows] by forward mode, a few after another to bound memory."""
    d = len(directions)
    basis = jnp.asarray(np.pad(directions, ((0, -d % 8), (0, 0))))  # whole batches: a remainder would be compiled a second time
    tangents = jax.lax.map(lambda v: jax.jvp(function, (z,), (v,))[1], basis, batch_size=8)
    return function(z), jax.tree.map(lambda x: x[:d], tangents)


def descend(tools: _Tools, z: Any, weights: Mapping[str, Any], report: Report) -> tuple[Any, float]:
    """A few hundred Adam steps from typical values, then Gauss-Newton; spreads held."""
    value, grad = tools.value_grad(z, weights)
    if not np.isfinite(value):
        raise FitError(why_not_finite(tools.space, z, weights))
    rate, state, best, kept = 0.05, ADAM.init(z), float(value), z
    for _ in range(150):
        value, grad = tools.value_grad(z, weights)
        if not (np.isfinite(value) and np.all(np.isfinite(grad))):
            rate, state, z = 0.01, ADAM.init(kept), kept
            continue
        if float(value) < best:
            best, kept = float(value), z
        z, state = _stepped(z, state, grad, tools.held, rate)
    report(f"Adam from typical values: -log density {best:.2f}")
    z, value = _newton(tools, kept, best, weights, 20)
    report(f"Gauss-Newton: -log density {value:.2f}")
    return z, value


ADAM = optax.scale_by_adam()


@jax.jit
def _stepped(z: Any, state: Any, grad: Any, held: Any, rate: Any) -> tuple[Any, Any]:
    """One step of Adam, spreads held."""
    update, state = ADAM.update(jnp.where(held, 0.0, grad), state)
    return z - rate * update, state


def _newton(tools: _Tools, z: Any, value: float, weights: Mapping[str, Any], steps: int) -> tuple[Any, float]:
    for _ in range(steps):
        direction = tools.solve(tools.information(z, weights), np.asarray(tools.value_grad(z, weights)[1]))
        trial, new = _search(tools, z, direction, value, weights)
        gained = value - new
        z, value = trial, new
        if gained < 1e-3:
            break
    return z, value


def _search(tools: _Tools, z: Any, direction: np.ndarray, value: float, weights: Mapping[str, Any]) -> tuple[Any, float]:
    scale = 1.0
    while scale > 1e-3:
        trial = z - scale * direction
        new = float(tools.value_grad(trial, weights)[0])
        if np.isfinite(new) and new < value:
            return trial, new
        scale *= 0.5
    return z, value


def _weights(space: Space, tools: _Tools, z: Any, weights: Mapping[str, Any]) -> dict[str, Any]:
    """w = I / (I + 1/omega^2) [N], I the information of the rows on a subject's own parameter: 1 where data speak, 0 where only the prior does."""
    diagonal = Blocks(*map(np.asarray, tools.data(z, weights))).diagonal(tools.layout)
    labels, sites = np.array(space.labels()), space.constrain(z)
    parameters = space.problem.population.parameters
    found = {}
    for name in space.problem.population.varying:
        site, column = raw_site(space, name)
        own = diagonal[labels == site].reshape(np.shape(sites[site]))[column]
        found[name] = chosen(parameters[name].centred, own, tools._omega(sites, name))
    return found
