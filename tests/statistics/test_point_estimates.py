"""Maximum likelihood by FOCEI: theophylline against nlme and saemix, and values that made a simulated cohort found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import Population, lognormal, maximise, objective, proportional_error, read_cohort, simulate
from pkpd.cli.fitfile import load_problem
from pkpd.models.classic import one_compartment_iv
from tests.small import UNITS, problem

SAEMIX = {
    "ka": 1.590739,
    "CL": 2.73877,
    "V": 31.720918,
    "omega_ka": 0.39921**0.5,
    "omega_CL": 0.074336**0.5,
    "omega_V": 0.0175**0.5,
    "sigma_cp": 0.698701,
}
"""Its estimates on the 132 rows with an additive residual, whose -2 log likelihood it gives as 360.75 by importance sampling."""


@pytest.fixture(scope="module")
def theophylline(root):
    p = load_problem(root / "fits" / "theophylline.py")(quick=True)
    return p, maximise(p, "FOCEI")


@pytest.mark.slow
def test_it_converges_with_little_shrinkage(theophylline):
    _, found = theophylline
    assert found.verdict.converged and found.verdict.reasons == () and found.condition_number < 3
    assert np.all(found.shrinkage < 0.2) and found.individual.unsettled == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ka", "CL", "V", "omega_ka", "omega_CL", "omega_V", "sigma_cp"])
def test_estimates_lie_near_those_of_nlme_and_saemix(theophylline, root, name):
    """The methods differ: nlme alternates linearised fits, saemix maximises the integral. Seen are 0.23 standard errors in V (nlme) and 0.14 in omega_V
    (saemix), where the two references differ by 0.17 in V among themselves.
    """
    _, found = theophylline
    nlme = pd.read_csv(root / "data" / "theophylline" / "nlme_reference.csv").set_index("quantity")["estimate"][name]
    row = found.table.loc[name]
    assert abs(row["estimate"] - nlme) < 0.3 * row["se"] and abs(row["estimate"] - SAEMIX[name]) < 0.3 * row["se"], (
        row,
        nlme,
        SAEMIX[name],
    )


@pytest.mark.slow
def test_standard_errors_lie_near_those_of_nlme(theophylline, root):
    """Its own are by a linear model; within a tenth."""
    _, found = theophylline
    nlme = pd.read_csv(root / "data" / "theophylline" / "nlme_reference.csv").set_index("quantity")["se"]
    names = ["ka", "CL", "V", "omega_ka", "omega_CL", "omega_V", "sigma_cp"]
    assert found.table.loc[names, "se"].to_numpy() == pytest.approx(nlme[names].to_numpy(), rel=0.1)


@pytest.mark.slow
def test_the_integral_at_the_values_of_saemix(theophylline):
    """360.7505 by importance sampling, whose standard error is about 0.1."""
    p, _ = theophylline
    assert -2 * objective(p, SAEMIX, "exact", 5).log_likelihood == pytest.approx(360.7505, abs=0.1)


@pytest.mark.slow
def test_it_is_a_minimum(theophylline):
    """Any value moved by a tenth of its standard error costs 0.01 and more."""
    p, found = theophylline
    moved = [
        found.values | {n: found.values[n] + s * 0.2 * found.table.loc[n, "se"]} for n in ("ka", "omega_V", "sigma_cp") for s in (-1, 1)
    ]
    assert all(objective(p, v).value > found.objective.value for v in moved)


TRUTH = {"CL": 3.0, "V": 20.0, "omega_CL": 0.3, "omega_V": 0.25, "corr_CL_V": 0.5, "sigma_cp": 0.1}


def simulated(n=40, seed=11):
    rng = np.random.default_rng(seed)
    cov = 0.5 * 0.3 * 0.25
    eta = rng.multivariate_normal([0, 0], [[0.09, cov], [cov, 0.0625]], size=n)
    dose = {"TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "DVID": "", "MDV": 1}
    looks = [{"TIME": t, "EVID": 0, "AMT": 0.0, "CMT": "", "DVID": "cp", "MDV": 0} for t in (0.5, 4.0, 10.0, 20.0)]
    table = pd.DataFrame([{"ID": i + 1, **row} for i in range(n) for row in (dose, *looks)])
    theta = {"CL": 3.0 * np.exp(eta[:, 0]), "V": 20.0 * np.exp(eta[:, 1])}
    f = simulate(one_compartment_iv, table, theta, units={"TIME": "h", "AMT": "mg"})["cp"].to_numpy()
    return table.assign(DV=np.where(table["EVID"] == 0, f * (1 + 0.1 * rng.normal(size=len(f))), np.nan)), eta


@pytest.fixture(scope="module")
def recovered():
    table, eta = simulated()
    specs = {n: lognormal(dist.LogNormal(m, 1.0), between=dist.HalfNormal(0.5)) for n, m in (("CL", 0.0), ("V", 2.0))}
    p = problem(population=Population(**specs, correlation=("CL", "V")), noise={"cp": proportional_error(dist.HalfNormal(0.5))})
    return maximise(replace(p, cohort=read_cohort(table, model=one_compartment_iv, units=UNITS)), "FOCEI"), eta


@pytest.mark.slow
def test_values_that_made_the_data_are_found_again(recovered):
    """Six estimates within 4 standard errors: false alarms in 4 of 10^4 runs; the start is a factor of 3 away."""
    found, _ = recovered
    z = [(found.values[n] - x) / found.table.loc[n, "se"] for n, x in TRUTH.items()]
    assert found.verdict.converged and np.all(np.abs(z) < 4), found.table


@pytest.mark.slow
def test_modes_follow_the_subjects(recovered):
    """40 modes of CL and V, each within 5 of its standard deviations of what made it: false alarms in 5 of 10^5 runs."""
    found, eta = recovered
    own = found.individual
    shift = np.log([TRUTH["CL"] / found.values["CL"], TRUTH["V"] / found.values["V"]])
    assert np.max(np.abs((own.eta - eta - shift) / own.se)) < 5
    assert np.all(own.shrinkage.to_numpy() < 0.3)
