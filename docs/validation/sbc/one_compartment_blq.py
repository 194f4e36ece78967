"""Calibration design: one compartment, a bolus of 100 mg, 8 subjects, 6 samples, proportional error, values below 0.5 mg/L censored (M3)."""

import numpyro.distributions as dist
from design import records

from pkpd import FitProblem, Population, lognormal, proportional_error, read_cohort, run
from pkpd.models.classic import one_compartment_iv as model


def problem(quick: bool) -> FitProblem:
    table = records(model, 8, [(0.0, "iv", 100.0, 0.0)], {"cp": (0.5, 2.0, 6.0, 12.0, 18.0, 24.0)}, lloq=0.5)
    population = Population(
        CL=lognormal(dist.LogNormal(1.1, 0.5), between=dist.HalfNormal(0.5)),
        V=lognormal(dist.LogNormal(3.0, 0.5), between=dist.HalfNormal(0.5)),
    )
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    return FitProblem(model, cohort, population, {"cp": proportional_error(dist.HalfNormal(0.3))}, name="one_compartment_blq")


if __name__ == "__main__":
    run(problem)
