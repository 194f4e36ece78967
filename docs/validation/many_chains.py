"""Kernels for many chains in one program, 64 of them: `python docs/validation/many_chains.py theophylline two_compartments`.

ChEES-HMC (one trajectory length for all chains, adapted; Hoffman, Radul & Sountsov 2021) and MEADS (generalised HMC, tuned by folds of chains; Hoffman &
Sountsov 2022), both BlackJAX's, beside our HMC with random lengths, in the coordinates of one pilot. 64 chains; ChEES and ours 100 draws after 300 of warm-up,
MEADS, whose draw is one gradient, every tenth of 1000 after 3000. Chains of ChEES begin in 8 groups, all of a group at one place, the others each at its own,
without which MEADS has no variance to go by. Effective draws as in sampling.py, gradients those of the draws; `nested_rhat` (Margossian et al. 2024) is that
of the 8 groups, the largest of the population parameters. Ours adapts a metric for each chain. One line a way in many_chains.csv.
"""

import sys
from pathlib import Path

import arviz_stats
import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from piloted import keep, piloted

TABLE = Path(__file__).parent / "many_chains.csv"
CHAINS, GROUPS, WARMUP, DRAWS, THIN = 64, 8, 300, 100, 10


def walked(kernel, states, count: int, seed: int):
    """(positions [chain, draw, D], what the kernel reported [draw, chain]) of `count` transitions of all chains together."""

    def one(states, key):
        states, info = jax.vmap(kernel)(jax.random.split(key, CHAINS), states)
        return states, (states.position, info.num_integration_steps if hasattr(info, "num_integration_steps") else jnp.ones(CHAINS))

    _, (u, steps) = jax.jit(lambda states: jax.lax.scan(one, states, jax.random.split(jax.random.key(seed), count)))(states)
    return np.moveaxis(np.asarray(u), 0, 1), np.asarray(steps)


def chees(log_density, u):
    """(positions [chain, draw, D], gradients a draw and chain, what it settled at)"""
    warmup = blackjax.chees_adaptation(log_density, CHAINS, target_acceptance_rate=0.8)
    (states, found), _ = warmup.run(jax.random.key(1), u, 0.1, optax.adam(0.05), WARMUP)
    draws, steps = walked(blackjax.dynamic_hmc(log_density, **found).step, states, DRAWS, 2)
    return (
        draws,
        float(steps.mean()),
        f"step {float(found['step_size']):.2g}, {float(found['integration_steps_params'][0]):.1f} steps at most",
    )


def meads(log_density, u):
    """As `chees`; a draw kept is THIN gradients."""
    warmup = blackjax.meads_adaptation(log_density, CHAINS)
    (states, found), _ = warmup.run(jax.random.key(1), u, WARMUP * THIN)
    draws, _ = walked(blackjax.ghmc(log_density, **found).step, states, DRAWS * THIN, 2)
    return draws[:, ::THIN], float(THIN), f"step {float(found['step_size']):.2g}, momentum kept {1 - float(found['alpha']):.2g}"


def lines(name: str) -> list[dict]:
    at = piloted(name)
    apart = 0.3 * jax.random.normal(jax.random.key(1), (CHAINS, at.kernel.size))
    together, groups = jnp.repeat(apart[:GROUPS], CHAINS // GROUPS, axis=0), np.repeat(np.arange(GROUPS), CHAINS // GROUPS)

    def told(way: str, u: np.ndarray, gradients: float, settled: str, grouped: bool = False) -> dict:
        posterior, nested = at.posterior(u), None
        if grouped:
            sites = at.kernel.space.problem.population_sites
            nested = round(max(float(arviz_stats.rhat_nested(posterior[n].to_numpy(), superchain_ids=groups)) for n in sites), 4)
        line = at.told(way, posterior, gradients, settled=settled, nested_rhat=nested)
        print(line, flush=True)
        return line

    found = [told("ChEES-HMC", *chees(at.density(), together), grouped=True), told("MEADS", *meads(at.density(), apart))]
    ours, u = at.hmc(chains=CHAINS, warmup=WARMUP, draws=DRAWS)
    return [*found, told("HMC, random lengths", u, float(ours.stats["n_steps"].mean()), f"step {float(np.mean(ours.step_size)):.2g}")]


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    keep(TABLE, sys.argv[1:], lines)
