"""One chain whose transitions are NumPyro's NUTS: as `nuts`, another program's walk over the same density, to check one against the other.

NumPyro adapts nothing here: step and metric are those of every kernel's warm-up. Each draw begins at w = 0 of u = here + R w, R the root of the covariance, so
that NumPyro's unit metric is ours and no covariance is formed. A trajectory's ends are not told by it: where there was no density counts as diverging only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from pkpd.inference.hmc import State
from pkpd.inference.metric import times, transposed, untransposed
from pkpd.inference.nuts import CHUNK, Info, Walk, average, moments, refresh, walk_from

UNTUNED = {"num_warmup": 0, "adapt_step_size": False, "adapt_mass_matrix": False}


def build(log_density: Callable, target_accept: float, max_depth: int, common: int | None = None) -> tuple[Callable, Callable, Callable]:
    """begin(key, u) -> Walk; advance(walk, adapt) -> (Walk, Info) over CHUNK draws; refresh(walk); `common` as in `nuts`."""

    def one(carry: tuple[Walk, Any], _: Any) -> tuple[tuple[Walk, Any], Info]:
        walk, adapt = carry
        key, now = jax.random.split(walk.key)
        step = jnp.where(adapt, jnp.exp(walk.log_step), jnp.exp(walk.log_step_mean))
        state, told = _transition(log_density, walk, now, step, max_depth)
        kept = Info(state.position, -state.logdensity, told.energy, told.num_steps, told.accept_prob, told.diverging, jnp.array(False))
        moved = walk._replace(state=state, key=key)
        tuned = moments(average(moved, jnp.nan_to_num(told.accept_prob), target_accept), state.position)
        return (jax.tree.map(lambda a, b: jnp.where(adapt, a, b), tuned, moved), adapt), kept

    def advance(walk: Walk, adapt: Any) -> tuple[Walk, Info]:
        (walk, _), info = jax.lax.scan(one, (walk, adapt), None, length=CHUNK)
        return walk, info

    begin = jax.jit(lambda key, u: walk_from(State(u, *jax.value_and_grad(log_density)(u)), key, common))
    return begin, jax.jit(advance), jax.jit(refresh)


def _transition(log_density: Callable, walk: Walk, key: Any, step: Any, max_depth: int) -> tuple[State, Any]:
    """The next state, and NumPyro's record of how it came there."""
    here, value, slope = walk.state
    init, draw = hmc(potential_fn_gen=lambda here, r: lambda w: -log_density(here + times(r, w)), algo="NUTS")
    begin = ParamInfo(jnp.zeros_like(here), -value, -transposed(walk.root, slope))
    at = {"model_args": (here, walk.root)}
    told = draw(init(begin, step_size=step, max_tree_depth=max_depth, rng_key=key, **UNTUNED, **at), **at)
    return State(here + times(walk.root, told.z), -told.potential_energy, -untransposed(walk.root, told.z_grad)), told
