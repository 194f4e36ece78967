"""Kernels that were tried beside NUTS and HMC, in the same coordinates: `python docs/validation/other_samplers.py theophylline flagship`.

Adjusted MCLMC (microcanonical Langevin with a Metropolis step; Robnik, De Luca, Silverstein & Seljak 2023; BlackJAX's), trajectories of a random number of
steps around L, the step tuned to an acceptance of 0.9, each step two gradients. 4 chains of 500 draws after a run of 500, in a pilot's coordinates;
effective draws as in sampling.py, gradients those of the draws. HMC beside it, whose metric adapts further. One line a setting in other_samplers.csv.
"""

import sys
from dataclasses import replace
from pathlib import Path

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.inference import hmc
from pkpd.inference.assemble import population_summary
from pkpd.inference.geometry import find_geometry
from pkpd.inference.pilot import parts, run_pilot
from pkpd.inference.sample import Draws, Kernel, run_nuts
from pkpd.inference.space import Space

HERE = Path(__file__).parent
TABLE = HERE / "other_samplers.csv"
CHAINS, DRAWS, ACCEPTANCE = 4, 500, 0.9
LENGTHS = (1.0, 2.0, 3.0, 4.0)  # L in units of sqrt(D)
sys.path.insert(0, str(HERE))


def quiet(_: str) -> None:
    """No report."""


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
    from sampling import problem

    made = problem(name)
    settings = replace(made.sampler, kernel="hmc", target_accept=0.8)
    space = Space(made)
    kernel = Kernel(space, settings)
    pilot, rest = parts(made, settings)
    geometry = run_pilot(kernel, find_geometry(space, quiet), pilot, 1, False, None, quiet)
    log_density = lambda u: -space.potential(geometry.mode + geometry.factor @ u, geometry.weights)  # noqa: E731
    u = 0.3 * jax.random.normal(jax.random.key(1), (CHAINS, space.size))

    def told(way: str, draws: np.ndarray, gradients: float, accepted: float) -> dict:
        z = np.asarray(geometry.mode) + draws @ np.asarray(geometry.factor).T
        table = population_summary(space, geometry, Draws(z, {}, np.ones(CHAINS), 0, False))
        worst = table.loc[table["ess_bulk"].idxmin()]
        ess = float(worst["ess_bulk"])
        return {
            "posterior": name,
            "way": way,
            "worst": worst["name"],
            "ess_bulk": round(ess),
            "rhat": round(float(table["rhat"].max()), 4),
            "acceptance": round(accepted, 3),
            "gradients_a_draw": round(gradients, 1),
            "ess_per_1000_gradients": round(1000 * ess / (gradients * CHAINS * DRAWS), 2),
        }

    found, advance = [], mclmc(log_density, space.size)
    for c in LENGTHS:
        length = c * np.sqrt(space.size)
        step = tuned(advance, u[0], length)
        steps = jnp.asarray(max(1.0, length / step))
        begun = [advance(jax.random.key(100 + i), u[i], step, steps)[0][-1] for i in range(CHAINS)]  # a run to leave the start
        runs = [advance(jax.random.key(200 + i), begun[i], step, steps) for i in range(CHAINS)]
        draws, accepted = np.stack([np.asarray(r[0]) for r in runs]), float(np.mean([np.asarray(r[1]).mean() for r in runs]))
        found.append(told(f"adjusted MCLMC, L = {c:g} sqrt(D), step {step:.2g}", draws, 2 * float(steps), accepted))
        print(found[-1], flush=True)
    ours = run_nuts(kernel, geometry, replace(rest, draws=DRAWS), 1, False)
    u_ours = (ours.z - np.asarray(geometry.mode)) @ np.linalg.inv(np.asarray(geometry.factor)).T
    found.append(
        told(f"HMC, mean length {hmc.LENGTH:g}", u_ours, float(ours.stats["n_steps"].mean()), float(ours.stats["acceptance_rate"].mean()))
    )
    print(found[-1], flush=True)
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for name in sys.argv[1:]:
        new = pd.DataFrame(lines(name))
        before = pd.read_csv(TABLE) if TABLE.exists() else new.iloc[:0]
        pd.concat([before[before["posterior"] != name], new]).to_csv(TABLE, index=False)
