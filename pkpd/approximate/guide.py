"""A normal guide fitted by stochastic ascent of its evidence lower bound, from gradients of the target alone.

    E[log p(v) - log q(v)],  v = c + R (m + T e),  e ~ N(0, 1):   T lower triangular for up to `FULL` unknowns, else diagonal plus `RANK` columns

c and R are those of a law that is near already, so that m = 0 and T = 1 is where the ascent begins. Source: Kingma & Welling 2014 (reparametrised gradients);
Kucukelbir et al. 2017, JMLR 18:14 (ADVI); Ong, Nott & Smith 2018, J Comput Graph Stat 27:465 (low rank).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pkpd.approximate.laws import Law
from pkpd.approximate.target import Integrated, Target

FULL, RANK, EACH, RATE = 64, 10, 8, 0.03
"""Unknowns up to which the covariance is kept in full; columns beyond the diagonal above; draws a step; first step size of Adam."""
RISE = 0.3
"""Rise of the bound over the last quarter of the steps that counts as unfinished, in nats, where it also exceeds three standard errors."""


@dataclass(frozen=True, eq=False)
class Ascent:
    """The fitted law, the evidence lower bound at every step (its mean over few draws), and draws that had no density."""

    law: Law
    trace: np.ndarray
    failed: int

    @property
    def rise(self) -> tuple[float, float]:
        """How much higher the bound was in the last quarter than in the one before, and the standard error of that."""
        third, last = np.array_split(self.trace[np.isfinite(self.trace)], 4)[2:]
        error = np.sqrt(third.var(ddof=1) / len(third) + last.var(ddof=1) / len(last))
        return float(last.mean() - third.mean()), float(error)

    @property
    def settled(self) -> bool:
        """Whether the bound has stopped rising."""
        rise, error = self.rise
        return not rise > max(RISE, 3.0 * error)


def begin(size: int) -> dict[str, Any]:
    """The guide at its start."""
    if size <= FULL:
        return {"m": jnp.zeros(size), "t": jnp.zeros((size, size))}
    return {"m": jnp.zeros(size), "d": jnp.zeros(size), "f": jnp.zeros((size, RANK)).at[np.arange(size), np.arange(size) % RANK].set(1e-3)}


def covariance_root(p: dict[str, Any]) -> Any:
    """T: of the full guide, or the Cholesky factor of diag(d^2) + f f'."""
    if "t" in p:
        return jnp.tril(p["t"], -1) + jnp.diag(jnp.exp(jnp.diagonal(p["t"])))
    return jnp.linalg.cholesky(jnp.diag(jnp.exp(2.0 * p["d"])) + p["f"] @ p["f"].T)


def _placed(p: dict[str, Any], noise: Any) -> tuple[Any, Any]:
    """m + T e [S, D] and ln |T|."""
    root = covariance_root(p)
    return p["m"] + noise @ root.T, jnp.sum(jnp.log(jnp.diagonal(root)))


def ascend(target: Target | Integrated, near: Law, steps: int, key: Any) -> Ascent:
    """`steps` of Adam with a cosine rate; the guide is the mean over the last quarter of them."""
    params, size = begin(target.size), target.size
    rule = optax.adam(optax.cosine_decay_schedule(RATE, steps, 0.05))
    state, trace, failed, kept = rule.init(params), [], 0, []

    @jax.jit
    def pulled(p: Any, noise: Any, slope: Any, state: Any) -> Any:
        """The guide after a step against the slopes [S, D] of -log density, and the entropy's pull on T."""
        _, back = jax.vjp(lambda q: _placed(q, noise), p)
        update, state = rule.update(back((slope, -jnp.ones(())))[0], state)
        return optax.apply_updates(p, update), state

    place = jax.jit(_placed)
    for k, one in enumerate(jax.random.split(key, steps)):
        noise = jax.random.normal(one, (EACH, size))
        at, log_size = place(params, noise)
        value, slope = _slopes(target, near, np.asarray(at))
        good = np.isfinite(value)
        failed += int((~good).sum())
        if not good.any():
            trace.append(np.nan)
            continue
        trace.append(float(np.mean(0.5 * np.sum(np.asarray(noise)[good] ** 2, 1) - value[good])) + float(log_size) + near.log_size)
        params, state = pulled(params, noise, jnp.asarray(slope / good.sum()), state)
        kept += [params] if k >= steps - steps // 4 else []
    mean = jax.tree.map(lambda *x: jnp.mean(jnp.stack(x), 0), *kept) if kept else params
    law = Law(near.centre + near.root @ np.asarray(mean["m"]), near.root @ np.asarray(covariance_root(mean)))
    return Ascent(law, np.array(trace), failed)


def _slopes(target: Target | Integrated, near: Law, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-log density [S] at centre + root x of each x, and its slope in x [S, D]; both 0 weight (NaN, zeros) where there is none."""
    value, slope = target.slopes(near.draw(at))
    good = np.isfinite(value) & np.all(np.isfinite(slope), 1)
    return np.where(good, value, np.nan), np.where(good[:, None], slope, 0.0) @ near.root
