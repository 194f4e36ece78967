"""Coverage of 90 % intervals of the flagship over simulated studies of its own design: `python docs/validation/coverage_carm.py --hours 1`.

Each study draws its population values from the priors (the generator of data/carm_phase1_simulated) and is fitted with the flagship's own model at
reduced length; one line a parameter is appended to coverage_carm.csv after each study, so an interrupted run continues. Studies that did not
converge are kept and counted. The exact expectation for a correct sampler is 90 %, since truth and prior agree.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from pkpd import sample

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).resolve().with_suffix(".csv")
FIRST_SEED = 90_000


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one(seed: int, fit_file, generator, draws: int, chains: int) -> pd.DataFrame:
    records, truth = generator.study(seed)
    spread = {f"omega_{n}": sd for n, sd in generator.priors.BETWEEN.items()} | {f"sigma_{n}": sd for n, sd in generator.SIGMA.items()}
    problem = fit_file.fit_problem(records, truth | spread, quick=True, name=f"study_{seed}")
    started = time.time()
    fit = sample(problem, seed=seed, draws=draws, warmup=draws, chains=chains, progress=False)
    table = fit.summary.assign(truth=[problem.truth.get(n, np.nan) for n in fit.summary["name"]])
    table["inside"] = (table["truth"] >= table["q5"]) & (table["truth"] <= table["q95"])
    extra = {"seed": seed, "seconds": round(time.time() - started, 1), "divergent": int(fit.tree["sample_stats"]["diverging"].sum())}
    return table.assign(**extra)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--draws", type=int, default=300)
    options.add_argument("--chains", type=int, default=2)
    args = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    fit_file, generator = load(ROOT / "fits" / "carm_blood_il6.py"), load(ROOT / "data" / "carm_phase1_simulated" / "generate.py")
    done = set(pd.read_csv(OUT)["seed"]) if OUT.exists() else set()
    seed, end = FIRST_SEED, time.time() + 3600 * args.hours
    while time.time() < end:
        if seed not in done:
            table = one(seed, fit_file, generator, args.draws, args.chains)
            table.round(6).to_csv(OUT, mode="a", header=not OUT.exists(), index=False)
            jax.clear_caches()
            sys.stderr.write(f"study {seed}: inside {int(table['inside'].sum())} of {len(table)}, {table['seconds'].iloc[0]:.0f} s\n")
        seed += 1


if __name__ == "__main__":
    main()
