"""Two correlated random effects and censored rows: the integral against a brute-force one, gradients against differences, refusals in words."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from pkpd import Population, Solver, ebe, lognormal, objective, read_cohort
from pkpd.approximate.compiled import marginal_of
from pkpd.approximate.surface import Surface
from pkpd.models.classic import one_compartment_iv
from tests.small import UNITS, problem, records

VALUES = {"CL": 3.2, "V": 19.0, "omega_CL": 0.35, "omega_V": 0.25, "corr_CL_V": 0.4, "sigma_cp": 0.17}


@pytest.fixture(scope="module")
def censored():
    """Three subjects; their last samples are below the limit."""
    cohort = read_cohort(records(3, lloq=0.6), model=one_compartment_iv, units=UNITS)
    found = replace(problem(population=population_joined()), cohort=cohort)
    assert 3 <= np.sum(found.rows.cens == 1) <= 9
    return found


@pytest.fixture(scope="module")
def measured():
    cohort = read_cohort(records(3, lloq=0.0), model=one_compartment_iv, units=UNITS)
    return replace(problem(population=population_joined()), cohort=cohort)


def population_joined():
    return Population(
        CL=lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5)),
        V=lognormal(dist.LogNormal(3.0, 0.7), between=dist.HalfNormal(0.5)),
        correlation=("CL", "V"),
    )


def brute_force(p):
    """-2 log of the integral over a grid of 201 x 201 points within 7 standard deviations: the trapezoidal rule is spectrally exact here."""
    s, cov = VALUES, np.array([[0.35**2, 0.4 * 0.35 * 0.25], [0.4 * 0.35 * 0.25, 0.25**2]])
    u = np.linspace(-7, 7, 201)
    grid = np.stack(np.meshgrid(u, u, indexing="ij"), -1).reshape(-1, 2)
    eta = grid @ np.linalg.cholesky(cov).T
    cl, v = s["CL"] * np.exp(eta[:, 0]), s["V"] * np.exp(eta[:, 1])
    table, total = p.cohort.observations, []
    for _, one in table.groupby("subject"):
        f = (100 / v)[:, None] * np.exp(-(cl / v)[:, None] * one["time"].to_numpy())
        sd, y, cens = s["sigma_cp"] * f, one["dv"].to_numpy(), one["cens"].to_numpy()
        terms = np.where(cens == 1, norm.logcdf((y - f) / sd), norm.logpdf(y, f, sd) + 0.5 * np.log(2 * np.pi))
        total.append(-2 * (logsumexp(terms.sum(1) + norm.logpdf(grid).sum(1)) + 2 * np.log(u[1] - u[0])))
    return np.array(total)


@pytest.mark.slow
@pytest.mark.parametrize("which", [pytest.param("measured", marks=pytest.mark.slow), "censored"])
def test_quadrature_is_the_integral(request, which):
    """20 nodes a random effect against the grid; the censored tail makes the integrand the less normal one."""
    p = request.getfixturevalue(which)
    assert objective(p, VALUES, "exact", 20).by_subject.to_numpy() == pytest.approx(brute_force(p), abs=1e-5)


@pytest.mark.slow
def test_laplace_takes_censored_rows_and_is_near_the_integral(censored):
    """Laplace errs by the third and fourth derivatives: hundredths here, where six rows inform two random effects."""
    found = objective(censored, VALUES, "Laplace")
    assert found.by_subject.to_numpy() == pytest.approx(brute_force(censored), abs=0.3)
    assert set(found.individual.status) == {"converged"} and np.all(found.individual.gradient < 1e-6)


@pytest.mark.parametrize(
    ("which", "method"),
    [
        pytest.param("measured", "FO", marks=pytest.mark.slow),
        pytest.param("measured", "FOCEI", marks=pytest.mark.slow),
        pytest.param("censored", "Laplace", marks=pytest.mark.slow),
        pytest.param("censored", "exact", marks=pytest.mark.slow),
    ],
)
def test_the_gradient_follows_the_modes(request, which, method):
    """Differences of fourth order and step 1e-3: error 3e-14 of the fifth derivative (up to 1e5), and rounding 1e-12 of 1e3 / 1e-3."""
    surface = Surface(marginal_of(request.getfixturevalue(which), method, 5), prior=True)
    values = surface.marginal.rows.values
    z, u = np.asarray(values.flat(values.sampled(VALUES))), jnp.zeros(surface.marginal.rows.shape)
    _, gradient, modes = surface.evaluate(z, u)
    at = lambda step: np.array([surface.evaluate(z + step * e, modes)[0] for e in np.eye(len(z))])  # noqa: E731
    h = 1e-3
    assert gradient == pytest.approx((8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h), abs=1e-5)


@pytest.mark.slow
def test_a_solver_of_first_derivatives_gives_the_same(measured):
    """At rtol 1e-9 a stepping solver, whose second derivatives are differences, against the closed form: 1e-9 x n r^2 / s^2 in the value (1e-6), 1e-7 / step
    0.02 in what is differenced."""
    stepping = replace(measured, solver=Solver(method="tsit5_batched", rtol=1e-9, atol=1e-11))
    at = []
    for p in (measured, stepping):
        surface = Surface(marginal_of(p, "FOCEI"))
        z = np.asarray(surface.marginal.rows.values.flat(surface.marginal.rows.values.sampled(VALUES)))
        at.append(surface.evaluate(z, jnp.zeros(surface.marginal.rows.shape)))
    assert marginal_of(measured, "FOCEI").rows.twice and not marginal_of(stepping, "FOCEI").rows.twice
    assert at[1][0] == pytest.approx(at[0][0], abs=1e-5)
    assert at[1][1] == pytest.approx(at[0][1], abs=1e-3)
    assert np.asarray(at[1][2]) == pytest.approx(np.asarray(at[0][2]), abs=1e-6)


@pytest.mark.slow
def test_correlated_effects_are_told_on_their_own_scale(measured):
    found = ebe(measured, VALUES)
    assert found.effects == ("eta_CL", "eta_V") and found.omega == pytest.approx([0.35, 0.25])
    assert found.parameters["CL"].to_numpy() == pytest.approx(3.2 * np.exp(found.eta[:, 0]))
    assert found.covariance.shape == (3, 2, 2) and np.all(found.se < found.omega)


@pytest.mark.slow
def test_laplace_with_such_a_solver_descends_by_differences(censored):
    """Differences of the objective of step 0.01: 2e-5 of the third derivative (up to 1e3 here), and 1e-6 / 0.01 of noise."""
    stepping = replace(censored, solver=Solver(method="tsit5_batched", rtol=1e-9, atol=1e-11))
    at = []
    for p in (censored, stepping):
        surface = Surface(marginal_of(p, "Laplace"))
        z = np.asarray(surface.marginal.rows.values.flat(surface.marginal.rows.values.sampled(VALUES)))
        at.append(surface.evaluate(z, jnp.zeros(surface.marginal.rows.shape)))
    assert at[1][0] == pytest.approx(at[0][0], abs=1e-4)
    assert at[1][1] == pytest.approx(at[0][1], abs=2e-2)
