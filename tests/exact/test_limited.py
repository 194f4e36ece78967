"""FOCEI with rows below a limit: modes and curvature those of Laplace, gradient by differences, and the integral nearly right."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import Population, lognormal, read_cohort
from pkpd.approximate.compiled import marginal_of, solver_of
from pkpd.approximate.limited import Limited
from pkpd.approximate.posterior_surface import PosteriorSurface
from pkpd.models.classic import one_compartment_iv
from tests.exact.test_marginal_likelihood import VALUES, brute_force
from tests.small import UNITS, problem, records


@pytest.fixture(scope="module")
def censored():
    population = Population(
        CL=lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5)),
        V=lognormal(dist.LogNormal(3.0, 0.7), between=dist.HalfNormal(0.5)),
        correlation=("CL", "V"),
    )
    return replace(problem(population=population), cohort=read_cohort(records(3, lloq=0.6), model=one_compartment_iv, units=UNITS))


@pytest.mark.slow
def test_its_modes_are_those_of_laplace_and_its_value_is_near_the_integral(censored):
    """The mode is the same minimum (1e-6 sd) and l'' there the same matrix; the objective errs as FOCEI does, by tenths of 2 log likelihood."""
    marginal = marginal_of(censored, "Laplace")
    rows = marginal.rows
    own = Limited(rows, "FOCEI with M3")
    population, zero = rows.values.sampled(VALUES), jnp.zeros(rows.shape)
    found, full = solver_of(own)(population, zero), solver_of(marginal)(population, zero)
    assert np.asarray(found.mode.u) == pytest.approx(np.asarray(full.mode.u), abs=1e-6)
    assert np.asarray(found.curvature) == pytest.approx(np.asarray(full.curvature), abs=1e-5)
    exact = np.bincount(rows.subject, weights=rows.problem.rows.cens == 0, minlength=3) * np.log(
        2 * np.pi
    )  # the constant that objectives leave out
    assert np.asarray(found.objective) - exact == pytest.approx(brute_force(censored), abs=0.4)


@pytest.mark.slow
def test_its_gradient_is_that_of_its_value(censored):
    """Against central differences over 1e-4, which err by 1e-5 here."""
    surface = PosteriorSurface(Limited(marginal_of(censored, "Laplace").rows, "FOCEI with M3"))
    rows = surface.marginal.rows
    z, u = np.asarray(rows.values.flat(rows.values.sampled(VALUES))), jnp.zeros(rows.shape)
    slope = [(surface.evaluate(z + 1e-4 * e, u)[0] - surface.evaluate(z - 1e-4 * e, u)[0]) / 2e-4 for e in np.eye(len(z))]
    assert surface.evaluate(z, u)[1] == pytest.approx(np.array(slope), abs=1e-4)
