"""Neutropenia after a drug by mouth (Friberg and Karlsson): 15 subjects, 795 concentrations and 75 neutrophil counts, SIMULATED by others.

    two compartments, first-order absorption; CL and Q grow with (WT/70)^0.75, V1 and V2 with WT/70; neutrophils as in pkpd.models.classic

Data and reference posterior: the example FribergKarlsson of metrumresearchgroup/Torsten (BSD-3), whose priors are taken as they are; only the bound
of ka by the fast disposition rate (0.8 /h, the posterior of ka is 2.0 +- 0.07) is left out. The file is not shipped: name the folder that holds
`friberg_karlsson/data.csv` in the environment variable PKPD_DATA.
"""

from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import Correlation, FitProblem, Population, Sampler, Solver, data_file, lognormal, lognormal_error, read_cohort, run
from pkpd.models.classic import friberg_karlsson

FILE = "friberg_karlsson/data.csv"
UNITS = {"TIME": "h", "AMT": "ug", "II": "h", "DV": {"cp": "ng/mL", "anc": "1e9 cells/L"}, "WT": "kg"}
VARYING = ("CL", "Q", "V1", "V2", "mtt", "circ0", "alpha")
PRIORS = {"CL": (10.0, 0.2), "Q": (15.0, 0.1), "V1": (35.0, 0.1), "V2": (100.0, 0.2), "ka": (2.0, 0.2), "mtt": (125.0, 0.2)}
PRIORS |= {"circ0": (5.0, 0.2), "alpha": (0.2, 0.2), "gamma": (0.17, 0.2)}  # alpha per mg/L, 2e-4 per ng/mL
POWER = {"CL": 0.75, "Q": 0.75, "V1": 1.0, "V2": 1.0}


def records(path: Path) -> pd.DataFrame:
    """A row a measured value: concentrations and counts stand in two columns of the file."""
    table = pd.read_csv(path)
    same = {"ID": table["ID"], "TIME": table["time"], "WT": table["WT"]}
    dose = table["evid"] == 1
    doses = pd.DataFrame({**same, "EVID": 1, "AMT": table["amt"], "CMT": "oral", "II": table["ii"], "ADDL": table["addl"], "DVID": ""})[
        dose
    ]
    parts = [doses.assign(MDV=1, DV=np.nan)]
    for column, name in (("conc_ng_mL", "cp"), ("neut_1e9_L", "anc")):
        rows = pd.DataFrame({**same, "EVID": 0, "AMT": 0.0, "CMT": "", "II": 0.0, "ADDL": 0, "DVID": name, "MDV": 0, "DV": table[column]})
        parts.append(rows[table[column].notna()])
    return pd.concat(parts).sort_values(["ID", "TIME", "EVID"], kind="stable").reset_index(drop=True)


def varying(name: str):
    middle, sd = PRIORS[name]
    spec = lognormal(
        dist.LogNormal(np.log(middle), sd), between=dist.HalfCauchy(0.5) if name in VARYING else None, source="Torsten's example"
    )
    return spec.effect("WT", reference=70, power=POWER[name]) if name in POWER else spec


def problem(quick: bool) -> FitProblem:
    return FitProblem(
        friberg_karlsson,
        read_cohort(records(data_file(FILE)), model=friberg_karlsson, units=UNITS, covariates=["WT"], name=FILE),
        Population(**{n: varying(n) for n in PRIORS}, correlation=Correlation(VARYING, 1.0)),
        noise={"cp": lognormal_error(dist.HalfCauchy(0.5)), "anc": lognormal_error(dist.HalfCauchy(0.5))},
        name="friberg_karlsson",
        title="Neutropenia: concentrations and neutrophils of 15 simulated subjects (Torsten's example)",
        simulated=True,
        sampler=Sampler(chains=4, draws=250 if quick else 1000, warmup=250 if quick else 500, target_accept=0.9),
        solver=Solver(rtol=1e-4),  # moves the posterior's log density by 1e-4
    )


if __name__ == "__main__":
    run(problem)
