"""The profile likelihood of a linear mixed model has a closed form; what the data do not bound is said."""

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import FitError, FitProblem, Population, fixed, lognormal, lognormal_error, maximise, profile, read_cohort
from pkpd.approximate.profile import LEVEL, Profile, _crossing
from pkpd.models.classic import one_compartment_iv
from pkpd.plots import plot_profile

N, M = 8, 4


@pytest.fixture(scope="module")
def problem():
    """Bolus of 100 mg and next to no elimination: log y_ij = log(100 / V) - eta_i + e_ij, balanced."""
    rng, rows = np.random.default_rng(4), []
    for i in range(N):
        rows.append({"ID": i + 1, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "DVID": "", "MDV": 1, "DV": np.nan})
        y = np.log(5.0) - 0.3 * rng.normal() + 0.15 * rng.normal(size=M)
        rows += [
            {"ID": i + 1, "TIME": j + 1.0, "EVID": 0, "AMT": 0.0, "CMT": "", "DVID": "cp", "MDV": 0, "DV": np.exp(x)}
            for j, x in enumerate(y)
        ]
    cohort = read_cohort(pd.DataFrame(rows), model=one_compartment_iv, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    spec = {"V": lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(1.0)), "CL": fixed(1e-12)}
    return FitProblem(one_compartment_iv, cohort, Population(**spec), {"cp": lognormal_error(dist.HalfNormal(1.0))}, name="linear")


@pytest.fixture(scope="module")
def estimates(problem):
    return maximise(problem)


@pytest.fixture(scope="module")
def found(problem, estimates):
    return profile(problem, estimates, ["V"])


@pytest.mark.slow
def test_the_rise_is_that_of_the_closed_form(problem, found):
    """Balanced: rise(mu) = N log(sum (y_i - mu)^2 / sum (y_i - y)^2), y_i the subjects' means; the other values follow exactly (ENOUGH is 1e-4)."""
    table = problem.cohort.observations
    means = np.log(table["dv"].to_numpy()).reshape(N, M).mean(1)
    mu = np.log(100.0 / found.table["value"].to_numpy())
    want = N * np.log(((means - mu[:, None]) ** 2).sum(1) / ((means - means.mean()) ** 2).sum())
    assert found.table["rise"].to_numpy() == pytest.approx(want, abs=1e-3)
    edge = np.sqrt(((means - means.mean()) ** 2).mean() * np.expm1(LEVEL / N))
    line = found.intervals.loc["V"]
    assert [line["lower"], line["upper"]] == pytest.approx([100 / np.exp(means.mean() + edge), 100 / np.exp(means.mean() - edge)], rel=5e-3)
    assert found.verdict == f"V: {line['lower']:.3g} to {line['upper']:.3g} (95 %, by the likelihood)."


def test_it_is_drawn():
    looks = pd.DataFrame({"name": "V", "value": [10.0, 20.0, 40.0], "rise": [5.0, 0.0, 4.0]})
    ends = {"estimate": 20.0, "lower": 12.0, "upper": 35.0, "wald_lower": 11.0, "wald_upper": 36.0, "unit": "L"}
    figure = plot_profile(Profile(looks, pd.DataFrame({"V": ends}).T, "FOCEI"))
    assert figure.axes[0].get_title(loc="left") == "V (L)" and len(figure.axes[0].lines) == 3


@pytest.mark.slow
def test_names_are_checked(problem, estimates):
    with pytest.raises(FitError) as error:
        profile(problem, estimates, ["CL"])
    assert str(error.value) == "linear: 'CL' cannot be profiled. Known: V, omega_V, sigma_cp."


def test_what_the_data_do_not_bound_is_said():
    looks = pd.DataFrame({"name": "k", "value": [0.1, 1.0, 10.0], "rise": [5.0, 0.0, 0.4]})
    ends = {"estimate": 1.0, "lower": 0.2, "upper": np.nan, "wald_lower": np.nan, "wald_upper": np.nan, "unit": "1/h"}
    told = Profile(looks, pd.DataFrame({"k": ends}).T, "FOCEI").verdict
    assert told == "k: NOT BOUNDED by the data above (10 raises the objective by 0.4)."
    better = Profile(looks.assign(rise=[5.0, 0.0, -0.4]), pd.DataFrame({"k": ends}).T, "FOCEI").verdict
    assert better.endswith(
        "The objective falls by 0.4 below that of the estimates: they are not the maximum; run maximise with more starts."
    )
    assert np.isnan(_crossing([1.0, 10.0], [0.0, 0.4], 1.0))
