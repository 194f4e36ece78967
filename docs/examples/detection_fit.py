"""SIMULATED: cells in the blood of 20 patients, seen by an assay that says detected or not detected; how fast are they cleared?"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Sampler, detection, fixed, lognormal, read_cohort, sample, simulate
from pkpd.models.classic import one_compartment_iv

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
LOD, SIGMA, CL = 0.5, 0.4, 3.0  # detected with probability 1/2 at the LOD; sd of the assay on the log scale; true clearance (L/h)
TIMES = (4, 8, 12, 18, 24, 30, 36, 48)

rng = np.random.default_rng(1)
dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "MDV": 1, "DVID": ""}
looks = [{"TIME": float(t), "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0, "DVID": "cp"} for t in TIMES]
table = pd.DataFrame([{"ID": i + 1, **row} for i in range(20) for row in (dose, *looks)])
theta = {"CL": CL * np.exp(0.3 * rng.normal(size=20)), "V": jnp.full(20, 20.0)}
f = simulate(one_compartment_iv, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
yes = np.log(f) + SIGMA * rng.normal(size=len(f)) > np.log(LOD)
table["DV"] = np.where(table["EVID"] == 0, yes.astype(float), np.nan)

problem = FitProblem(
    one_compartment_iv,
    read_cohort(table, model=one_compartment_iv, units=UNITS),
    Population(CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(0.5)), V=fixed(20.0)),
    noise={"cp": detection(SIGMA, lod=LOD)},
    name="detection_only",
    simulated=True,
    sampler=Sampler(chains=2, draws=500, warmup=500),
)

if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    fit = sample(problem, seed=1)
    print(fit.verdict.headline)
    print(fit.summary[["name", "mean", "q5", "q95"]].round(3).to_string(index=False))
    print(f"true CL {CL}, omega_CL 0.3 (simulated)")
