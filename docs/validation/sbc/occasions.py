"""Calibration design: one compartment with oral absorption, two occasions, Box-Cox etas on CL, Student's t etas on V; lognormal error, 0.2 mg/L limit."""

import numpyro.distributions as dist
from design import records

from pkpd import FitProblem, Population, boxcox, lognormal, lognormal_error, read_cohort, run
from pkpd.models.classic import one_compartment_oral as model


def problem(quick: bool) -> FitProblem:
    early = (0.5, 1.0, 2.0, 5.0, 9.0, 23.0)
    times = {"cp": (*early, *(48.0 + t for t in early))}
    table = records(model, 8, [(0.0, "oral", 300.0, 0.0), (48.0, "oral", 300.0, 0.0)], times, lloq=0.2)
    table["OCC"] = (table["TIME"] >= 48).astype(int) + 1
    population = Population(
        ka=lognormal(dist.LogNormal(0.2, 0.4)).over("OCC", dist.HalfNormal(0.4)),
        CL=boxcox(dist.LogNormal(1.0, 0.4), between=dist.HalfNormal(0.4), shape=dist.Normal(0.0, 0.5)),
        V=lognormal(dist.LogNormal(3.4, 0.4), between=dist.HalfNormal(0.4)).tails(5.0),
    )
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"}, covariates=["OCC"])
    return FitProblem(model, cohort, population, {"cp": lognormal_error(dist.HalfNormal(0.3))}, name="occasions")


if __name__ == "__main__":
    run(problem)
