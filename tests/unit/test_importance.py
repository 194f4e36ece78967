"""Importance weights and what is said of them: where the approximation is right, where a funnel defeats it, and in which words."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pkpd.approximate.importance import importance_weights, resampled
from pkpd.inference.approximated import Approximation


def weighed(target, law, draws):
    return importance_weights(target.logpdf(draws) - law.logpdf(draws))


def test_a_law_that_is_the_posterior_has_equal_weights():
    found = importance_weights(np.full(2000, -3.0))
    assert found.pareto_k is None and found.ess == pytest.approx(2000) and found.failed == 0


def test_pareto_k_is_that_of_the_ratio():
    """Exponential target over an exponential law of half its scale: the ratio exp(x) has the tail of a Pareto law with k = 1/2 exactly, over 16 seeds
    whose mean has standard error 0.02 (that of one k-hat from 190 tail draws is about 0.08).
    """
    ks = []
    for seed in range(16):
        x = np.random.default_rng(seed).exponential(0.5, 4000)
        ks.append(importance_weights(stats.expon(scale=1.0).logpdf(x) - stats.expon(scale=0.5).logpdf(x)).pareto_k)
    assert np.mean(ks) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("seed", range(5))
def test_a_heavier_law_is_trusted_and_a_funnel_is_not(seed):
    """Student's t around a normal target bounds the ratio (k below 0.3). Neal's funnel by a normal law with the funnel's
    own mean and the neck's variance: above 0.7 (0.83 and more over these seeds, which are fixed)."""
    rng = np.random.default_rng(seed)
    x = stats.t(8).rvs(4000, random_state=rng)
    assert weighed(stats.norm(), stats.t(8), x).pareto_k < 0.3
    sd = np.r_[3.0, np.full(9, np.exp(9.0 / 4.0))]
    z = rng.normal(size=(4000, 10)) * sd
    target = stats.norm(0, 3).logpdf(z[:, 0]) + stats.norm(0, np.exp(z[:, :1] / 2)).logpdf(z[:, 1:]).sum(1)
    found = importance_weights(target - stats.norm(0, sd).logpdf(z).sum(1))
    assert found.pareto_k > 0.7
    assert not Approximation("Laplace", 4000, 1000, 0, found.pareto_k, found.ess).usable


def test_draws_without_a_density_have_no_weight_and_are_counted():
    found = importance_weights(np.r_[np.zeros(50), np.nan, -np.inf])
    assert found.failed == 2 and found.weight[50:].tolist() == [0.0, 0.0] and found.weight.sum() == pytest.approx(1.0)
    none = importance_weights(np.full(30, np.nan))
    assert none.failed == 30 and none.pareto_k == np.inf


def test_drawing_anew_keeps_the_weighted_mean_and_repeats_by_seed():
    """Systematic resampling: each draw comes n w times, rounded down or up."""
    w = np.random.default_rng(0).dirichlet(np.full(500, 0.3))
    index = resampled(w, 1000, jax.random.PRNGKey(4))
    counts = np.bincount(index, minlength=500)
    assert np.all(counts >= np.floor(1000 * w)) and np.all(counts <= np.ceil(1000 * w))
    assert np.array_equal(index, resampled(w, 1000, jax.random.PRNGKey(4))) and not np.array_equal(
        index, resampled(w, 1000, jax.random.PRNGKey(5))
    )


def test_the_verdict_says_first_that_it_is_an_approximation():
    good = Approximation("Laplace", 2000, 1000, 0, 0.2, 1143.0).judge()
    assert good.converged and good.headline == (
        "Approximation (Laplace), re-weighted to the exact posterior: Pareto-k 0.20 (good: at most 0.7), 1143 effective draws of 2000."
    )
    assert good.next_steps == (
        "Modes far from this one are not seen by the weights: find_modes looks for them. Before numbers are published, sample the problem "
        '(quality="standard", or pkpd.sample).',
    )


def test_few_effective_draws_are_a_warning_and_very_few_refuse():
    some = Approximation("Laplace", 2000, 1000, 0, 0.5, 300.0).judge()
    assert some.converged and some.headline.endswith("300 effective draws of 2000; fewer than 400 effective draws.")
    assert some.reasons == ("231 effective draws among the 1000 that are kept; 400 are wanted for intervals.",)
    assert some.next_steps[0] == "Ask for 1.7 times as many draws."
    none = Approximation("Laplace", 2000, 1000, 0, 0.5, 99.0).judge()
    assert not none.converged


def test_above_seven_tenths_it_must_not_be_used():
    bad = Approximation("Pathfinder", 2000, 1000, 0, 0.93, 800.0).judge()
    assert not bad.converged and bad.headline == (
        "NOT CONVERGED: an approximation (Pathfinder) that must not be used as the posterior: Pareto-k 0.93 (above 0.7), 800 effective draws of 2000."
    )
    assert bad.next_steps[0] == 'Do not use its numbers: sample the problem (quality="standard", or pkpd.sample).'
    assert (
        Approximation("Pathfinder", 9, 9, 0, np.inf, 1.0)
        .judge()
        .headline.endswith("no Pareto-k can be fitted to the weights, so few draws carry any, 1 effective draws of 9.")
    )


def test_the_table_counts_what_the_weights_leave():
    table = Approximation("Laplace", 2000, 1000, 0, 0.2, 1000.0).counted(pd.DataFrame({"name": ["CL"], "rhat": [1.0]}))
    assert table["ess_bulk"].tolist() == [500.0] and table["ess_tail"].tolist() == [500.0] and table["rhat"].isna().all()
