"""The scripts that the pages include do what the pages say of them."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from pkpd import load_model, sample


def script(root, name):
    path = root / "docs" / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_regimen_at_steady_state(root):
    """Typical theophylline, CL 2.5 L/h: the mean of the last day is the daily dose over CL x 24 h, whichever way it is given."""
    last = script(root, "what_if_regimens").predictions().loc[96.0:120.0]
    assert list(last.columns) == ["once a day", "twice a day", "loading dose"]
    area = np.trapezoid(last.to_numpy(), last.index, axis=0)
    # 5 % for the trapezium rule at one point an hour and what is missing to steady state (exp(-CL/V 96) = 6e-4)
    np.testing.assert_allclose(area, 320 / 2.5, rtol=0.05)
    swing = last.max() / last.min()
    assert swing["once a day"] > 2 * swing["twice a day"]


def test_the_model_of_the_guide(root):
    page = script(root, "write_a_model")
    assert page.cells_and_il6.state_names == ("blood", "tissue", "il6")
    assert page.cells_and_il6.param_names == ("k_home", "k_death", "base", "kout", "rise")


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("no_source", "'k_home' has no source"),
        ("no_giver", "reads 'stimulus', which nothing gives"),
        ("two_owners", "'il6'"),
        ("wrong_name", "Did you mean 'blood'?"),
        ("wrong_units", "pg/mL"),
        ("adds_apples_to_pears", "adds"),
    ],
)
def test_the_refusals_of_the_guide(root, mistake, says):
    page = script(root, "write_a_model")
    assert says in page.refusals()[mistake]
    assert len(page.refusals()) == len(page.MISTAKES)


def test_the_problem_of_an_assay_that_says_yes_or_no(root):
    """Simulated; the script's fit is run when the pages are built, its problem here."""
    problem = script(root, "detection_fit").problem
    assert problem.population_sites == ["CL", "omega_CL"]
    assert 0.3 < problem.rows.dv.mean() < 0.7


def test_models_by_name():
    assert load_model("carm_blood_il6").observable_names == ("car_dna", "il6")


def test_the_problem_of_drug_and_relief(root):
    """Simulated; both kinds of rows are there."""
    problem = script(root, "joint_binary_fit").problem
    assert problem.population_sites == ["CL", "V", "baseline", "slope", "omega_CL", "omega_V", "omega_baseline", "sigma_cp"]
    assert (problem.rows.observable == 0).sum() == 200 and (problem.rows.observable == 1).sum() == 320


@pytest.mark.slow
def test_drug_and_relief_are_recovered_together(root):
    """Eight truths within 3.5 posterior sd of their means: a false alarm in 270 if posteriors were normal, fixed seeds."""
    page = script(root, "joint_binary_fit")
    fit = sample(page.problem, seed=1, progress=False)
    for _, line in fit.summary.iterrows():
        assert abs(line["mean"] - page.TRUTH[line["name"]]) < 3.5 * line["sd"], line
    assert fit.summary.set_index("name").loc[["CL", "V", "baseline", "slope"], "rhat"].max() < 1.02


@pytest.mark.slow
def test_the_fractionated_regimen_lowers_the_peak_and_not_the_areas(root):
    """Of the prior, in the same patients: the peak of IL-6 is lower in every draw, areas of cells in blood and tumour the same (linear kinetics)."""
    page = script(root, "what_if_fractionated")
    tables, reached = page.answers(page.runs(n_subjects=10, draws=12))
    found = pd.concat(tables).query("arm == 'fractionated'").set_index("measure")
    assert found.loc["IL-6 peak", "versus_high"] < 1.0
    # blood: the grid of times; tumour: twelve weeks see three days less of the later doses, and a tumour that grew catches more of them
    np.testing.assert_allclose(found.loc["area of cells in blood", "versus"], 1.0, rtol=0.005)
    np.testing.assert_allclose(found.loc["tumour exposure", "versus"], 1.0, rtol=0.02)
    assert 80 < found.loc["last detected in blood", "versus"] < 96 and found.loc["last detected in blood", "by"] == "difference"
    assert set(reached["arm"]) == {"single", "fractionated"}
    assert page.sensitivities()["parameter"].iloc[0] == "gain_il6"


def test_the_closure_of_the_guide(root):
    """Simulated; the script's fits are in a table, of which the page says that the closure is right within the data and wrong beyond."""
    page = script(root, "hybrid_elimination")
    assert page.learned().population_sites == ["V", "CL", *(f"slowing_w{k}" for k in range(1, 5)), "omega_CL", "sigma_cp"]
    assert page.simulated()["DV"].max() < 1.25 * page.C_SEEN.value  # 320 mg in 32 L, error 8 %
    table = pd.read_csv(page.SAVED)
    holds = (table["low"] <= table["true"]) & (table["true"] <= table["high"])
    clearance, learns = table["of"] == "clearance", table["fit"] == "closure"
    assert holds[clearance & ~learns].all() and holds[clearance & learns & table["at"].between(0.3, 10)].all()
    assert not holds[clearance & learns & (table["at"] > 20)].any()
    day = table[~clearance & table["at"].eq(24)].set_index("fit")
    assert day.loc["closure", "high"] < day.loc["closure", "true"] < day.loc["Michaelis-Menten", "high"]
