"""What a fit costs as subjects grow: the same design with 10 to 1000 simulated subjects, oral doses, one compartment, ten samples each.

    python docs/validation/scaling.py 10 30 100 300 1000        # a line each in scaling.csv

CPU seconds of the whole fit (compilation, start, pilot, 4 chains of 500 + 500 draws by HMC, labels, predictions), and of its parts. All data are simulated.
"""

import logging
import sys
import time
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Sampler, lognormal, proportional_error, read_cohort, sample
from pkpd.models.classic import one_compartment_oral

TABLE = Path(__file__).parent / "scaling.csv"
TRUTH = {"ka": (1.5, 0.5), "CL": (2.8, 0.3), "V": (32.0, 0.2)}  # typical value, sd of its logarithm
TIMES = np.array([0.25, 0.5, 1.0, 2.0, 3.5, 5.0, 7.0, 9.0, 12.0, 24.0])
SIGMA = 0.1


def cohort(n: int, seed: int = 7):
    """Simulated: 300 mg once by mouth, proportional error of 10 %."""
    rng, lines = np.random.default_rng(seed), []
    for i in range(1, n + 1):
        ka, cl, v = (m * np.exp(s * rng.normal()) for m, s in TRUTH.values())
        mean = 300.0 * ka / v / (ka - cl / v) * (np.exp(-cl / v * TIMES) - np.exp(-ka * TIMES))
        lines.append((i, 0.0, 1, 300.0, np.nan))
        lines += [(i, t, 0, 0.0, y) for t, y in zip(TIMES, mean * (1 + SIGMA * rng.normal(size=len(TIMES))), strict=True)]
    table = pd.DataFrame(lines, columns=["ID", "TIME", "EVID", "AMT", "DV"]).assign(CMT="oral", DVID="cp")
    return read_cohort(table, one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}})


def problem(n: int) -> FitProblem:
    each = {k: lognormal(dist.LogNormal(np.log(m), 1.0), between=dist.HalfNormal(1.0)) for k, (m, _) in TRUTH.items()}
    sampler = Sampler(chains=4, warmup=500, draws=500, kernel="hmc", target_accept=0.8)
    noise = {"cp": proportional_error(dist.HalfNormal(0.5))}
    return FitProblem(one_compartment_oral, cohort(n), Population(**each), noise, name=f"scaling_{n}", simulated=True, sampler=sampler)


class Parts(logging.Handler):
    """CPU seconds between the lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        for word in ("Gauss-Newton", "pilot:", "labelling", "solver check"):
            if words.startswith(word):
                self.at[word] = time.process_time()


def measured(n: int) -> dict:
    made, parts = problem(n), Parts()
    logging.getLogger("pkpd").addHandler(parts)
    logging.getLogger("pkpd").setLevel(logging.INFO)
    began = time.process_time()
    fit = sample(made, seed=1, progress=True)
    cpu, table, stats = time.process_time() - began, fit.summary, fit.tree["sample_stats"]
    worst, at = table.loc[table["ess_bulk"].idxmin()], parts.at
    return {
        "subjects": n,
        "unknowns": 3 * n + 7,
        "cpu_s": round(cpu),
        "start_s": round(at["Gauss-Newton"] - began, 1),
        "pilot_s": round(at["pilot:"] - at["Gauss-Newton"], 1),
        "chains_s": round(at["labelling"] - at["pilot:"], 1),
        "after_s": round(began + cpu - at["labelling"], 1),
        "steps_a_draw": round(float(stats["n_steps"].mean()), 1),
        "divergent": int(stats["diverging"].sum()),
        "worst": worst["name"],
        "ess_bulk": round(float(worst["ess_bulk"])),
        "rhat": round(float(table["rhat"].max()), 4),
        "verdict": fit.verdict.headline.split(":")[0].split(".")[0],
        "us_a_step": round(
            1e6 * (at["labelling"] - at["pilot:"]) / (1.5 * float(stats["n_steps"].sum()))
        ),  # 250 draws of warm-up a chain as well
    }


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for n in map(int, sys.argv[1:]):
        line = pd.DataFrame([measured(n)])
        print(line.T.to_string(), flush=True)
        before = pd.read_csv(TABLE) if TABLE.exists() else line.iloc[:0]
        pd.concat([before[before["subjects"] != n], line]).sort_values("subjects").to_csv(TABLE, index=False)
