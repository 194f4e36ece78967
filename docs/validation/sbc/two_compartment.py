"""Calibration design: two compartments, two infusions, 10 subjects, 9 samples, CL and V1 correlated, allometric weight, combined error."""

import numpy as np
import numpyro.distributions as dist
from design import records

from pkpd import FitProblem, Population, combined_error, lognormal, read_cohort, run
from pkpd.models.classic import two_compartment_iv as model


def problem(quick: bool) -> FitProblem:
    weight = np.round(np.linspace(50, 95, 10), 1)
    times = {"cp": (1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 25.0, 30.0, 48.0)}
    table = records(model, 10, [(0.0, "iv", 500.0, 1.0), (24.0, "iv", 500.0, 1.0)], times, WT=weight)
    population = Population(
        CL=lognormal(dist.LogNormal(1.6, 0.4), between=dist.HalfNormal(0.4)).effect("WT", reference=70, power=dist.Normal(0.75, 0.25)),
        V1=lognormal(dist.LogNormal(3.0, 0.4), between=dist.HalfNormal(0.4)),
        Q=lognormal(dist.LogNormal(1.1, 0.4)),
        V2=lognormal(dist.LogNormal(3.9, 0.4)),
        correlation=("CL", "V1"),
    )
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DUR": "h", "DV": "mg/L", "WT": "kg"}, covariates=["WT"])
    noise = {"cp": combined_error(dist.HalfNormal(0.5), dist.HalfNormal(0.2))}
    return FitProblem(model, cohort, population, noise, name="two_compartment")


if __name__ == "__main__":
    run(problem)
