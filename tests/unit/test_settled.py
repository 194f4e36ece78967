"""Weights from a pilot's draws: non-centred where only the prior speaks, centred where the rows do; and the same effects in other coordinates."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from pkpd import Population, lognormal
from pkpd.inference.pilot import parts
from pkpd.inference.recentre import drawn, recentred
from pkpd.inference.settled import best_weight, settled_weights
from pkpd.inference.space import Space
from tests.small import population, problem

RNG = np.random.default_rng(5)
S, N = 400, 12


def draws(sd_of_rows: float):
    """Effects drawn from a posterior whose spread is uncertain: rows with that sd around effects of spread 0.3."""
    log_s = np.log(0.3) + 0.6 * RNG.normal(size=(S, 1))
    y = 0.3 * RNG.normal(size=N)
    v = 1 / (1 / np.exp(2 * log_s) + 1 / sd_of_rows**2)
    phi = v * y / sd_of_rows**2 + np.sqrt(v) * RNG.normal(size=(S, N))
    return phi, np.zeros((S, N)), log_s


@pytest.mark.parametrize(("sd", "low", "high"), [(0.01, 0.85, 1.0), (30.0, 0.0, 0.1), (0.3, 0.2, 0.8)])
def test_rows_that_speak_centre_and_rows_that_do_not_leave_the_prior(sd, low, high):
    assert low <= best_weight(*draws(sd)) <= high


@pytest.fixture(scope="module")
def space():
    return Space(problem())


@pytest.mark.slow
def test_the_same_effects_and_density_of_individual_parameters_in_other_coordinates(space):
    old = {n: jnp.full(len(space.problem.cohort.subjects), 0.7) for n in space.problem.population.varying}
    new = {n: jnp.full(len(space.problem.cohort.subjects), 0.2) for n in old}
    z = space.start(old) + 0.1 * jax.random.normal(jax.random.PRNGKey(0), (space.size,))
    there = recentred(space, z, old, new)
    for a, b in zip(drawn(space, z, old), drawn(space, there, new), strict=True):
        np.testing.assert_allclose(a.phi, b.phi, rtol=1e-12)
    np.testing.assert_allclose(space.rows(z, old)[0], space.rows(there, new)[0], rtol=1e-8)
    stretch = jnp.linalg.slogdet(jax.jacobian(lambda x: recentred(space, x, old, new))(z))[1]
    np.testing.assert_allclose(space.potential(z, old), space.potential(there, new) - stretch, rtol=1e-9)


def test_weights_that_were_asked_for_are_kept():
    asked = population(V=lognormal(dist.LogNormal(3.0, 0.7), between=dist.HalfNormal(0.5), centred=0.37))
    held = Space(problem(population=asked))
    old = held.full_weights | {"V": jnp.full(6, 0.37)}
    found = settled_weights(held, np.asarray(held.start(old)) + 0.1 * RNG.normal(size=(40, held.size)), old)
    assert found["V"].tolist() == [0.37] * 6
    assert 0 <= float(found["CL"].min()) == float(found["CL"].max()) <= 1


@pytest.mark.parametrize(
    ("warmup", "pilot", "rest"), [(150, None, 150), (200, (50, 50), 100), (500, (150, 100), 250), (1000, (300, 200), 500)]
)
def test_the_pilot_takes_half_of_the_warm_up(warmup, pilot, rest):
    made = problem()
    first, then = parts(made, replace(made.sampler, warmup=warmup))
    assert (first and (first.warmup, first.draws), then.warmup) == (pilot, rest)


def test_where_every_weight_is_asked_for_there_is_no_pilot():
    made = problem()
    asked = {n: replace(v, centred=True) if v.varies else v for n, v in made.population.parameters.items()}
    assert parts(replace(made, population=Population(**asked)), replace(made.sampler, warmup=1000))[0] is None
