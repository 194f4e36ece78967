"""Accuracy and speed of the cascade on the flagship's own design, against Kvaerno5 at tight tolerance: `python docs/validation/solver_accuracy.py`.

Cells and cytokine of all 14 patients at typical values, at every record of the simulated study. Writes solver_accuracy.csv: largest error of a row
relative to that row's value and to the largest value of its observable, and milliseconds for value and for value with gradient in all parameters
(median of repeats, compiled, with whatever else the machine does).
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd import Solver, read_cohort
from pkpd.model import predictor
from pkpd.models.carm import carm_blood_il6 as model

ROOT = Path(__file__).resolve().parents[2]
UNITS = {"DV": {"car_dna": "copies/ug", "il6": "pg/mL"}}
TIGHT = Solver(method="kvaerno5", rtol=1e-10, atol=1e-12, max_steps=100_000)
SOLVERS = {
    "cascade, mesh_growth 0.5": (Solver(mesh_growth=0.5), 30),
    "cascade, mesh_growth 0.35 (default)": (Solver(), 30),
    "kvaerno5, rtol 1e-6": (Solver(method="kvaerno5"), 3),
}


def milliseconds(function, theta, repeats: int) -> float:
    """The median of `repeats` runs after a first that compiles."""
    jax.block_until_ready(function(theta))
    laps = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(theta))
        laps.append(time.perf_counter() - start)
    return 1e3 * float(np.median(laps))


def measure(cohort, solver: Solver, repeats: int, exact: np.ndarray, peak: np.ndarray) -> dict[str, float]:
    bound = predictor(model, cohort, solver)
    theta = {n: jnp.asarray(v, float) for n, v in model.typical.items()}
    value = jax.jit(bound)
    slope = jax.jit(jax.value_and_grad(lambda th: jnp.sum(jnp.log(bound(th) + 1e-3))))
    error = np.abs(np.asarray(value(theta)) - exact)
    known = exact > 1e-6 * peak  # before the first dose there is nothing to be relative to
    return {
        "of the row": (error[known] / exact[known]).max(),
        "of the peak": (error / peak).max(),
        "value, ms": milliseconds(value, theta, repeats),
        "with gradient, ms": milliseconds(slope, theta, repeats),
    }


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    cohort = read_cohort(ROOT / "data" / "carm_phase1_simulated" / "records.csv", model, units=UNITS)
    theta = {n: jnp.asarray(v, float) for n, v in model.typical.items()}
    exact = np.asarray(jax.jit(predictor(model, cohort, TIGHT))(theta))
    peak = pd.Series(exact).groupby(cohort.observations["observable"].to_numpy()).transform("max").to_numpy()
    found = {name: measure(cohort, solver, repeats, exact, peak) for name, (solver, repeats) in SOLVERS.items()}
    table = pd.DataFrame(found).T.rename_axis("solver").map(lambda x: float(f"{x:.2g}"))
    table.to_csv(Path(__file__).resolve().with_suffix(".csv"))


if __name__ == "__main__":
    main()
