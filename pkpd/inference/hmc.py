"""One chain of Hamiltonian Monte Carlo with trajectories of random length: as `nuts`, without a tree.

In coordinates u that are nearly standard normal a direction comes back after a time of 2 pi, and the autocorrelation of one draw to the next is

    E cos(t) = sin(2 T) / (2 T),      t ~ U(0, 2 T),

least (-0.22) at T = 2.25, and 0.35 for a direction twice as wide as the metric says; that of squares is 0.52. So the length needs no
tree to be found once the metric is right, and a draw takes about 2.25 / step gradients, all of them used. Where the posterior is far from normal NUTS
finds lengths that no one number gives. Source: Neal 2011, Handbook of MCMC, 5.4 (random lengths); Hoffman, Radul & Sountsov 2021, AISTATS (uniform ones).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pkpd.inference.metric import times, transposed
from pkpd.inference.nuts import CHUNK, Info, Walk, average, moments, refresh, walk_from

LENGTH = 2.25
"""Mean length of a trajectory, in the coordinates of the metric."""
TOO_FAR = 1000.0
"""Error of the energy from which a draw counts as diverging, as in NUTS."""


class State(NamedTuple):
    """Position u[D], log density and its gradient."""

    position: Any
    logdensity: Any
    logdensity_grad: Any


class Chance(NamedTuple):
    """What is left to chance in a draw: the momentum [D], the length and the acceptance, both in [0, 1)."""

    momentum: Any
    length: Any
    accept: Any


def chances(key: Any, like: Any) -> Chance:
    """Of CHUNK draws at once: a call of the generator costs as much as several gradients of a small posterior."""
    of_momentum, of_rest = jax.random.split(key)
    rest = jax.random.uniform(of_rest, (2, CHUNK), like.dtype)
    return Chance(jax.random.normal(of_momentum, (CHUNK, *like.shape), like.dtype), rest[0], rest[1])


def build(log_density: Callable, target_accept: float, max_depth: int, common: int | None = None) -> tuple[Callable, Callable, Callable]:
    """begin(key, u) -> Walk; advance(walk, adapt) -> (Walk, Info) over CHUNK draws; refresh(walk); `common` as in `nuts`.

    A trajectory has at most 2^max_depth - 1 steps.
    """
    value_grad, most = jax.value_and_grad(log_density), 2**max_depth - 1

    def one(carry: tuple[Walk, Any], chance: Chance) -> tuple[tuple[Walk, Any], Info]:
        walk, adapt = carry
        step = jnp.where(adapt, jnp.exp(walk.log_step), jnp.exp(walk.log_step_mean))
        state, energy, n, error, lost = _trajectory(value_grad, walk.state, walk.root, step, most, chance)
        acceptance = jnp.exp(jnp.minimum(-error, 0.0))
        kept = Info(state.position, -state.logdensity, energy, n, acceptance, error > TOO_FAR, (error > TOO_FAR) & lost)
        moved = walk._replace(state=state)
        tuned = lambda w: moments(average(w, acceptance, target_accept), state.position)  # noqa: E731
        return (jax.lax.cond(adapt, tuned, lambda w: w, moved), adapt), kept

    def advance(walk: Walk, adapt: Any) -> tuple[Walk, Info]:
        key, now = jax.random.split(walk.key)
        (walk, _), info = jax.lax.scan(one, (walk._replace(key=key), adapt), chances(now, walk.state.position))
        return walk, info

    begin = jax.jit(lambda key, u: walk_from(State(u, *value_grad(u)), key, common))
    return begin, jax.jit(advance), jax.jit(refresh)


def _trajectory(value_grad: Callable, state: State, r: Any, step: Any, most: int, chance: Chance) -> tuple[State, Any, Any, Any, Any]:
    """The next state, its energy, the steps taken, the error of the energy at the end, whether it met no density before it diverged.

    r is the root R, covariance R R'. A fall of the log density by more than the first energy and `TOO_FAR` is a divergence, whatever comes after it.
    """
    momentum = chance.momentum
    n = jnp.clip(jnp.ceil(2.0 * LENGTH * chance.length / step), 1, most).astype(int)
    before = 0.5 * momentum @ momentum - state.logdensity

    def leap(_: Any, at: tuple[State, Any, Any, Any]) -> tuple[State, Any, Any, Any]:
        now, p, force, fallen = at
        p = p + 0.5 * step * force
        u = now.position + step * times(r, p)
        there = State(u, *value_grad(u))
        force = transposed(r, there.logdensity_grad)
        return there, p + 0.5 * step * force, force, fallen | (-there.logdensity > before + TOO_FAR)

    begin = state, momentum, transposed(r, state.logdensity_grad), jnp.array(False)
    end, last, _, fallen = jax.lax.fori_loop(0, n, leap, begin)
    after = 0.5 * last @ last - end.logdensity
    error = jnp.nan_to_num(after - before, nan=jnp.inf, posinf=jnp.inf)  # no density there: refused, and diverged
    taken = -jnp.log(chance.accept) > error
    state = jax.tree.map(lambda new, old: jnp.where(taken, new, old), end, state)
    return state, jnp.where(taken, after, before), n, error, ~(jnp.isfinite(end.logdensity) | fallen)
