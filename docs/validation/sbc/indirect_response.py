"""Calibration design: an indirect response (production inhibited) after an oral dose, solved as an ODE; 8 subjects, concentrations and responses."""

import numpyro.distributions as dist
from design import records

from pkpd import FitProblem, Population, logit_normal, lognormal, lognormal_error, proportional_error, read_cohort, run
from pkpd.models.classic import indirect_response_I as model


def problem(quick: bool) -> FitProblem:
    times = {"cp": (0.5, 1.0, 2.0, 4.0, 8.0, 24.0), "effect": (2.0, 6.0, 12.0, 24.0, 48.0, 72.0)}
    table = records(model, 8, [(0.0, "oral", 100.0, 0.0)], times)
    population = Population(
        ka=lognormal(dist.LogNormal(0.0, 0.4)),
        CL=lognormal(dist.LogNormal(1.1, 0.4), between=dist.HalfNormal(0.4)),
        V=lognormal(dist.LogNormal(3.2, 0.4)),
        kout=lognormal(dist.LogNormal(-2.3, 0.4)),
        R0=lognormal(dist.LogNormal(2.3, 0.4), between=dist.HalfNormal(0.4)),
        EC50=lognormal(dist.LogNormal(0.0, 0.5)),
        Emax=logit_normal(dist.Beta(8, 2)),
    )
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "effect": "ng/mL"}})
    noise = {"cp": proportional_error(dist.HalfNormal(0.3)), "effect": lognormal_error(dist.HalfNormal(0.3))}
    return FitProblem(model, cohort, population, noise, name="indirect_response")


if __name__ == "__main__":
    run(problem)
