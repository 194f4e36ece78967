"""Kernels that were tried beside NUTS and HMC, in the same coordinates: `python docs/validation/other_samplers.py theophylline flagship`.

Adjusted MCLMC (microcanonical Langevin with a Metropolis step; Robnik, De Luca, Silverstein & Seljak 2023; BlackJAX's), trajectories of a random number of
steps around L, the step tuned to an acceptance of 0.9, each step two gradients. 4 chains of 500 draws after a run of 500, in a pilot's coordinates;
effective draws as in sampling.py, gradients those of the draws. HMC beside it, whose metric adapts further. One line a setting in other_samplers.csv.
"""

import sys
from pathlib import Path

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from piloted import keep, piloted

from pkpd.inference import hmc

TABLE = Path(__file__).parent / "other_samplers.csv"
CHAINS, DRAWS, ACCEPTANCE = 4, 500, 0.9
LENGTHS = (1.0, 2.0, 3.0, 4.0)  # L in units of sqrt(D)


def mclmc(log_density, d: int):
    """advance(key, u, step, steps) -> (u [DRAWS, D], acceptance) of one chain, `steps` the mean number of them."""
    kernel = blackjax.adjusted_mclmc_dynamic.build_kernel(integration_steps_fn=lambda key, most: jax.random.randint(key, (), 1, most))

    def advance(key, u, step, steps):
        first, rest = jax.random.split(key)
        state = blackjax.adjusted_mclmc_dynamic.init(u, log_density, first)

        def one(state, key):
            state, info = kernel(key, state, log_density, step, integration_steps_params=((2 * steps).astype(int),))
            return state, (state.position, info.acceptance_rate)

        _, (position, accepted) = jax.lax.scan(one, state, jax.random.split(rest, DRAWS))
        return position, accepted

    return jax.jit(advance)


def tuned(advance, u, length: float) -> float:
    """The step at which ACCEPTANCE is met, by bisection on its logarithm over short looks at one chain."""
    low, high = np.log(0.05), np.log(30.0)
    for i in range(9):
        step = np.exp(0.5 * (low + high))
        steps = jnp.asarray(max(1.0, length / step))
        accepted = float(np.nanmean(np.nan_to_num(np.asarray(advance(jax.random.key(i), u, step, steps)[1]))))
        low, high = (np.log(step), high) if accepted > ACCEPTANCE else (low, np.log(step))
    return float(np.exp(low))


def lines(name: str) -> list[dict]:
    at = piloted(name)
    size, u = at.kernel.size, 0.3 * jax.random.normal(jax.random.key(1), (CHAINS, at.kernel.size))

    def told(way: str, draws: np.ndarray, gradients: float, accepted: float) -> dict:
        line = at.told(way, at.posterior(draws), gradients, acceptance=round(accepted, 3))
        print(line, flush=True)
        return line

    found, advance = [], mclmc(at.density(), size)
    for c in LENGTHS:
        length = c * np.sqrt(size)
        step = tuned(advance, u[0], length)
        steps = jnp.asarray(max(1.0, length / step))
        begun = [advance(jax.random.key(100 + i), u[i], step, steps)[0][-1] for i in range(CHAINS)]  # a run to leave the start
        runs = [advance(jax.random.key(200 + i), begun[i], step, steps) for i in range(CHAINS)]
        draws, accepted = np.stack([np.asarray(r[0]) for r in runs]), float(np.mean([np.asarray(r[1]).mean() for r in runs]))
        found.append(told(f"adjusted MCLMC, L = {c:g} sqrt(D), step {step:.2g}", draws, 2 * float(steps), accepted))
    ours, v = at.hmc(draws=DRAWS)
    accepted, steps = (float(ours.stats[n].mean()) for n in ("acceptance_rate", "n_steps"))
    return [*found, told(f"HMC, mean length {hmc.LENGTH:g}", v, steps, accepted)]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    keep(TABLE, sys.argv[1:], lines)
