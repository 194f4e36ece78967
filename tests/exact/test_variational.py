"""The guide on densities that are known, the judgement of its bound, and a fit whose posterior is known."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import FitError, variational
from pkpd.approximate import guide
from pkpd.approximate.guide import Ascent, ascend
from pkpd.approximate.importance import importance_weights
from pkpd.approximate.laws import Law
from pkpd.approximate.pathfinder import weighed
from pkpd.approximate.target import Target
from pkpd.approximate.variational import _unsettled
from tests.exact.test_laplace import known, linear
from tests.exact.test_pathfinder import MEAN, ROOT, D, funnel, normal
from tests.small import problem


def test_a_normal_posterior_is_found_from_afar():
    """A standard normal start, 2 sd off: centre and covariance to the noise of averaged Adam steps (seen: 0.04 sd, 8 %), weights nearly equal."""
    target = Target(normal, np.zeros(D))
    found = ascend(target, Law(np.zeros(D), np.eye(D)), 800, jax.random.PRNGKey(0))
    sd = np.sqrt(np.diag(ROOT @ ROOT.T))
    assert np.all(np.abs(found.law.centre - MEAN) < 0.15 * sd)
    assert np.sqrt(np.diag(found.law.root @ found.law.root.T)) == pytest.approx(sd, rel=0.15)
    w = importance_weights(weighed(target, [found.law], 2000, jax.random.PRNGKey(2))[1])
    assert w.pareto_k < 0.3 and w.ess > 1400
    assert np.mean(found.trace[-200:]) == pytest.approx(-7.0 + np.linalg.slogdet(ROOT)[1], abs=0.1)


def test_low_rank_beyond_many_unknowns(monkeypatch):
    """With the full covariance given up above three unknowns, one common factor is found: correlation 1/2 and more between all pairs."""
    monkeypatch.setattr(guide, "FULL", 3)
    potential = lambda v: 0.5 * v @ jnp.linalg.solve(jnp.eye(D) + jnp.ones((D, D)), v)  # noqa: E731
    found = ascend(Target(potential, np.zeros(D)), Law(np.zeros(D), np.eye(D)), 600, jax.random.PRNGKey(1))
    covariance = found.law.root @ found.law.root.T
    assert covariance == pytest.approx(np.eye(D) + 1.0, abs=0.35)


def test_a_funnel_is_refused():
    found = ascend(Target(funnel, np.zeros(10)), Law(np.zeros(10), np.eye(10)), 300, jax.random.PRNGKey(3))
    w = importance_weights(weighed(Target(funnel, np.zeros(10)), [found.law], 2000, jax.random.PRNGKey(4))[1])
    assert w.pareto_k > 0.7


def test_a_bound_that_still_rises_is_told():
    trace = np.linspace(-100.0, 0.0, 400) + 0.1 * np.random.default_rng(0).normal(size=400)
    rising, flat = (Ascent(Law(np.zeros(1), np.eye(1)), x, 0) for x in (trace, 0.1 * trace * 0.001))
    assert flat.settled and not rising.settled and _unsettled(flat, 400) == ()
    assert _unsettled(rising, 400) == (
        (
            "the evidence lower bound was still rising",
            "The evidence lower bound rose by 25 (standard error 1) in the last quarter of 400 steps.",
            "Ask for steps=800.",
        ),
    )


def test_draws_without_a_density_are_left_out_and_counted():
    target = Target(lambda v: jnp.where(v[0] > 1.5, jnp.nan, 0.5 * jnp.sum(v**2)), np.zeros(2))
    found = ascend(target, Law(np.zeros(2), np.eye(2)), 20, jax.random.PRNGKey(0))
    assert 0 < found.failed < 160 and np.isfinite(found.law.centre).all()


def test_what_it_refuses():
    with pytest.raises(FitError) as error:
        variational(problem(), seed=1, steps=0)
    assert str(error.value) == "variational(..., steps=0): a whole number of at least 1 is needed."


@pytest.mark.slow
def test_the_fit_is_the_known_posterior_and_repeats():
    """As of `laplace`: 4.5 standard errors at 540 effective draws, 12 numbers, false-alarm rate 8e-5."""
    fit = variational(linear(), seed=2, steps=100)
    mean, covariance = known(linear())
    post, sd = fit.tree["posterior"], np.sqrt(np.diag(covariance))
    found = np.c_[np.log(post["V"].to_numpy()[0]), post["eta_V"].to_numpy()[0]]
    assert np.all(np.abs(found.mean(0) - mean) < 4.5 * sd / np.sqrt(540)) and found.std(0) == pytest.approx(sd, rel=4.5 / np.sqrt(1080))
    assert fit.verdict.headline.startswith("Approximation (variational inference), re-weighted to the exact posterior: ")
    assert np.array_equal(variational(linear(), seed=2, steps=100).tree["posterior"]["V"], post["V"])
