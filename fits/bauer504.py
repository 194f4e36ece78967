"""Bauer 2019, example 504: 60 subjects, one infusion each, 240 concentrations; weight, age and sex on clearance and volume.

    ln CL_i = ln CL + b1 ln(WT/70) + b2 ln(AGE/50) + b3 SEX + eta_1,  ln V_i the same with its own coefficients,  y = f (1 + e)

Data: tutorial part II of Bauer 2019 (CPT Pharmacometrics Syst Pharmacol 8:538), supplement 2. The file is not shipped: name the folder that holds
`bauer2019/example504_data.csv` in the environment variable PKPD_DATA. It states no units; hours, mg and mg/L are
assumed. NONMEM's NUTS run of the same model stands beside it in `example504_estimates.csv`.
"""

import numpyro.distributions as dist

from pkpd import FitProblem, Population, Sampler, data_file, lognormal, proportional_error, read_cohort, run
from pkpd.models.classic import one_compartment_iv

FILE = "bauer2019/example504_data.csv"
UNITS = {"TIME": "h", "AMT": "mg", "RATE": "mg/h", "DV": {"cp": "mg/L"}, "WT": "kg", "AGE": "yr"}
WEAK = "assumption: so wide that the data alone decide"


def varying(log_typical: float):
    """A positive parameter with the three covariates, every prior wide."""
    wide = dist.Normal(0, 10)
    spec = lognormal(dist.LogNormal(log_typical, 10), between=dist.HalfNormal(1.0), source=WEAK)
    return spec.effect("WT", reference=70, power=wide).effect("AGE", reference=50, power=wide).effect("SEX", reference=0, prior=wide)


def problem(quick: bool) -> FitProblem:
    draws = 500 if quick else 1000
    return FitProblem(
        one_compartment_iv,
        read_cohort(data_file(FILE), model=one_compartment_iv, units=UNITS, covariates=["WT", "AGE", "SEX"]),
        Population(CL=varying(1.0), V=varying(3.5), correlation=("CL", "V")),
        noise={"cp": proportional_error(dist.HalfNormal(1.0))},
        name="bauer504",
        title="Bauer 2019, example 504: infusion in 60 subjects, covariates on clearance and volume",
        assumptions=("The source states no units: hours, mg and mg/L.",),
        sampler=Sampler(chains=4, draws=draws, warmup=draws, target_accept=0.9),
    )


if __name__ == "__main__":
    run(problem)
