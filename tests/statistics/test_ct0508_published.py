"""The prior of the CT-0508 model is at odds with no published count, and the fit reads the counts from the table of facts (SCIENCE.md (j), V10)."""

import importlib.util

import numpy as np
import pytest

from pkpd.data.facts import exact_interval
from pkpd.models.carm import carm_outcomes
from tests.courses import seen

N = 256


@pytest.fixture(scope="module")
def study(root):
    spec = importlib.util.spec_from_file_location("ct0508_published", root / "fits" / "ct0508_published.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_counts_are_the_published_ones(study):
    (high, (of_nine, crs_9)), (low, (of_five, crs_5)) = study.arms()
    assert (high.n_patients, low.n_patients) == (9, 5) and (high.covariates, low.covariates) == ({"HER2": 3.0}, {"HER2": 2.0})
    assert of_nine.counts == {"SD": 4, "PR": 0, "PD": 5} and of_five.counts == {"SD": 0, "PR": 0, "PD": 5}
    assert (crs_9.count, crs_9.of, crs_5.count, crs_5.of) == (0, 9, 0, 5)
    assert "Kinetics: prior only" in study.__doc__.splitlines()[0]


@pytest.mark.slow
def test_before_conditioning_no_published_count_surprises(study):
    """At least as extreme with probability 0.05 or more, by far: the sd of a tail probability over draws is below 0.35. The law covers the exact intervals."""
    told = study.influence(seed=2, n=N)
    table = study.predictive(told).set_index("fact")
    assert list(table.index) == ["SD 4/9 (3+)", "SD 0/5 (2+)", "PR 0/14", "CRS 0/14"]
    assert (table["extreme"] > 0.05 + 4 * 0.35 / np.sqrt(N)).all()
    for fact, (k, n) in {"SD 4/9 (3+)": (4, 9), "SD 0/5 (2+)": (0, 5), "CRS 0/14": (0, 14)}.items():
        low, high = exact_interval(k, n)
        laws = [told.counts[c][1] for c in study.COUNTS[fact]]
        p = sum(np.exp(law) @ np.arange(law.shape[1]) for law in laws) / n
        assert np.mean((p >= low) & (p <= high)) > 0.2


def test_the_probabilities_of_a_response_sum_to_one():
    y = dict.fromkeys(carm_outcomes.state_names, 1.0) | {"volume": 1.7 * carm_outcomes.typical["V0"], "il6": 80.0}
    f, p = seen(carm_outcomes, y), carm_outcomes.typical
    assert f["p_sd"] + f["p_pr"] + f["p_pd"] == pytest.approx(1.0, rel=1e-12)
    assert f["p_crs3"] == pytest.approx(
        1 / (1 + np.exp(-p["crs_slope"] * (np.log(80.0 / 50.0) - p["crs_gap2"] - p["crs_gap3"]))), rel=1e-12
    )


def test_untreated_growth_alone_leaves_most_patients_stable():
    """What outcomes.py prints, 70, 61 and 48 %: at the typical kg, over its prior, and with patients that differ and new lesions; 71 % without error."""
    from scipy.integrate import quad
    from scipy.stats import norm

    nodes, weights = np.polynomial.hermite_e.hermegauss(80)

    def stable(log_sd, measured=0.07 * 2**0.5):
        r = 0.007 * np.exp(log_sd * nodes) * 56 / 3
        return float(weights @ (norm.cdf((np.log(1.2) - r) / measured) - norm.cdf((np.log(0.7) - r) / measured)) / weights.sum())

    patients = quad(lambda omega: 4 * norm.pdf(2 * omega) * stable(np.hypot(0.6, omega)), 0, 5)[0]  # omega ~ half-normal(0.5)
    y = dict.fromkeys(carm_outcomes.state_names, 1.0) | {"volume": carm_outcomes.typical["V0"] * np.exp(0.007 * 56)}
    assert seen(carm_outcomes, y, p_new=1e-12)["p_sd"] == pytest.approx(stable(0.0), rel=1e-9)
    assert [round(100 * x) for x in (stable(0.0), stable(0.6), 0.8 * patients)] == [70, 61, 48]
    kg = 0.007 * np.exp(0.6 * norm.ppf((np.arange(20_000) + 0.5) / 20_000))
    assert round(float(np.mean(kg * 56 / 3 < np.log(1.2))), 2) == 0.71
