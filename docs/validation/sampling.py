"""What a way of sampling costs: effective draws per thousand gradients and per CPU second, on a fixed set of posteriors.

    python docs/validation/sampling.py theophylline pilot      # one posterior, one way; a line of sampling.csv
    python docs/validation/sampling.py flagship mode

Ways: "pilot" (NUTS in coordinates from the first half of the warm-up, what `sample` does), "mode" (all warm-up in those of the mode, what it did before),
"hmc" (as "pilot", trajectories of random length, target acceptance 0.8), "numpyro_nuts" (as "pilot", NumPyro's kernel in place of BlackJAX's).
The effective draws are those of the least well mixed population parameter, rank-normalised bulk. Gradients are those of the draws; CPU seconds those of the
whole fit, compilation included.
"""

import importlib
import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from pkpd import sample
from pkpd.inference import run as running

HERE = Path(__file__).parent
TABLE = HERE / "sampling.csv"
DRAWS = 500
FITS = {"flagship": "carm_blood_il6", "joint": "carm_phase1", "endotoxin": "endotoxin_cytokines"}
OTHERS = {"hmc": {"kernel": "hmc", "target_accept": 0.8}, "numpyro_nuts": {"kernel": "numpyro_nuts"}}
PATIENTS = {18: (12, 6), 50: (32, 18)}  # on D1/3/5 and on D1, in larger studies simulated as that of 14


def problem(name: str):
    made = made_here(name)
    return replace(made, sampler=replace(made.sampler, chains=4, draws=DRAWS, warmup=DRAWS))


def made_here(name: str):
    """By name of a fit; "flagship_18" and "flagship_50" (blood and IL-6 of larger simulated studies), "two_compartments" (the bench's) and "not_identified"."""
    root = HERE.parents[1]
    sys.path[:0] = [str(root), str(root / "fits"), str(root / "data" / "carm_phase1_simulated")]
    module = importlib.import_module
    if name == "two_compartments":
        return module("tests.benchmarks.two_compartment").problem()
    if name == "not_identified":
        return module("tests.statistics.test_not_identified").problem()
    if name.startswith("flagship_"):
        study = module("generate")
        counts = zip(study.HER2.items(), PATIENTS[int(name.removeprefix("flagship_"))], strict=True)
        records, truth = study.study(
            study.SEED, {regimen: tuple(itertools.islice(itertools.cycle(scores), n)) for (regimen, scores), n in counts}
        )
        return module("carm_blood_il6").fit_problem(records, truth, True, name)
    return module(FITS.get(name, name)).problem(True)


def measured(name: str, way: str, seed: int = 1) -> dict:
    """One line of the table."""
    if way == "mode":
        running.parts = lambda problem, settings: (None, settings)  # no pilot
    began = time.process_time()
    fit = sample(problem(name), seed=seed, progress=True, **OTHERS.get(way, {}))
    spent = time.process_time() - began
    table, stats = fit.summary, fit.tree["sample_stats"]
    steps = float(stats["n_steps"].sum())
    worst = table.loc[table["ess_bulk"].idxmin()]
    return {
        "posterior": name,
        "way": way,
        "seed": seed,
        "verdict": fit.verdict.headline.split(":")[0].split(".")[0],
        "worst": worst["name"],
        "ess_bulk": round(float(worst["ess_bulk"])),
        "rhat": round(float(table["rhat"].max()), 4),
        "divergent": int(stats["diverging"].sum()),
        "steps_a_draw": round(float(stats["n_steps"].mean()), 1),
        "ess_per_1000_gradients": round(1000 * float(worst["ess_bulk"]) / steps, 2),
        "cpu_s": round(spent),
        "ess_per_cpu_s": round(float(worst["ess_bulk"]) / spent, 2),
    }


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    row = pd.DataFrame([measured(*sys.argv[1:3])])
    print(row.T)
    before = pd.read_csv(TABLE) if TABLE.exists() else row.iloc[:0]
    same = (before["posterior"] == row["posterior"][0]) & (before["way"] == row["way"][0]) & (before["seed"] == row["seed"][0])
    pd.concat([before[~same], row]).to_csv(TABLE, index=False)
    assert np.isfinite(row["ess_bulk"][0])
