"""Influence of published counts against what is known exactly: a uniform prior of a probability, and the Beta posterior of each count."""

import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from scipy.special import gammaln

from pkpd import Classes, Population, Responders, SummaryArm, logit_normal, lognormal, summary_influence
from pkpd.errors import FitError
from pkpd.events import bolus
from pkpd.inference.published import told
from pkpd.inference.summary_influence import SummaryInfluence
from pkpd.models.classic import one_compartment_iv

ARM = SummaryArm(one_compartment_iv, bolus((100, "mg")), [0.0], 9, name="A")
LAW = Population(CL=logit_normal(dist.Uniform(0.0, 1.0)), V=lognormal(dist.LogNormal(3.0, 0.5)))
YES = Responders(lambda theta, f: theta["CL"], 4, 9, "yes")
THREE = Classes(
    lambda theta, f: {"a": theta["CL"], "b": 0.25 * (1 - theta["CL"]), "c": 0.75 * (1 - theta["CL"])}, {"a": 2, "b": 0, "c": 3}, "kind"
)
N = 4000


@pytest.fixture(scope="module")
def found():
    return summary_influence([(ARM, [YES, THREE])], LAW, {}, seed=3, n=N, summary_draws=1)


def test_a_uniform_probability_makes_every_count_alike(found):
    """P(k) = 1/(n + 1). Each mean of 4000 draws lies within 5 of its standard errors (below 0.5/sqrt(4000)); false alarms below 1e-5."""
    row = found.predictive.set_index("count").loc["A: yes (n = 9)"]
    assert row["observed"] == 4 and row["of"] == 9
    close = 5 * 0.5 / np.sqrt(N)
    assert row["at_most"] == pytest.approx(0.5, abs=close) and row["at_least"] == pytest.approx(0.6, abs=close)
    assert row["extreme"] == min(row["at_most"], row["at_least"]) and row["expected"] == pytest.approx(4.5, abs=9 * close)
    assert found.log_evidence(["A: yes (n = 9)"]) == pytest.approx(
        np.log(0.1), abs=0.1
    )  # sd of the likelihood is 0.9 of its mean: error 0.014


def test_weights_give_the_beta_posterior(found):
    """Beta(5, 6) from the responders alone; with the classes Beta(7, 9) times what is free of p. About 1500 effective draws: errors of 0.003 in the mean."""
    p = found.sites["CL"]
    for terms, law in ((["A: yes (n = 9)"], stats.beta(5, 6)), (None, stats.beta(7, 9))):
        w = found.weights(terms)
        assert w.sum() == pytest.approx(1.0) and 1000 < found.effective(terms) < N
        assert w @ p == pytest.approx(law.mean(), abs=5 * law.std() / np.sqrt(1000))


def test_classes_are_a_multinomial(found):
    p = found.sites["CL"]
    choose = gammaln(6) - gammaln(3) - gammaln(4)
    exact = choose + 2 * np.log(p) + 3 * np.log(0.75 * (1 - p))
    np.testing.assert_allclose(found.log_terms[:, 1], exact, rtol=1e-10)
    observed, law = found.counts["A: kind (n = 5): b"]
    assert observed == 0
    exact = np.stack([stats.binom.pmf(k, 5, 0.25 * (1 - p)) for k in range(6)], 1)
    np.testing.assert_allclose(np.exp(law), exact, rtol=1e-6)


def test_a_sum_of_counts_is_a_convolution(found):
    """Two independent counts of 9 with the same p in a draw: 18 of the same p, so uniform over 19."""
    both = found.pooled(["A: yes (n = 9)"] * 2)
    assert both["of"] == 18 and both["observed"] == 8
    assert both["at_most"] == pytest.approx(9 / 19, abs=5 * 0.5 / np.sqrt(N))


def test_what_moves_and_what_explains(found):
    """V is not looked at: no shift beyond its error. CL explains all of its own probability (binning leaves 1/400), V nothing (noise about 20/4000)."""
    moved = found.moved({"yes": ["A: yes (n = 9)"]}).set_index("parameter")
    z = stats.norm.ppf(stats.beta(7, 9).rvs(200_000, random_state=1))
    assert moved.loc["CL", "all"] == pytest.approx(z.mean(), abs=6 * moved.loc["CL", "error"])
    assert moved.loc["CL", "sd_ratio"] == pytest.approx(z.std(), rel=0.15)
    assert abs(moved.loc["V", "all"]) < 5 * moved.loc["V", "error"] and moved.loc["V", "sd_ratio"] == pytest.approx(1.0, abs=0.15)
    assert found.explained("A: yes (n = 9)", "CL") > 0.98 and found.explained("A: yes (n = 9)", "V") < 0.03


def test_refusals(found):
    with pytest.raises(FitError, match=r"There is no summary 'no'\. Known: A: kind"):
        found.weights(["no"])
    with pytest.raises(FitError, match=r"There is no count 'A: yes'\. Did you mean 'A: yes \(n = 9\)'"):
        found.pooled(["A: yes"])
    with pytest.raises(FitError, match=r"There is no site 'C'\. Did you mean 'CL'\? Known: CL, V\."):
        found.explained("A: yes (n = 9)", "C")
    few = SummaryInfluence(found.names, {n: v[:40] for n, v in found.sites.items()}, found.log_terms[:40], {})
    with pytest.raises(
        FitError, match=r"of 40 prior draws count under all summaries; 100 are needed\. Draw more \(n=\), or fit with sample_summaries"
    ):
        few.moved()
    with pytest.raises(FitError, match=r"Two summaries are both told as 'A: yes \(n = 9\)'; name responders"):
        summary_influence([(ARM, [YES, YES])], LAW, {}, seed=1, n=4, summary_draws=1)
    wrong = Responders(lambda theta, f: theta["CL"] * np.nan, 4, 9, "yes")
    with pytest.raises(
        FitError, match=r"4 of 4 prior draws give predictions that are no numbers; at most 2% are accepted\. Narrow the priors"
    ):
        summary_influence([(ARM, [wrong])], LAW, {}, seed=1, n=4, summary_draws=1)


@pytest.mark.parametrize(
    ("term", "says"),
    [
        (Classes(THREE.probabilities, {"a": 2, "b": -1}), "Classes of arm 'A': b: -1 patients: a count is a whole number, 0 or more."),
        (
            Classes(THREE.probabilities, {"a": 2, "d": 1}),
            "The classes counted and those given a probability differ in 'b'. Known: a, d.",
        ),
    ],
)
def test_classes_that_do_not_fit(term, says):
    with pytest.raises(FitError) as caught:
        summary_influence([(ARM, [term])], LAW, {}, seed=1, n=4, summary_draws=1)
    assert str(caught.value) == says
    assert told(YES) == "yes (n = 9)"
