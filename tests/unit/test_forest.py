"""Covariate effects as ratios and differences: closed forms from the draws, what the figure shows, and a real fit from end to end."""

import functools
import json

import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import expit, logit

from pkpd import FitError, FitProblem, Population, effect_table, lognormal, proportional_error, read_cohort
from pkpd.inference.effect_facts import effect_facts
from pkpd.models.classic import one_compartment_iv
from pkpd.plots import gallery, plot_forest
from tests import small
from tests.fakes import fake_tree
from tests.forest_facts import tree_with_effects


@functools.cache
def tree():
    return tree_with_effects()


def draws(name):
    return tree()["posterior"][name].values.ravel()


def test_ratios_and_differences_are_those_of_the_draws():
    """Quantiles of exp(beta c(x)), and of g^-1(g(theta) + beta c(x)) - theta; nothing but rounding between the two computations."""
    found = effect_table(tree()).set_index(["name", "at"])
    q = [0.05, 0.5, 0.95]
    expected = {
        ("beta_CL_WT", 52.0): np.full(3, (52 / 70) ** 0.75),
        ("beta_CL_AGE", 71.0): np.quantile(np.exp(draws("beta_CL_AGE") * 3.1), q),
        ("beta_s_il6_HER2", 2.0): np.quantile(np.exp(draws("beta_s_il6_HER2")), q),
        ("beta_F_AGE", 24.0): np.quantile(expit(logit(draws("F")) - 16 * draws("beta_F_AGE")) - draws("F"), q),
        ("beta_base_WT", 98.0): np.full(3, 0.5 * np.log(1.4)),
    }
    for key, values in expected.items():
        np.testing.assert_allclose(found.loc[key, ["q5", "q50", "q95"]].astype(float), values, rtol=1e-12, atol=1e-14)
    assert found["fixed"].tolist() == [True, True, False, False, False, False, False, True, True]
    share = np.mean((np.exp(draws("beta_CL_AGE") * 3.1) >= 0.8) & (np.exp(draws("beta_CL_AGE") * 3.1) <= 1.25))
    assert found.loc[("beta_CL_AGE", 71.0), "inside"] == share and np.isnan(found.loc[("beta_F_AGE", 24.0), "inside"])
    assert set(found["measure"]) == {"ratio", "difference"}


def test_a_fit_stored_before_effects_has_none():
    assert effect_table(fake_tree()).empty
    assert "covariate_effects" not in [p.name for p in gallery(fake_tree())]
    words = r"^This fit has no covariate effects to draw \(or was stored before they were\); add \.effect\(\.\.\.\) to a parameter and fit again\.$"
    with pytest.raises(FitError, match=words):
        plot_forest(fake_tree())


def test_the_figure_says_what_it_shows():
    figure = plot_forest(tree())
    assert len(figure.axes) == 3  # ratios; F; base
    assert [ax.get_xlabel() for ax in figure.axes] == [
        "ratio to the reference",
        "difference from the reference",
        "difference from the reference (pg/mL)",
    ]
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels[0] == "WT 52, 5th percentile (reference 70)" and labels[-1] == "HER2 2, 2 of 6 subjects (reference 3)"
    texts = [t.get_text().strip() for t in figure.axes[0].texts]
    assert "0.80, fixed" in texts and "CL" in texts
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["0.8 to 1.25", "estimated coefficient", "fixed coefficient"]
    assert any("simulated data" in t.get_text() for t in figure.texts)
    assert "covariate_effects" in [p.name for p in gallery(tree())]


def weighed(n=12):
    """Records of n subjects with a weight and a sex."""
    rng = np.random.default_rng(4)
    wt, sex = 70 * np.exp(0.2 * rng.normal(size=n)), np.arange(n) % 3.0
    table = small.records(n)
    return table.assign(WT=wt[table["ID"] - 1], SEX=sex[table["ID"] - 1])


def test_a_problem_tells_what_the_forest_needs():
    cohort = read_cohort(weighed(), model=one_compartment_iv, units=small.UNITS, covariates=["WT", "SEX"])
    cl = lognormal(dist.LogNormal(1.0, 0.7), between=dist.HalfNormal(0.5))
    cl = cl.effect("WT", reference=70, power=dist.Normal(0.75, 0.3)).effect("SEX", reference=0, prior=dist.Normal(0, 0.5))
    problem = FitProblem(one_compartment_iv, cohort, Population(CL=cl), {"cp": proportional_error(0.2)})
    facts = effect_facts(problem)
    assert [f["site"] for f in facts] == ["beta_CL_WT", "beta_CL_SEX_1", "beta_CL_SEX_2"]
    low, high = np.percentile(cohort.covariates["WT"], [5, 95])
    assert facts[0]["at"] == [[low, "5th percentile"], [high, "95th percentile"]]
    assert facts[1]["at"] == [[1.0, "4 of 12 subjects"]]
    assert json.loads(json.dumps(facts)) == facts  # what is stored is what was told
