"""Paths and their mixture on densities that are known: a normal law, two modes, a funnel; then a fit whose posterior is known."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

from pkpd import FitError, Population, fixed, lognormal, pathfinder, proportional_error
from pkpd.approximate.as_fit import opened
from pkpd.approximate.importance import importance_weights
from pkpd.approximate.laws import Law, mixture_log_density
from pkpd.approximate.pathfinder import weighed
from pkpd.approximate.paths import follow
from pkpd.approximate.target import Target
from pkpd.inference.approximated import Approximation
from tests.exact.test_laplace import known, linear
from tests.small import problem

D = 5
ROOT = np.linalg.cholesky(0.5 * np.eye(D) + 0.5 * np.ones((D, D)) + np.diag(np.arange(D)))
MEAN = np.arange(D) - 1.0


def normal(v):
    away = jnp.linalg.solve(ROOT, v - MEAN)
    return 0.5 * away @ away + 7.0


def funnel(v):
    """Neal's: v_0 ~ N(0, 3), the others N(0, exp(v_0 / 2))."""
    return 0.5 * (v[0] / 3.0) ** 2 + 0.5 * jnp.sum(v[1:] ** 2) * jnp.exp(-v[0]) + 0.5 * (len(v) - 1) * v[0]


def two_modes(v):
    """0.7 of the mass around -6, 0.3 around 6, sd 1 in three dimensions."""
    near = lambda m: -0.5 * jnp.sum((v - m) ** 2)  # noqa: E731
    return -jnp.logaddexp(jnp.log(0.7) + near(-6.0), jnp.log(0.3) + near(6.0))


def paths_of(potential, starts, seed=0):
    target = Target(potential, np.zeros(starts.shape[1]))
    found = [follow(target, s, k) for s, k in zip(starts, jax.random.split(jax.random.PRNGKey(seed), len(starts)), strict=True)]
    return target, [p for p in found if p is not None]


def test_a_normal_posterior_is_found_with_its_normalising_constant():
    """Centre within 0.02 sd (a Newton step would gain 1e-8), weights of a t law, and their mean the constant -7 + log |root|, (D/2) ln 2 pi left out."""
    target, found = paths_of(normal, 3.0 * np.random.default_rng(1).normal(size=(2, D)))
    laws = [p.law for p in found]
    assert laws[0].centre == pytest.approx(MEAN, abs=0.02 * np.sqrt(np.diag(ROOT @ ROOT.T)).max())
    exact = -7.0 + np.linalg.slogdet(ROOT)[1]
    v, ratio = weighed(target, laws, 2000, jax.random.PRNGKey(2))
    w = importance_weights(ratio)
    assert w.ess > 1400 and w.pareto_k < 0.3
    assert np.log(np.mean(np.exp(ratio))) == pytest.approx(exact, abs=4.5 / np.sqrt(w.ess))  # false-alarm rate 7e-6
    assert w.weight @ v == pytest.approx(MEAN, abs=4.5 * np.sqrt(np.diag(ROOT @ ROOT.T).max() / w.ess))  # 5 numbers: 4e-5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_funnel_is_refused(seed):
    """Ten dimensions, whose body a normal law covers but never its mouth: k above 0.7 or fewer than 100 effective draws, by the tails of Student's t."""
    target, found = paths_of(funnel, 2.0 * np.random.default_rng(seed).normal(size=(3, 10)), seed)
    _, ratio = weighed(target, [p.law for p in found], 2000, jax.random.PRNGKey(4))
    w = importance_weights(ratio)
    verdict = Approximation("Pathfinder", 2000, 1000, w.failed, w.pareto_k, w.ess).judge()
    assert w.pareto_k > 0.7 and not verdict.converged and "must not be used as the posterior" in verdict.headline


def test_the_mixture_gives_two_modes_their_mass():
    """0.7 to 0.3, though as many draws are made of either: 4.5 standard errors of a share of 0.7 at the effective number of draws."""
    target, found = paths_of(two_modes, np.array([[-7.0, -5.0, -4.0], [5.0, 7.0, 3.0]]))
    v, ratio = weighed(target, [p.law for p in found], 4000, jax.random.PRNGKey(5))
    w = importance_weights(ratio)
    assert w.weight @ (v[:, 0] < 0) == pytest.approx(0.7, abs=4.5 * np.sqrt(0.21 / w.ess)) and w.ess > 1000


def test_a_start_without_a_density_is_moved_in():
    """Nothing can be solved beyond 3: a start at 10 is halved twice."""
    target = Target(lambda v: jnp.where(v[0] > 3.0, jnp.nan, 0.5 * jnp.sum(v**2)), np.zeros(2))
    path = follow(target, np.array([10.0, 0.0]), jax.random.PRNGKey(0))
    assert path is not None and path.moved == 2
    nowhere = Target(lambda v: jnp.nan * jnp.sum(v), np.zeros(2))
    assert follow(nowhere, np.ones(2), jax.random.PRNGKey(0)) is None


def test_the_density_of_a_mixture():
    """Against SciPy's t, whose density has the ln 2 pi / 2 that is left out."""
    laws = [Law(np.zeros(1), np.eye(1)), Law(np.ones(1), 2 * np.eye(1))]
    exact = 0.5 * stats.t(5).pdf(0.3) + 0.5 * stats.t(5, loc=1, scale=2).pdf(0.3)
    assert np.exp(mixture_log_density(laws, np.array([[0.3]]))[0] - 0.5 * np.log(2 * np.pi)) == pytest.approx(exact)


def test_what_it_refuses():
    with pytest.raises(FitError) as error:
        pathfinder(problem(), seed=1, paths=0)
    assert str(error.value) == "pathfinder(..., paths=0): a whole number of at least 1 is needed."


@pytest.mark.slow
def test_the_fit_is_the_known_posterior_and_repeats():
    """As of `laplace`: 4.5 standard errors at 540 effective draws, 12 numbers, false-alarm rate 8e-5."""
    fit = pathfinder(linear(), seed=2, paths=2)
    mean, covariance = known(linear())
    post, sd = fit.tree["posterior"], np.sqrt(np.diag(covariance))
    found = np.c_[np.log(post["V"].to_numpy()[0]), post["eta_V"].to_numpy()[0]]
    assert np.all(np.abs(found.mean(0) - mean) < 4.5 * sd / np.sqrt(540)) and found.std(0) == pytest.approx(sd, rel=4.5 / np.sqrt(1080))
    assert fit.verdict.headline.startswith("Approximation (Pathfinder), re-weighted to the exact posterior: ")
    assert np.array_equal(pathfinder(linear(), seed=2, paths=2).tree["posterior"]["V"], post["V"])


@pytest.mark.slow
def test_without_random_effects_it_goes_through_all_unknowns():
    """CL alone is free: its posterior by Pathfinder against a grid."""
    p = problem(population=Population(CL=lognormal(dist.LogNormal(1.0, 0.7)), V=fixed(20.0)), noise={"cp": proportional_error(0.3)})
    fit = pathfinder(p, seed=1, paths=2)
    assert "Paths of all unknowns." in " ".join(json.loads(fit.tree.attrs["report"])["assumptions"])
    space = opened(p)
    grid = np.linspace(np.log(1.0), np.log(8.0), 400)
    log_p = -np.array(jax.jit(lambda z: jax.lax.map(lambda x: space.potential(x[None], {}), z))(jnp.asarray(grid)))
    w = np.exp(log_p - log_p.max())
    w /= w.sum()
    mean = w @ grid
    sd = np.sqrt(w @ (grid - mean) ** 2)
    x = np.log(fit.tree["posterior"]["CL"].to_numpy().ravel())
    assert x.mean() == pytest.approx(mean, abs=4.5 * sd / np.sqrt(500)) and x.std() == pytest.approx(sd, rel=4.5 / np.sqrt(1000))
