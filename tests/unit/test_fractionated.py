"""The page on fractions: its arms are the flagship's, its truth the study's, and what it says of the written tables holds. All simulated."""

import json

import pandas as pd
import pytest

from pkpd.inference.predictive import Predictive
from tests.scripts import loaded

RATIOS = ["IL-6 peak", "IL-6 area above baseline", "area of cells in blood", "tumour exposure"]


@pytest.fixture(scope="module")
def script(root):
    return loaded(root / "docs" / "validation" / "fractionated.py")


def table(root, name):
    return pd.read_csv(root / "docs" / "validation" / f"{name}_carm_phase1.csv")


def test_the_arms_are_those_of_the_flagship(script, root):
    theirs = loaded(root / "fits" / "carm_phase1.py").arms()
    assert {"single": theirs["D1"], "fractionated": theirs["D1/3/5"]} == script.asked.ARMS


def test_the_truth_has_the_values_the_study_was_simulated_with(script, root):
    told = json.loads((root / "data" / "carm_phase1_simulated" / "panel_truth.json").read_text(encoding="utf-8"))["values"]
    nature = script.nature(script.asked.problem(quick=True))
    assert not set(nature.population_sites) & {*told}.difference(n for n in told if n.startswith("sigma_"))
    theta = Predictive(nature, {}).typical({})
    held = ("k_BT", "k_Td", "c_kill", "E_cap", "f_L", "gain_il10")
    assert {n: float(theta[n].mean()) for n in held} == pytest.approx({n: told[n] for n in held})
    assert float(theta["k_BP"].mean()) == pytest.approx(0.4 * told["k_BH"])


def test_what_the_page_says_of_the_regimens(root):
    found = table(root, "fractionated").set_index(["source", "measure"])
    post, prior, truth = (found.loc[s] for s in ("posterior", "prior", "truth"))
    assert post.loc["IL-6 peak", "versus_high"] < 0.8 and prior.loc["IL-6 peak", "versus_high"] < 1
    assert (post.loc[RATIOS[1:], "versus"].sub(1).abs() < 0.02).all()
    inside = truth["versus"].between(post["versus_low"], post["versus_high"])
    assert set(inside.index[~inside]) == {
        "IL-6 peak",
        "IL-6 area above baseline",
        "share above 500 pg/mL",
    }  # two misses; a share has no ratio
    assert truth["single"].between(post["single_low"], post["single_high"]).all()
    assert truth["fractionated"].between(post["fractionated_low"], post["fractionated_high"]).all()


def test_what_the_page_says_of_extra_samples(root):
    best = table(root, "extra_sample").groupby("quantity")[["same", "new"]].max()
    compared = [n for n in best.index if "single dose" not in n]
    assert len(compared) == 3 and (best.loc[compared] < 0.08).all().all()
    assert best.loc["IL-6 peak, ln (single dose)", "same"] < 0.005 < 0.15 < best.loc["IL-6 peak, ln (single dose)", "new"]
