"""Random effects beyond one a subject, still linear in ln y: occasions, and a residual spread of each subject."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import integrate, stats

from pkpd import FitProblem, Population, by_subject, ebe, fixed, lognormal, lognormal_error, objective, read_cohort
from pkpd.models.classic import one_compartment_iv

V, OMEGA, GAMMA, SIGMA = 20.0, 0.3, 0.2, 0.15
OCCASIONS = {1: (1, 1, 2, 2, 2), 2: (1, 2, 3), 3: (3, 3, 3)}


def cohort(seed=2):
    rng, rows = np.random.default_rng(seed), []
    for i, occ in OCCASIONS.items():
        rows.append({"ID": i, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "CMT": "iv", "DVID": "", "MDV": 1, "DV": np.nan, "OCC": occ[0]})
        eta, kappa = OMEGA * rng.normal(), GAMMA * rng.normal(size=3)
        for j, o in enumerate(occ):
            y = np.exp(np.log(100 / V) - eta - kappa[o - 1] + SIGMA * rng.normal())
            rows.append({"ID": i, "TIME": j + 1.0, "EVID": 0, "AMT": 0.0, "CMT": "", "DVID": "cp", "MDV": 0, "DV": y, "OCC": o})
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "OCC": "1"}
    return read_cohort(pd.DataFrame(rows), model=one_compartment_iv, units=units, covariates=["OCC"])


def problem(v, noise):
    return FitProblem(one_compartment_iv, cohort(), Population(V=v, CL=fixed(1e-12)), {"cp": noise}, name="occasions")


@pytest.fixture(scope="module")
def over_occasions():
    v = lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(1.0)).over("OCC", dist.HalfNormal(0.5))
    return problem(v, lognormal_error(dist.HalfNormal(1.0)))


VALUES = {"V": V, "omega_V": OMEGA, "gamma_V": GAMMA, "sigma_cp": SIGMA}


def parts(p):
    """ln y of each subject, and the design [n, 4] of its eta and three kappas."""
    table = p.cohort.observations
    for (_, g), occ in zip(table.groupby("subject"), OCCASIONS.values(), strict=True):
        yield np.log(g["dv"].to_numpy()), np.column_stack([np.ones(len(occ)), *(np.array(occ) == k for k in (1, 2, 3))])


@pytest.mark.slow
def test_occasions_enter_the_density(over_occasions):
    spread = np.diag([OMEGA, GAMMA, GAMMA, GAMMA]) ** 2
    hand = [
        -2 * stats.multivariate_normal(np.full(len(x), np.log(100 / V)), a @ spread @ a.T + SIGMA**2 * np.eye(len(x))).logpdf(x)
        + 2 * x.sum()
        - len(x) * np.log(2 * np.pi)
        for x, a in parts(over_occasions)
    ]
    assert objective(over_occasions, VALUES, "FOCEI").by_subject.to_numpy() == pytest.approx(np.array(hand), rel=1e-9)


@pytest.mark.slow
def test_modes_of_occasions(over_occasions):
    """-(A'A / sigma^2 + Omega^-1)^-1 A' (x - mean) / sigma^2; an occasion that a subject never had keeps its prior, and does not count in shrinkage."""
    found = ebe(over_occasions, VALUES)
    assert found.effects == ("eta_V", "kappa_V_0", "kappa_V_1", "kappa_V_2")
    for i, (x, a) in enumerate(parts(over_occasions)):
        precision = a.T @ a / SIGMA**2 + np.diag(np.array([OMEGA, GAMMA, GAMMA, GAMMA]) ** -2.0)
        assert found.eta[i] == pytest.approx(-np.linalg.solve(precision, a.T @ (x - np.log(100 / V)) / SIGMA**2), abs=1e-9)
        assert found.covariance[i] == pytest.approx(np.linalg.inv(precision), abs=1e-9)
    assert found.eta[2, 1] == 0.0 and found.se[2, 1] == pytest.approx(GAMMA)
    assert found.shrinkage["kappa_V_0"] == pytest.approx(1 - np.std(found.eta[:2, 1], ddof=1) / GAMMA)


@pytest.mark.slow
def test_a_residual_spread_of_each_subject():
    """The integral over eta is normal, that over ln sigma_i is done by scipy to 1e-8; 20 x 20 nodes around the mode leave 1e-4."""
    p = problem(
        lognormal(dist.LogNormal(3.0, 1.0), between=dist.HalfNormal(1.0)),
        by_subject(lognormal_error(dist.HalfNormal(1.0)), dist.HalfNormal(0.5)),
    )
    values = {"V": V, "omega_V": OMEGA, "sigma_cp": SIGMA, "omega_sigma_cp": 0.3}

    def of(x):
        n = len(x)

        def inside(z):
            cov = OMEGA**2 * np.ones((n, n)) + (SIGMA * np.exp(0.3 * z)) ** 2 * np.eye(n)
            return stats.norm.pdf(z) * stats.multivariate_normal(np.full(n, np.log(100 / V)), cov).pdf(x)

        return -2 * np.log(integrate.quad(inside, -8, 8, epsabs=0, epsrel=1e-8)[0]) + 2 * x.sum() - n * np.log(2 * np.pi)

    found = objective(p, values, "exact", 20)
    assert found.individual.effects == ("eta_V", "eta_sigma_cp")
    assert found.by_subject.to_numpy() == pytest.approx(np.array([of(x) for x, _ in parts(p)]), abs=1e-4)
