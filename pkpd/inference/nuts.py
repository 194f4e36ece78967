"""One chain of NUTS as two compiled steps: warm-up (step size and metric adapt) and sampling. The kernel is BlackJAX's.

The state that travels is a plain pytree, so a chain can be stopped, stored and resumed between chunks, and every chain reuses one compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp

from pkpd.inference import metric

CHUNK = 25


class Walk(NamedTuple):
    """A chain between two draws: NUTS state, key, dual-averaging terms, running moments of the current window, and the root of the covariance
    in use."""

    state: Any
    key: Any
    log_step: Any
    log_step_mean: Any
    error: Any
    count: Any
    seen: Any
    mean: Any
    scatter: Any
    root: Any


class Info(NamedTuple):
    """What is kept of each draw."""

    position: Any
    potential: Any
    energy: Any
    n_steps: Any
    acceptance: Any
    diverging: Any
    failed: Any
    """Diverging because there is no density where the trajectory ended, as where equations cannot be solved."""


def build(log_density: Callable, target_accept: float, max_depth: int, common: int | None = None) -> tuple[Callable, Callable, Callable]:
    """begin(key, u) -> Walk; advance(walk, adapt) -> (Walk, Info) over CHUNK draws; refresh(walk) -> Walk with the metric of its window.

    The metric is dense, or where `common` is given a block of that many coordinates and a diagonal for the rest.
    """
    kernel = blackjax.nuts.build_kernel()

    def one(carry: tuple[Walk, Any], _: Any) -> tuple[tuple[Walk, Any], Info]:
        walk, adapt = carry
        key, now = jax.random.split(walk.key)
        step = jnp.where(adapt, jnp.exp(walk.log_step), jnp.exp(walk.log_step_mean))
        state, info = kernel(now, walk.state, log_density, step, metric.for_nuts(walk.root), max_num_doublings=max_depth)
        ends = info.trajectory_leftmost_state.logdensity, info.trajectory_rightmost_state.logdensity
        failed = info.is_divergent & ~(jnp.isfinite(ends[0]) & jnp.isfinite(ends[1]))
        told = info.energy, info.num_integration_steps, info.acceptance_rate, info.is_divergent, failed
        kept = Info(state.position, -state.logdensity, *told)
        moved = walk._replace(state=state, key=key)
        tuned = moments(average(moved, jnp.nan_to_num(info.acceptance_rate), target_accept), state.position)
        return (jax.tree.map(lambda a, b: jnp.where(adapt, a, b), tuned, moved), adapt), kept

    def advance(walk: Walk, adapt: Any) -> tuple[Walk, Info]:
        (walk, _), info = jax.lax.scan(one, (walk, adapt), None, length=CHUNK)
        return walk, info

    begin = jax.jit(lambda key, u: walk_from(blackjax.nuts.init(u, log_density), key, common))
    return begin, jax.jit(advance), jax.jit(refresh)


def walk_from(state: Any, key: Any, common: int | None = None) -> Walk:
    """A walk that begins at a state, with a step of 0.3 and the identity as metric."""
    d, zero, start = state.position.shape[0], jnp.zeros(()), jnp.log(0.3) * jnp.ones(())
    return Walk(state, key, start, start, zero, zero, zero, jnp.zeros(d), metric.nothing(d, common), metric.identity(d, common))


def average(walk: Walk, acceptance: Any, target: float) -> Walk:
    """Dual averaging (Hoffman & Gelman 2014, section 3.2; gamma 0.05, t0 10, kappa 0.75), drawn towards ten times the first step."""
    count = walk.count + 1.0
    error = (1.0 - 1.0 / (count + 10.0)) * walk.error + (target - acceptance) / (count + 10.0)
    log_step = jnp.log(3.0) - jnp.sqrt(count) / 0.05 * error
    fade = count**-0.75
    return walk._replace(log_step=log_step, log_step_mean=fade * log_step + (1.0 - fade) * walk.log_step_mean, error=error, count=count)


def moments(walk: Walk, u: Any) -> Walk:
    """Welford's running mean and scatter."""
    seen = walk.seen + 1.0
    away = u - walk.mean
    mean = walk.mean + away / seen
    scatter = jax.tree.map(jnp.add, walk.scatter, metric.outer(away, u - mean, walk.scatter))
    return walk._replace(seen=seen, mean=mean, scatter=scatter)


def refresh(walk: Walk) -> Walk:
    """Take the root of the window's covariance as metric, shrunk towards the identity (the Fisher metric, in whitened coordinates)."""
    zero, step = jnp.zeros(()), walk.log_step_mean
    return walk._replace(
        root=metric.root(metric.shrunk(walk.scatter, walk.seen)),
        seen=zero,
        mean=jnp.zeros_like(walk.mean),
        scatter=jax.tree.map(jnp.zeros_like, walk.scatter),
        log_step=step,
        error=zero,
        count=zero,
    )
