"""Kernels for many chains in one program, 64 of them: `python docs/validation/many_chains.py theophylline two_compartments`.

ChEES-HMC (one trajectory length for all chains, adapted; Hoffman, Radul & Sountsov 2021) and MEADS (generalised HMC, tuned by folds of chains; Hoffman &
Sountsov 2022), both BlackJAX's, beside our HMC with random lengths, in the coordinates of one pilot. 64 chains; ChEES and ours 100 draws after 300 of warm-up,
MEADS, whose draw is one gradient, every tenth of 1000 after 3000. Chains of ChEES begin in 8 groups, all of a group at one place, the others each at its own,
without which MEADS has no variance to go by. Effective draws as in sampling.py, gradients those of the draws; `nested_rhat` (Margossian et al. 2024) is that
of the 8 groups, the largest of the population parameters. Ours adapts a metric for each chain. One line a way in many_chains.csv.
"""

import sys
from dataclasses import replace
from pathlib import Path

import arviz_stats
import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from pkpd.inference.assemble import _posterior, _sites
from pkpd.inference.geometry import find_geometry
from pkpd.inference.pilot import parts, run_pilot
from pkpd.inference.sample import Kernel, run_nuts
from pkpd.inference.space import Space
from pkpd.inference.verdict import summarise

HERE = Path(__file__).parent
TABLE = HERE / "many_chains.csv"
CHAINS, GROUPS, WARMUP, DRAWS, THIN = 64, 8, 300, 100, 10
sys.path.insert(0, str(HERE))


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
    from sampling import problem

    made = problem(name)
    settings = replace(made.sampler, kernel="hmc", target_accept=0.8)
    space = Space(made)
    kernel = Kernel(space, settings)
    pilot, rest = parts(made, settings)
    geometry = run_pilot(kernel, find_geometry(space, print), pilot, 1, False, None, print)
    density = lambda u: -space.potential(geometry.mode + geometry.factor @ u, geometry.weights)  # noqa: E731
    apart = 0.3 * jax.random.normal(jax.random.key(1), (CHAINS, space.size))
    together = jnp.repeat(apart[:GROUPS], CHAINS // GROUPS, axis=0)

    def told(way: str, u: np.ndarray, gradients: float, settled: str, grouped: bool = True) -> dict:
        z = np.asarray(geometry.mode) + u @ np.asarray(geometry.factor).T
        posterior = _posterior(made, _sites(space, geometry, z))
        table = summarise(posterior, made.population_sites)
        groups = np.repeat(np.arange(GROUPS), CHAINS // GROUPS)
        nested = [float(arviz_stats.rhat_nested(posterior[n].to_numpy(), superchain_ids=groups)) for n in made.population_sites]
        worst = table.loc[table["ess_bulk"].idxmin()]
        return {
            "posterior": name,
            "way": way,
            "settled": settled,
            "worst": worst["name"],
            "ess_bulk": round(float(worst["ess_bulk"])),
            "rhat": round(float(table["rhat"].max()), 4),
            "nested_rhat": round(max(nested), 4) if grouped else None,
            "gradients_a_draw": round(gradients, 1),
            "ess_per_1000_gradients": round(1000 * float(worst["ess_bulk"]) / (gradients * CHAINS * DRAWS), 2),
        }

    found = []
    for way, run, begun in (("ChEES-HMC", chees, together), ("MEADS", meads, apart)):
        found.append(told(way, *run(density, begun), way != "MEADS"))
        print(found[-1], flush=True)
    ours = run_nuts(kernel, geometry, replace(rest, chains=CHAINS, warmup=WARMUP, draws=DRAWS), 1, False)
    u = (ours.z - np.asarray(geometry.mode)) @ np.linalg.inv(np.asarray(geometry.factor)).T
    found.append(told("HMC, random lengths", u, float(ours.stats["n_steps"].mean()), f"step {float(np.mean(ours.step_size)):.2g}", False))
    print(found[-1], flush=True)
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for name in sys.argv[1:]:
        new = pd.DataFrame(lines(name))
        before = pd.read_csv(TABLE) if TABLE.exists() else new.iloc[:0]
        pd.concat([before[before["posterior"] != name], new]).to_csv(TABLE, index=False)
