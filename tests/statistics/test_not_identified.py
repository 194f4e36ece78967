"""A model whose data see a ratio of two parameters only: the fit converges, and says so of the ratio."""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import (
    Component,
    Dose,
    FitProblem,
    Observable,
    Param,
    Population,
    Sampler,
    State,
    compose,
    lognormal,
    lognormal_error,
    loss,
    read_cohort,
    sample,
    total,
)

body = Component(
    "body",
    states=(State("central", "mg", "in the body"),),
    params=tuple(
        Param(name, value, unit, meaning, source="assumption")
        for name, value, unit, meaning in (
            ("k", 0.2, "1/h", "elimination"),
            ("V", 20.0, "L", "volume"),
            ("F", 0.5, "1", "share that arrives"),
        )
    ),
    rates=lambda t, y, p, s: total(loss("central", p.k * y.central)),
    doses=Dose("iv", into="central", unit="mg"),
)
model = compose("scaled", body, observables=[Observable("cp", "mg/L", lambda y, p, s: p.F * y.central / p.V, "concentration")])


def problem() -> FitProblem:
    times, rng = (1.0, 4.0, 8.0, 12.0), np.random.default_rng(1)
    f = 0.5 * 100.0 / 20.0 * np.exp(-0.2 * np.array(times))
    looks = [
        {"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "DV": y} for t, y in zip(times, f * np.exp(0.1 * rng.normal(size=4)), strict=True)
    ]
    table = pd.DataFrame([{"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "DV": np.nan}, *({"ID": 1, **x} for x in looks)])
    cohort = read_cohort(table, model=model, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    priors = {"k": dist.LogNormal(-1.6, 1.0), "V": dist.LogNormal(3.0, 0.7), "F": dist.LogNormal(-0.7, 0.5)}
    population = Population(**{n: lognormal(p) for n, p in priors.items()})
    return FitProblem(
        model, cohort, population, {"cp": lognormal_error(0.1)}, name="scaled", sampler=Sampler(chains=2, draws=600, warmup=200)
    )


@pytest.mark.slow
def test_the_verdict_names_the_ratio():
    """The posterior of ln V - ln F is narrow (0.07), that of ln V + ln F its prior's: exactly 1 along it, here within its Monte Carlo error (0.05)."""
    assert jax.config.jax_enable_x64
    fit = sample(problem(), seed=3, progress=False)
    assert fit.verdict.converged, fit.verdict
    assert fit.verdict.headline.startswith("Converged, but NOT IDENTIFIED (V and F not apart, ")
    (told,) = fit.verdict.not_identified
    assert told.startswith("The data see F/V, not V and F apart: along ln V + ln F the posterior is ")
    assert fit.verdict.next_steps[-1] == (
        "Fix one of V and F, give one a prior with a source, or sample F/V instead: what they are apart is what the priors say."
    )
