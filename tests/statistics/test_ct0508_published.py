"""The prior of the CT-0508 model is at odds with no published count, and the fit reads the counts from the table of facts (SCIENCE.md (j), V10)."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from pkpd import Classes, Responders, SummaryInfluence
from pkpd.data.facts import exact_interval
from pkpd.inference.summaries import Seen
from pkpd.inference.summary_influence import _laws
from pkpd.models.carm import carm_outcomes
from tests.courses import rates, seen

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


@pytest.mark.parametrize(("regimen", "days"), [("once", {0.0: 5.0}), ("fractions", {0.0: 0.5, 48.0: 1.5, 96.0: 3.0})])
def test_either_regimen_is_given_to_all(study, regimen, days):
    """The amounts of the simulated study, x viability x CAR+ fraction; IL-6 is looked at for two days after each infusion, size at 8 weeks."""
    for arm, _ in study.arms(regimen):
        given = arm.regimen.to_records(carm_outcomes).set_index("TIME")["AMT"]
        assert given.to_dict() == pytest.approx({t: 0.9 * 0.75 * a for t, a in days.items()})
        assert {t + x for t in days for x in (4.0, 48.0)} < set(arm.times_h) and arm.times_h[-1] == 56 * 24.0
    dose, *_ = study.ASSUMPTIONS
    assert "which patients had which, and HER2 by regimen, are unknown" in dose
    assert any(a.startswith("Timing: 8 weeks are counted from the first infusion.") for a in study.ASSUMPTIONS)


def test_tumour_size_varies_between_patients_and_has_no_shared_prior(study):
    law = study.population()
    assert law.parameters["V0"].value == carm_outcomes.typical["V0"] and law.parameters["V0"].between == 1.5
    assert "V0" not in study.PRIORS and "V0" in law.varying


def test_without_an_effect_of_the_cells_a_tumour_only_grows(study):
    law = study.growth_alone().parameters
    full = study.population().parameters
    assert all(law[n].prior is full[n].prior for n in ("kg", "p_new")) and law["kg"].between.scale == full["kg"].between.scale
    none = {name: law[name].value for name in ("kT", "c_kill")}
    assert set(law) == {"kg", "p_new", *none}
    y = dict.fromkeys(carm_outcomes.state_names, 2.0) | {"volume": 5e4}
    assert rates(carm_outcomes, y, **none)["volume"] == pytest.approx(carm_outcomes.typical["kg"] * 5e4, rel=1e-9)


@pytest.mark.slow
def test_without_an_effect_of_the_cells_both_groups_are_alike(study):
    """A tumour that nothing kills grows: no responses, and the HER2 score and the dose make no difference."""
    told = study.no_cell_effect(n=8)
    (high,), (low,) = study.GROUPS["response 3+"], study.GROUPS["response 2+"]
    none = {g: np.exp(told.counts[f"{g}: PR"][1][:, 0]) for g in (high, low)}
    assert min(none[high].min(), none[low].min()) > 0.98 and set(told.sites) == {"kg", "p_new", "omega_kg"}
    p = {g: np.exp(told.counts[f"{g}: SD"][1]) @ np.arange(n + 1) / n for g, n in ((high, 9), (low, 5))}
    np.testing.assert_allclose(p[high], p[low], rtol=0.05)  # 64 Sobol points an arm, scrambled apart


def test_what_is_not_assumed_of_the_five(study):
    """`relaxed` puts the likelihood of Responders(stable, 4, 9) in the place of the classes of 3+, and leaves the rest."""
    seen = Seen(
        np.array([1344.0]), {}, {"p_sd": np.array([[0.2, 0.6]]), "p_pr": np.array([[0.1, 0.1]]), "p_pd": np.array([[0.7, 0.3]])}, {}
    )
    classes = Classes(study.responses, {"SD": 4, "PR": 0, "PD": 5}, study.RESPONSE)
    high, low = study.GROUPS["response 3+"][0], study.GROUPS["response 2+"][0]
    laws = np.array(_laws(classes, seen)).reshape(3, 1, 10)
    counts = {f"{high}: {c}": (k, law) for (c, k), law in zip(classes.counts.items(), laws, strict=True)}
    told = SummaryInfluence((high, low), {}, np.array([[float(classes.log_likelihood(seen)), -1.5]]), counts)
    stable = Responders(lambda theta, f: f["p_sd"][-1], 4, 9).log_likelihood(seen)
    np.testing.assert_allclose(study.relaxed(told).log_terms, [[float(stable), -1.5]], rtol=1e-10)


def test_the_page_says_whether_an_effect_is_needed(study, root):
    models = ["full model, once", "full model, fractions", "no cell effect: kg and p_new free", "p_new alone free, once"]
    said = [study.verdict(pd.DataFrame({"model": models, "both responses": [-5.58, -5.55, none, -6.8]})) for none in (-4.63, -6.0)]
    assert said[0].startswith(
        "A model without an effect of the cells predicts the responses at least as well as the full model (log score -4.63 without an "
    )
    assert "They are no sign of an effect; nor, by so few patients" in said[0]
    assert "less well than the full model (log score -6.00" in said[1] and "no sign" not in said[1]
    page = (root / "docs" / "fits" / "ct0508_published.md").read_text(encoding="utf-8")
    assert "predicts the responses at least as well as the full model" in page


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
