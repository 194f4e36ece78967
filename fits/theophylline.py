"""Theophylline: 12 subjects, one oral dose each, 132 plasma concentrations; one compartment with first-order absorption.

Data: R's `datasets::Theoph` (Boeckmann, Sheiner & Beal 1992), see data/theophylline/README.md. The same model fitted by maximum likelihood with
R's nlme gives ka 1.563 /h, CL 2.769 L/h, V 31.48 L and an additive residual sd of 0.697 mg/L.
"""

from pathlib import Path

import numpyro.distributions as dist

from pkpd import FitProblem, Population, Sampler, additive_error, lognormal, read_cohort, run
from pkpd.models.classic import one_compartment_oral

DATA = Path(__file__).resolve().parents[1] / "data" / "theophylline" / "theophylline.csv"
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg"}
WEAK = "assumption: weakly informative, a factor of 7 either way around a textbook value"


def problem(quick: bool) -> FitProblem:
    cohort = read_cohort(DATA, model=one_compartment_oral, units=UNITS, covariates=["WT"])
    population = Population(
        ka=lognormal(dist.LogNormal(0.4, 1.0), between=dist.HalfNormal(1.0), source=WEAK),
        CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(1.0), source=WEAK),
        V=lognormal(dist.LogNormal(3.5, 1.0), between=dist.HalfNormal(1.0), source=WEAK),
    )
    draws = 500 if quick else 1000
    return FitProblem(
        one_compartment_oral,
        cohort,
        population,
        noise={"cp": additive_error(dist.HalfNormal(2.0))},
        name="theophylline",
        title="Theophylline: oral absorption in 12 subjects",
        sampler=Sampler(chains=4, draws=draws, warmup=draws, target_accept=0.9),
    )


if __name__ == "__main__":
    run(problem)
