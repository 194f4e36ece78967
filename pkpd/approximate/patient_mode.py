"""The posterior of one patient's random effects: mode, curvature, and weighted draws around it, in one compiled program.

    -2 log p(eta | y) = -2 log p(y | eta) + eta' Omega^-1 eta + constant,   eta = S u,  S S' = Omega

Lanes: the first `STARTS` search the mode at the prior's values from several places; then comes one for each draw of the population. Weighted draws:
population d, u ~ t_5(u_d, H_d^-1), weight p(y | u) N(u) / q(u). Source: Le Louedec et al. 2021, CPT:PSP 10:1208 (MAP with its Hessian).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.approximate.marginal import bent_up
from pkpd.approximate.mode import IMPOSSIBLE, Mode, find_mode
from pkpd.approximate.patient_prior import PatientPrior
from pkpd.approximate.slopes import STEP, directions, forward
from pkpd.model.moving import MovingPredictor, Records
from pkpd.noise.measurement import TINY
from pkpd.noise.tails import log_below, log_between, mills

STARTS, DF = 5, 5.0


class Rows(NamedTuple):
    """Scored rows [R], padded: value on the scale where its residual is normal, limits there, what each row is (cens as in the data), and whether it is."""

    x: Any
    lower: Any
    cens: Any
    observable: Any
    kind: Any
    logs: Any
    real: Any


class Population(NamedTuple):
    """Values of the population [L]: typical parameters, Box-Cox shapes, residual parameters, S [L, K, K]."""

    typical: dict[str, Any]
    shapes: dict[str, Any]
    sds: list[list[Any]]
    scale: Any


class Found(NamedTuple):
    """Mode u [K] with its gradient norm, status, objective and curvature [K, K]; draws u [N, K], parameters [N], log weights [N], their eta [N, K]."""

    u: Any
    gradient: Any
    status: Any
    objective: Any
    curvature: Any
    theta: dict[str, Any]
    draws: dict[str, Any]
    eta: Any
    log_weight: Any


@dataclass(frozen=True, eq=False)
class PatientProgram:
    """The compiled search for records of given sizes."""

    prior: PatientPrior
    moving: MovingPredictor

    def moments(self, people: Population, u: Any, records: Records, rows: Rows) -> tuple[Any, Any]:
        """Mean and sd [R, L] of every row on the scale where its residual is normal."""
        eta = jnp.einsum("lij,lj->li", people.scale, u)
        table = self.moving.observables(self.prior.theta(people.typical, eta, people.shapes), records)
        f = table[jnp.arange(len(rows.x)), jnp.asarray(rows.observable)]
        mean, sd = jnp.zeros_like(f), jnp.ones_like(f)
        for i, o in enumerate(self.prior.observed):
            error: Any = self.prior.noise[o]
            here = (rows.kind == i)[:, None]
            m, s = error.mean_sd(jnp.where(here, f, 1.0), people.sds[i])
            mean, sd = jnp.where(here, m, mean), jnp.where(here, s, sd)
        return jnp.where(rows.real[:, None], mean, rows.x[:, None]), jnp.where(rows.real[:, None], sd, 1.0)

    def energy(self, people: Population, u: Any, records: Records, rows: Rows) -> Any:
        """-log p(y | u) + u'u / 2 of each lane [L]."""
        return _energy(rows, u, *self.moments(people, u, records, rows))

    def step(self, people: Population, u: Any, records: Records, rows: Rows) -> tuple[Any, Any, Any]:
        """The energy [L], its gradient [L, K], and the positive definite curvature 1 + sum w dm dm' + v ds ds' [L, K, K] of its rows alone."""
        (mean, sd), (d_mean, d_sd) = forward(lambda u: self.moments(people, u, records, rows), u)
        of_mean, of_sd = jax.grad(lambda m, s: jnp.sum(_energy(rows, u, m, s)), (0, 1))(mean, sd)
        gradient = u + jnp.einsum("rl,krl->lk", of_mean, d_mean) + jnp.einsum("rl,krl->lk", of_sd, d_sd)
        w, v = _bends(rows, mean, sd)
        metric = jnp.einsum("rl,krl,jrl->lkj", w, d_mean, d_mean) + jnp.einsum("rl,krl,jrl->lkj", v, d_sd, d_sd)
        return _energy(rows, u, mean, sd), gradient, jnp.eye(u.shape[1]) + metric

    def curvature(self, people: Population, u: Any, records: Records, rows: Rows) -> Any:
        """Second derivatives of the energy [L, K, K], by differences of fourth order of its gradient: one copy of the equations to compile, whatever K."""
        gradient = lambda v: self.step(people, u + STEP * v, records, rows)[1]  # noqa: E731
        moves = jnp.concatenate([k * directions(u) for k in (1.0, -1.0, 2.0, -2.0)])
        near, back, far, beyond = jnp.split(jax.lax.map(gradient, moves), 4)
        found = jnp.swapaxes(8.0 * (near - back) - (far - beyond), 0, 1) / (12.0 * STEP)
        return 0.5 * (found + jnp.swapaxes(found, -1, -2))

    @cached_property
    def run(self) -> Callable[..., Found]:
        """`run(people, records, rows, t)`, compiled: t [N, K] are draws of Student's t."""
        _ = self.moving.chosen
        return jax.jit(self._search)

    def _search(self, people: Population, records: Records, rows: Rows, t: Any) -> Found:
        records, rows = self.moving.prepared(records), Rows(*map(jnp.asarray, rows))
        lanes, k = people.scale.shape[0], people.scale.shape[1]
        begin = jnp.zeros((lanes, k)).at[1:STARTS].set(jax.random.normal(jax.random.key(0), (STARTS - 1, k)))

        mode = find_mode(lambda u: self.step(people, u, records, rows), begin)
        raw = self.curvature(people, mode.u, records, rows)
        value = self.energy(people, mode.u, records, rows)
        best = jnp.argmin(jnp.where((mode.status[:STARTS] != IMPOSSIBLE) & jnp.isfinite(value[:STARTS]), value[:STARTS], jnp.inf))
        drawn = self._draw(people, mode, bent_up(raw), records, rows, t)
        eta = jnp.einsum("lij,lj->li", people.scale, mode.u)
        theta = {n: jnp.broadcast_to(v, (lanes,))[best] for n, v in self.prior.theta(people.typical, eta, people.shapes).items()}
        return Found(mode.u[best], mode.gradient[best], mode.status[best], 2.0 * value[best], raw[best], theta, *drawn)

    def _draw(self, people: Population, mode: Mode, metric: Any, records: Records, rows: Rows, t: Any) -> tuple[Any, Any, Any]:
        n, k = t.shape
        at = STARTS + jnp.arange(n) % (people.scale.shape[0] - STARTS)
        factor = jnp.linalg.cholesky(metric)[at]  # H = C C', u = mode + C^-T t has scale H^-1
        u = mode.u[at] + jax.scipy.linalg.solve_triangular(factor, t[..., None], trans=1, lower=True)[..., 0]
        own = jax.tree.map(lambda x: x[at], people)
        dense = -0.5 * (DF + k) * jnp.log1p(jnp.sum(t**2, 1) / DF) + jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)), 1)
        weight = -self.energy(own, u, records, rows) - dense
        eta = jnp.einsum("lij,lj->li", own.scale, u)
        theta = self.prior.theta(own.typical, eta, own.shapes)
        return {m: jnp.broadcast_to(v, (n,)) for m, v in theta.items()}, eta, weight


def _energy(rows: Rows, u: Any, mean: Any, sd: Any) -> Any:
    likelihood = jnp.where(jnp.asarray(rows.real)[:, None], row_likelihood(rows, mean, sd), 0.0)
    return 0.5 * jnp.sum(u**2, 1) - jnp.sum(likelihood, 0)


def _bends(rows: Rows, mean: Any, sd: Any) -> tuple[Any, Any]:
    """Expected curvature of each row in its mean and in its sd [R, L]: 1 / s^2 and 2 / s^2; beyond a limit that of log Phi in the mean alone."""
    z = jnp.where((rows.cens == -1)[:, None], -1.0, 1.0) * (rows.x[:, None] - mean) / sd
    exact, real = (rows.cens == 0)[:, None], rows.real[:, None]
    tail = jnp.maximum(mills(z) * (z + mills(z)), 1e-3)
    return jnp.where(real, jnp.where(exact, 1.0, tail) / sd**2, 0.0), jnp.where(real & exact, 2.0 / sd**2, 0.0)


def row_likelihood(rows: Rows, mean: Any, sd: Any) -> Any:
    """log p of each row [R, L]: density, or the probability of lying beyond its limit (M3) or between two."""
    wide = lambda x: jnp.asarray(x)[:, None]  # noqa: E731
    z = (wide(rows.x) - mean) / sd
    jacobian = jnp.where(rows.logs, rows.x, 0.0)
    exact = -0.5 * z**2 - jnp.log(sd) - 0.5 * np.log(2 * np.pi) - wide(jacobian)
    beyond = log_below(jnp.where(wide(rows.cens == 0), 0.0, jnp.where(wide(rows.cens == -1), -z, z)))
    bounded = wide((rows.cens == 1) & jnp.isfinite(rows.lower))
    low = jnp.where(bounded, (jnp.where(bounded, wide(rows.lower), 0.0) - mean) / sd, -1.0)
    between = log_between(low, jnp.where(bounded, z, 1.0))
    return jnp.where(wide(rows.cens == 0), exact, jnp.where(bounded, between, beyond))


def scored(x: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Values on the scale where their residual is normal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(logs, np.log(np.maximum(np.where(logs, x, 1.0), TINY)), x)


def people_of(prior: PatientPrior, covariates: Mapping[str, float], correlated: Callable[[np.ndarray], np.ndarray]) -> Population:
    """The values in the lanes of the program: the central ones `STARTS` times, then the draws."""
    one = {n: np.array([x]) for n, x in prior.values.items()} or {n: np.asarray(x)[:1] for n, x in prior.draws.items()}
    both = {n: np.concatenate([np.repeat(x, STARTS), np.asarray(prior.draws[n], float)]) for n, x in one.items()}
    return Population(prior.typical(covariates, both), prior.shapes(both), prior.sds(both), correlated(prior.omega(both)))
