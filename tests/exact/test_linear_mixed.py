"""A linear mixed model, log y_ij = log(100 / V) - eta_i + e_ij: every method is exact, and modes and maximum have closed forms."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

from pkpd import FitProblem, Population, ebe, fixed, lognormal, lognormal_error, maximise, objective, read_cohort
from pkpd.models.classic import one_compartment_iv

pytestmark = pytest.mark.slow  # what it holds, faster tests hold on smaller systems

V, OMEGA, SIGMA = 20.0, 0.3, 0.15
VALUES = {"V": V, "omega_V": OMEGA, "sigma_cp": SIGMA}
ROUNDING = 1e-9


def cohort_of(counts, seed=4, alike=False):
    """Bolus of 100 mg, nothing eliminated (CL 1e-12 L/h moves ln y by 1e-12), `counts` samples of each subject; `alike`: all subjects' means are equal."""
    rng, rows = np.random.default_rng(seed), []
    for i, n in enumerate(counts):
        rows.append({"ID": i + 1, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "DVID": "", "MDV": 1, "DV": np.nan})
        y = np.log(100 / V) - OMEGA * rng.normal() + SIGMA * rng.normal(size=n)
        y = y - y.mean() + np.log(100 / V) if alike else y
        rows += [
            {"ID": i + 1, "TIME": j + 1.0, "EVID": 0, "AMT": 0.0, "CMT": "", "DVID": "cp", "MDV": 0, "DV": np.exp(x)}
            for j, x in enumerate(y)
        ]
    return read_cohort(pd.DataFrame(rows), model=one_compartment_iv, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})


def problem_of(counts, **how):
    spec = {"V": lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(1.0)), "CL": fixed(1e-12)}
    return FitProblem(
        one_compartment_iv, cohort_of(counts, **how), Population(**spec), {"cp": lognormal_error(dist.HalfNormal(1.0))}, name="linear"
    )


@pytest.fixture(scope="module")
def uneven():
    return problem_of((1, 4, 2, 6, 3))


def by_subject(problem):
    table = problem.cohort.observations
    return [np.log(g["dv"].to_numpy()) for _, g in table.groupby("subject")]


@pytest.mark.parametrize("method", ["FOCEI", "exact", *(pytest.param(m, marks=pytest.mark.slow) for m in ("FO", "Laplace"))])
def test_every_method_is_the_normal_density(uneven, method):
    found = objective(uneven, VALUES, method)
    hand = [
        -2 * stats.multivariate_normal(np.full(len(x), np.log(100 / V)), OMEGA**2 + SIGMA**2 * np.eye(len(x))).logpdf(x) + 2 * x.sum()
        for x in by_subject(uneven)
    ]
    assert found.by_subject.to_numpy() == pytest.approx(np.array(hand) - np.log(2 * np.pi) * np.array([1, 4, 2, 6, 3]), rel=ROUNDING)
    assert found.log_likelihood == pytest.approx(-0.5 * sum(hand), rel=ROUNDING)


def test_modes_variances_and_shrinkage(uneven):
    """eta_i* = -(n / (n + sigma^2 / omega^2)) (mean of ln y - ln 100/V), with variance 1 / (1 / omega^2 + n / sigma^2)."""
    found, x = ebe(uneven, VALUES), by_subject(uneven)
    n = np.array([len(v) for v in x])
    hand = -n / (n + SIGMA**2 / OMEGA**2) * (np.array([v.mean() for v in x]) - np.log(100 / V))
    assert found.effects == ("eta_V",) and found.eta[:, 0] == pytest.approx(hand, rel=ROUNDING)
    assert found.covariance[:, 0, 0] == pytest.approx(1 / (1 / OMEGA**2 + n / SIGMA**2), rel=ROUNDING)
    assert found.parameters["V"].to_numpy() == pytest.approx(V * np.exp(hand), rel=ROUNDING)
    assert found.shrinkage["eta_V"] == pytest.approx(1 - np.std(hand, ddof=1) / OMEGA, rel=1e-8)
    assert found.unsettled == () and list(found.table.columns)[-1] == "status"


@pytest.fixture(scope="module")
def maximum():
    problem = problem_of((4,) * 8)
    return problem, maximise(problem, "FOCEI")


def test_the_maximum_is_that_of_the_analysis_of_variance(maximum):
    """Balanced one-way: mu = mean, sigma^2 = SSW / (N (n - 1)), omega^2 = SSB / N - sigma^2 / n. A gradient of 1e-3 leaves 1e-5 of a standard error."""
    problem, found = maximum
    x = np.array(by_subject(problem))
    within = np.sum((x - x.mean(1, keepdims=True)) ** 2) / (8 * 3)
    between = np.sum((x.mean(1) - x.mean()) ** 2) / 8 - within / 4
    hand = np.array([100 / np.exp(x.mean()), np.sqrt(between), np.sqrt(within)])
    assert found.verdict.converged and found.verdict.headline.startswith("Converged: FOCEI objective")
    estimate = found.table["estimate"]
    assert [estimate[k] for k in ("V", "omega_V", "sigma_cp")] == pytest.approx(hand, rel=1e-5)


def test_standard_errors_are_those_of_the_information(maximum):
    """Var(mu) = (omega^2 + sigma^2/n)/N; Var(sigma^2) = 2 sigma^4 / (N (n-1)); Var(omega^2) = 2 (omega^2 + sigma^2/n)^2 / N + that / n^2, by the delta method.

    Differences of step 1e-3 leave 1e-6 of the curvature; the standard errors take half of it.
    """
    _, found = maximum
    v, omega, sigma = (found.values[k] for k in ("V", "omega_V", "sigma_cp"))
    mean = omega**2 + sigma**2 / 4
    within = 2 * sigma**4 / 24
    hand = [v * np.sqrt(mean / 8), np.sqrt(2 * mean**2 / 8 + within / 16) / (2 * omega), np.sqrt(within) / (2 * sigma)]
    assert [found.table["se"][k] for k in ("V", "omega_V", "sigma_cp")] == pytest.approx(hand, rel=1e-4)
    assert found.table["rse"]["V"] == pytest.approx(100 * found.table["se"]["V"] / v)
    hand_corr = -(within / 4) / np.sqrt(within * (2 * mean**2 / 8 + within / 16))
    assert found.correlation.loc["omega_V", "sigma_cp"] == pytest.approx(hand_corr, rel=1e-3)
    assert found.condition_number == pytest.approx((1 - hand_corr) / (1 + hand_corr), rel=1e-3)


def test_with_priors_the_log_density_is_added(uneven):
    plain, both = objective(uneven, VALUES, "FOCEI"), objective(uneven, VALUES, "FOCEI", prior=True)
    logs = stats.lognorm(1.0, scale=np.exp(3.0)).logpdf(V) + stats.halfnorm().logpdf(OMEGA) + stats.halfnorm().logpdf(SIGMA)
    assert plain.prior is None and both.prior == pytest.approx(-2 * logs)
    assert both.value == pytest.approx(plain.value - 2 * logs) and "penalised" in str(both) and "priors left out" in str(plain)


@pytest.mark.slow
def test_a_spread_of_zero_is_a_boundary_and_the_rest_keep_their_errors():
    """All subjects have the same mean, so that omega = 0: V = exp(-mean), sigma^2 = SS / (N n), var(ln V) = sigma^2 / (N n)."""
    problem = problem_of((4,) * 6, alike=True)
    found, x = maximise(problem, "FOCEI"), np.array(by_subject(problem))
    sigma = np.sqrt(np.mean((x - x.mean()) ** 2))
    assert found.values["omega_V"] < 2e-3 and np.isnan(found.table["se"]["omega_V"])
    assert found.values["V"] == pytest.approx(V, rel=1e-4) and found.values["sigma_cp"] == pytest.approx(sigma, rel=1e-3)
    assert found.table["se"]["V"] == pytest.approx(V * sigma / np.sqrt(24), rel=1e-2)
    assert found.verdict.converged and found.verdict.headline.endswith("; omega_V at a boundary, without standard error.")
    assert found.verdict.headline.startswith("Converged, with a warning: FOCEI objective")
