"""A fit small enough for tests: six simulated subjects, one compartment, closed form."""

import functools

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from pkpd import FitProblem, Population, Sampler, additive_error, lognormal, proportional_error, read_cohort, sample, simulate
from pkpd.models.classic import one_compartment_iv

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}


def records(n: int = 6, seed: int = 3, lloq: float = 0.5) -> pd.DataFrame:
    """Simulated: a bolus of 100 mg, six samples, CL 3 L/h and V 20 L with 30 % between-subject variability, 15 % error, LLOQ 0.5 mg/L."""
    rng = np.random.default_rng(seed)
    times = (0.5, 2.0, 6.0, 12.0, 18.0, 24.0)
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "MDV": 1}
    looks = [{"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "MDV": 0} for t in times]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(n) for row in (dose, *looks)])
    theta = {"CL": 3.0 * np.exp(0.3 * rng.normal(size=n)), "V": 20.0 * np.exp(0.3 * rng.normal(size=n))}
    f = simulate(one_compartment_iv, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    y = f * (1 + 0.15 * rng.normal(size=len(f)))
    low = (y < lloq) & (table["EVID"] == 0).to_numpy()
    dv = np.where(low, lloq, y)
    return table.assign(DV=np.where(table["EVID"] == 0, dv, np.nan), CENS=low.astype(int), DVID=np.where(table["EVID"] == 0, "cp", ""))


def population(**changes) -> Population:
    spec = {
        "CL": lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5)),
        "V": lognormal(dist.LogNormal(3.0, 0.7), between=dist.HalfNormal(0.5)),
    }
    return Population(**(spec | changes))


def problem(**changes) -> FitProblem:
    cohort = read_cohort(records(), model=one_compartment_iv, units=UNITS)
    parts = {
        "population": population(),
        "noise": {"cp": proportional_error(dist.HalfNormal(0.5))},
        "name": "small",
        "simulated": True,
        "sampler": Sampler(chains=2, draws=100, warmup=100),
    }
    return FitProblem(one_compartment_iv, cohort, **(parts | changes))


@functools.cache
def fit():
    """The small problem fitted once for a whole test run."""
    assert jax.config.jax_enable_x64
    return sample(problem(), seed=5, progress=False)


__all__ = ["UNITS", "additive_error", "fit", "population", "problem", "records"]
