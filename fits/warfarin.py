"""Warfarin: 32 subjects, one oral dose, concentrations and prothrombin complex activity (PCA) together.

    depot, after a lag, to one compartment (cp, mg/L);   d(pca)/dt = kout R0 (1 - Emax cp / (EC50 + cp)) - kout pca,  pca(0) = R0  (percent)

CL grows with (WT/70)^0.75, V with WT/70. Data: O'Reilly & Aggeler 1968 and O'Reilly et al. 1963, as `warfarin` of the R package nlmixr2data (GPL). The
file is not shipped: name the folder that holds `warfarin.csv` (columns id, time, amt, dv, dvid, evid, wt, age, sex) in the environment variable
PKPD_DATA. Subject 9 has two concentrations at 3, 6, 9 and 12 h: all are kept, as measured twice.
"""

from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import (
    FitProblem,
    Observable,
    Population,
    Sampler,
    additive_error,
    combined_error,
    compose,
    data_file,
    fixed,
    logit_normal,
    lognormal,
    read_cohort,
    run,
)
from pkpd.models.classic import indirect_response, one_compartment

FILE = "warfarin.csv"
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "pca": "percent"}, "WT": "kg"}
WEAK = "assumption: weakly informative, a factor of 2.7 either way"
pca = Observable("pca", "percent", lambda y, p, s: y.response, "prothrombin complex activity")
warfarin = compose(
    "warfarin",
    one_compartment.late_absorption,
    one_compartment.central,
    indirect_response.concentration,
    indirect_response.response("I", unit="percent"),
    observables=(one_compartment.cp, pca),
    text=__doc__,
)


def records(path: Path) -> pd.DataFrame:
    """NONMEM-style rows; the dose stands before what is measured at its time."""
    table = pd.read_csv(path)
    dose = table["evid"] == 1
    rows = pd.DataFrame({"ID": table["id"], "TIME": table["time"], "EVID": table["evid"], "AMT": table["amt"], "WT": table["wt"]})
    rows = rows.assign(
        CMT=np.where(dose, "oral", ""), DVID=np.where(dose, "", table["dvid"]), DV=table["dv"].mask(dose), MDV=dose.astype(int)
    )
    return rows.sort_values(["ID", "TIME", "MDV"], ascending=[True, True, False], kind="stable").reset_index(drop=True)


def around(middle: float, sd: float = 1.0, between: float | None = 0.5):
    return lognormal(dist.LogNormal(np.log(middle), sd), between=dist.HalfNormal(between) if between else None, source=WEAK)


def problem(quick: bool) -> FitProblem:
    draws = 500 if quick else 750
    return FitProblem(
        warfarin,
        read_cohort(records(data_file(FILE)), model=warfarin, units=UNITS, covariates=["WT"], name=FILE),
        Population(
            ka=around(1.0, between=1.0),
            tlag=around(0.5, between=None),
            CL=around(0.1).effect("WT", reference=70, power=0.75),
            V=around(8.0).effect("WT", reference=70, power=1.0),
            kout=around(0.05),
            R0=around(100.0, 0.5),
            EC50=around(1.0),
            Emax=logit_normal(dist.Beta(4, 1), source="assumption: nearly full inhibition is possible"),
            F=fixed(1.0, source="no intravenous data"),
        ),
        noise={"cp": combined_error(dist.HalfNormal(1.0), dist.HalfNormal(0.5)), "pca": additive_error(dist.HalfNormal(10.0))},
        name="warfarin",
        title="Warfarin: concentration and prothrombin complex activity in 32 subjects",
        sampler=Sampler(chains=4, draws=draws, warmup=draws, target_accept=0.9),
    )


if __name__ == "__main__":
    run(problem)
