"""A SIMULATED study: 24 patients, 200 mg by mouth once a day for three days, clearance that grows with body weight. Nobody was treated.

pkpd fit docs/examples/simulated_oral_study.py --out build/simulated_oral_study
pkpd app build/simulated_oral_study
"""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Sampler, lognormal, proportional_error, read_cohort, simulate
from pkpd.models.classic import one_compartment_oral

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
PATIENTS, DOSE_TIMES, LOOKS = 24, (0.0, 24.0, 48.0), (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 23.5, 47.5, 48.5, 50.0, 54.0, 60.0, 72.0)
TRUE = {"ka": (1.2, 0.3), "CL": (2.5, 0.25), "V": (30.0, 0.2)}  # assumptions: the value at 70 kg, and the sd of its logarithm
ERROR = 0.15


def records() -> pd.DataFrame:
    """Rows as NONMEM has them, every number drawn from one key."""
    keys = jax.random.split(jax.random.key(8), 5)
    weight = np.asarray(jax.random.uniform(keys[0], (PATIENTS,), minval=50.0, maxval=100.0)).round(1)
    theta = {
        n: v * np.exp(s * np.asarray(jax.random.normal(k, (PATIENTS,)))) for (n, (v, s)), k in zip(TRUE.items(), keys[1:4], strict=True)
    }
    theta["CL"] = theta["CL"] * (weight / 70.0) ** 0.75
    doses = [{"TIME": t, "EVID": 1, "AMT": 200.0, "CMT": "oral", "MDV": 1} for t in DOSE_TIMES]
    looks = [{"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0} for t in LOOKS]
    each = pd.DataFrame([*doses, *looks]).sort_values(["TIME", "MDV"], ascending=[True, False], kind="stable")
    table = pd.concat([each.assign(ID=i + 1, WT=w) for i, w in enumerate(weight)], ignore_index=True)
    seen = simulate(one_compartment_oral, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    drawn = seen * (1.0 + ERROR * np.asarray(jax.random.normal(keys[4], (len(seen),))))
    look = table["EVID"].to_numpy() == 0
    return table.assign(DV=np.where(look, drawn, np.nan), DVID=np.where(look, "cp", ""))


def problem(quick: bool) -> FitProblem:
    draws = 500 if quick else 1000
    return FitProblem(
        one_compartment_oral,
        read_cohort(records(), model=one_compartment_oral, units=UNITS, covariates=["WT"]),
        Population(
            ka=lognormal(dist.LogNormal(0.0, 1.0), between=dist.HalfNormal(0.5)),
            CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(0.5)).effect("WT", reference=70, power=0.75),
            V=lognormal(dist.LogNormal(3.5, 1.0), between=dist.HalfNormal(0.5)),
        ),
        noise={"cp": proportional_error(dist.HalfNormal(0.3))},
        name="simulated_oral_study",
        title="Simulated: a drug by mouth once a day, 24 patients",
        simulated=True,
        truth={n: v for n, (v, _) in TRUE.items()},
        assumptions=("Data are simulated: nobody was treated.", "Clearance grows with (WT/70)^0.75, which is held, not estimated."),
        sampler=Sampler(chains=4, draws=draws, warmup=draws),
    )
