"""Theophylline in 12 subjects: the small fit that two pages of the guide share (about a minute, and far fewer draws than a real one)."""

from pathlib import Path

import numpyro.distributions as dist

from pkpd import Fit, FitError, FitProblem, Population, Sampler, additive_error, load_fit, lognormal, read_cohort, sample
from pkpd.models.classic import one_compartment_oral

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data" / "theophylline" / "theophylline.csv"
SAVED = ROOT / "docs" / "_build" / "theophylline_fit"

# data
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
cohort = read_cohort(DATA, one_compartment_oral, units=UNITS, name="theophylline")
# population
population = Population(
    ka=lognormal(dist.LogNormal(0.4, 1.0), between=dist.HalfNormal(1.0)),
    CL=lognormal(dist.LogNormal(1.0, 1.0), between=dist.HalfNormal(1.0)),
    V=lognormal(dist.LogNormal(3.5, 1.0), between=dist.HalfNormal(1.0)),
)
# problem
problem = FitProblem(
    one_compartment_oral,
    cohort,
    population,
    noise={"cp": additive_error(dist.HalfNormal(2.0))},
    name="theophylline",
    title="Theophylline: oral absorption in 12 subjects",
    sampler=Sampler(chains=4, draws=250, warmup=250),
)
# end of problem


# fit
def small_fit() -> Fit:
    """The fit of `problem`, from the folder where an earlier call left it; made now if there is none, or another model's or data set's."""
    try:
        return load_fit(SAVED, problem)
    except FitError:
        sample(problem, seed=1, progress=False).save(SAVED)
        return load_fit(SAVED, problem)
