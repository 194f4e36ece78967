"""`make bench`: gradients of whole cohorts, ours and plain diffrax beside it in the same run, CPU time, as ratios; writes build/bench.json."""

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd import Solver
from pkpd.data import read_cohort
from pkpd.model import predictor
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import one_compartment_oral

ROOT = Path(__file__).resolve().parents[2]


def gradient(model, cohort, solver):
    """Value and gradient of sum log|y| in every parameter of every subject, compiled."""
    bound, n = predictor(model, cohort, solver), len(cohort.subjects)
    names = [p.name for p in model.params]
    start = jnp.asarray([[model.typical[k]] * n for k in names])

    def objective(log_theta):
        y = bound({k: v for k, v in zip(names, jnp.exp(log_theta), strict=True)})
        return jnp.sum(jnp.log(jnp.maximum(y, 1e-6)))

    run = jax.jit(jax.value_and_grad(objective))
    return lambda: jax.block_until_ready(run(jnp.log(start)))


def cpu_ms(run, seconds: float = 4.0) -> float:
    """Best CPU time of a call, over a few seconds of calls."""
    run()
    best, end = np.inf, time.time() + seconds
    while time.time() < end:
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return 1e3 * best


def compare(work: str, model, cohort, ours: Solver, peer: Solver, unit: str = "ms CPU a gradient") -> dict:
    mine, plain = gradient(model, cohort, ours), gradient(model, cohort, peer)
    (a, ga), (b, gb) = mine(), plain()
    error = float(jnp.max(jnp.abs(ga - gb)) / jnp.max(jnp.abs(gb)))
    own, other = cpu_ms(mine), cpu_ms(plain)
    return {
        "work": work,
        "peer": f"diffrax {peer.method}, rtol {peer.rtol:g}",
        "ours": round(own, 3),
        "peer_value": round(other, 3),
        "unit": unit,
        "ratio": round(other / own, 1),
        "target": None,
        "gradient_difference": error,
        "value_difference": abs(float(a - b)),
    }


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    theo = pd.read_csv(ROOT / "data/theophylline/theophylline.csv", na_values=["."])
    theophylline = read_cohort(theo, one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"}, name="theophylline")
    records = ROOT / "data/carm_phase1_simulated/records.csv"
    carm = read_cohort(records, carm_blood_il6, units={"DV": {"car_dna": "copies/ug", "il6": "pg/mL"}})
    rows = [
        compare("theophylline, closed form", one_compartment_oral, theophylline, Solver(), Solver(method="tsit5", rtol=1e-6)),
        compare("flagship (blood, IL-6), cascade", carm_blood_il6, carm, Solver(mesh_growth=0.5), Solver(method="kvaerno5", rtol=1e-6)),
        compare("flagship (blood, IL-6), cascade", carm_blood_il6, carm, Solver(mesh_growth=0.5), Solver(method="tsit5", rtol=1e-6)),
    ]
    out = ROOT / "build" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(pd.DataFrame(rows).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
