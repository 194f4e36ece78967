"""What a way of sampling costs: effective draws per thousand gradients and per CPU second, on a fixed set of posteriors.

    python docs/validation/sampling.py theophylline pilot      # one posterior, one way; a line of sampling.csv
    python docs/validation/sampling.py flagship mode

Ways: "pilot" (NUTS in coordinates from the first half of the warm-up, what `sample` does), "mode" (all warm-up in those of the mode, what it did before),
"hmc" (as "pilot", trajectories of random length, target acceptance 0.8).
The effective draws are those of the least well mixed population parameter, rank-normalised bulk. Gradients are those of the draws; CPU seconds those of the
whole fit, compilation included.
"""

import importlib
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
POSTERIORS = {
    "theophylline": ("theophylline", 500),
    "friberg_karlsson": ("friberg_karlsson", 500),
    "flagship": ("carm_blood_il6", 500),
    "warfarin": ("warfarin", 500),
    "endotoxin": ("endotoxin_cytokines", 500),
}


def problem(name: str):
    sys.path.insert(0, str(HERE.parents[1] / "fits"))
    module, draws = POSTERIORS[name]
    made = importlib.import_module(module).problem(True)
    return replace(made, sampler=replace(made.sampler, chains=4, draws=draws, warmup=draws))


def measured(name: str, way: str, seed: int = 1) -> dict:
    """One line of the table."""
    if way == "mode":
        running.parts = lambda problem, settings: (None, settings)  # no pilot
    began = time.process_time()
    fit = sample(problem(name), seed=seed, progress=True, **({"kernel": "hmc", "target_accept": 0.8} if way == "hmc" else {}))
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
