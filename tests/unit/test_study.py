"""Studies without data: the shipped design, what is refused, and how a fit and a picture stand beside what was expected."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pkpd import FitError, Looks, Study, StudyArm, bolus, identify, load_model, read_study, study_problem
from pkpd.cli.identify_text import fit_text
from pkpd.diagnostics.contraction import contraction_table
from pkpd.inference import Identifiability
from pkpd.models.classic import one_compartment_iv
from pkpd.plots import plot_information
from tests.fakes import fake_fit

ONE = """
[[arms]]
name = "a"
patients = 2
doses = [{amount = "100 mg"}]
[[observations]]
observable = "cp"
at = ["1 h", "5 h"]
sd = 0.2
"""


def told(tmp_path, text):
    (tmp_path / "d.toml").write_text(text)
    with pytest.raises(FitError) as error:
        read_study(tmp_path / "d.toml", one_compartment_iv)
    return str(error.value).splitlines()[1:]


def test_the_shipped_design_is_that_of_the_simulated_study(root):
    model = load_model("carm_study")
    study = read_study(root / "docs" / "examples" / "carm_design.toml", model)
    assert sum(a.patients for a in study.arms.values()) == 14
    assert sum(a.patients for a in study.arms.values() if a.covariates["HER2"] == 3) == 9
    assert study.stages == {"blood": ("car_dna",), "cytokines": ("il6", "tnf"), "biopsy": ("biopsy_car",), "size": ("sld",)}
    assert study.fixed == "others" and study.limits == {"car_dna": 50.0, "il6": 1.0, "tnf": 1.0}
    assert study.errors["car_dna"] == ("lognormal", 0.56)


REFUSED = {
    "two sds": (
        ONE + '[[observations]]\nobservable = "cp"\nat = ["9 h"]\nsd = 0.3\n',
        "observations[2]: cp has a lognormal error of sd 0.2 above, and a lognormal one of 0.3 here: one of the two.",
    ),
    "an additive error without its sd": (
        ONE.replace("sd = 0.2", 'error = "additive"'),
        'observations[1]: an additive error has an sd in mg/L: sd = "1 mg/L".',
    ),
    "a prior of what is held": (
        'fixed = ["V"]\n[priors]\nV = 1.0\n' + ONE,
        "fixed: V is held here and has a prior in [priors]: one of the two.",
    ),
    "no prior sd": ("[priors]\nV = 0.0\n" + ONE, "priors: V = 0.0; a prior sd is above 0. A parameter that is known is named in fixed."),
    "an arm that is none": (ONE + 'arms = ["b"]\n', "observations[1]: 'b' is no arm. Known: a."),
    "nobody": (ONE.replace("patients = 2", "patients = 0"), "arms[1]: patients = 0; accepted is a whole number of at least 1."),
    "a dose by weight": (
        ONE.replace("100 mg", "2 mg/kg"),
        "arms[1]: a dose goes by body weight: give covariates = {WT = 70}.",
    ),
    "records and arms": (
        'records = "rows.csv"\n' + ONE,
        "records: the records say doses and times themselves: leave [[arms]] and the times of [[observations]] out.",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_does_not_fit_is_refused_with_its_place(case, tmp_path):
    text, said = REFUSED[case]
    assert told(tmp_path, text) == [f"  {said}"]


def test_a_folder_is_no_design(tmp_path):
    with pytest.raises(FitError) as error:
        read_study(tmp_path, one_compartment_iv)
    assert str(error.value) == f"{tmp_path} is a folder, where a design file (.toml) is needed."


def test_an_empty_design_is_told_what_it_needs(tmp_path):
    assert [line.split(":")[0].strip() for line in told(tmp_path, 'title = "x"\n')] == ["arms", "observations"]


def test_a_parameter_held_on_the_line_leaves_its_prior(tmp_path):
    (tmp_path / "d.toml").write_text("[priors]\nV = 0.5\nCL = 0.5\n" + ONE)
    held = read_study(tmp_path / "d.toml", one_compartment_iv).holding({"V": 30.0}, one_compartment_iv)
    assert (held.fixed, held.parameters, held.priors) == (("V",), {"V": 30.0}, {"CL": 0.5})


@pytest.mark.slow
def test_patients_may_differ_in_a_parameter_whose_typical_value_is_held():
    """A typical value as if known with a spread to estimate; in closed form by ln f = ln(D / V) - CL t / V."""
    study = Study(
        "held", {"a": StudyArm(bolus((320.0, "mg")), 4)}, (Looks("cp", np.array([1.0, 8.0])),), {"cp": ("lognormal", 0.1)}, fixed=("V",)
    )
    made = study_problem(one_compartment_iv, replace(study, variability={"V": 0.3}))
    assert made.assumed[-2:] == ("Held, as if known: V 32.", "Patients differ in V 0.3 (sd).")
    kt = 2.8 / 32.0 * np.array([1.0, 8.0])
    variance = 0.1**2 * np.eye(2) + 0.3**2 * np.outer(kt - 1.0, kt - 1.0)
    table = identify(made.problem, copies=made.copies).table.set_index("name")
    assert list(table.index) == ["CL", "omega_V", "sigma_cp"]
    assert table.loc["CL", "rse"] == pytest.approx(100 / np.sqrt(4 * kt @ np.linalg.solve(variance, kt)))


ARM = {"a": StudyArm(bolus((320.0, "mg")))}
LOOK = (Looks("cp", np.array([1.0])),)
WRONG = {
    "a prior": (
        {"priors": {"Vd": 1.0}},
        "x: priors names 'Vd', which is no parameter of one_compartment_iv. Did you mean 'V'? Known: CL, V.",
    ),
    "a look": ({"looks": (Looks("cpp", np.array([1.0])),)}, "x: one_compartment_iv has no observable 'cpp'. Did you mean 'cp'? Known: cp."),
    "an arm": ({"looks": (Looks("cp", np.array([1.0]), ("b",)),)}, "x: 'b' is no arm. Known: a."),
    "an error": (
        {"errors": {"cp": ("normal", 0.2)}},
        "x: cp has an error ('normal', 0.2); accepted are (kind, sd above 0), kind one of lognormal, proportional, additive.",
    ),
    "a spread": (
        {"variability": {"V": np.inf}},
        "x: patients differ in V by inf; accepted is a standard deviation, a number of at least 0.",
    ),
    "an infinite value": (
        {"parameters": {"V": np.inf}},
        "V = inf has no prior around it: give a number above 0 in [parameters], or name it in fixed.",
    ),
    "a held value": ({"parameters": {"V": -3.0}, "fixed": ("V",)}, "V = -3 is held, and lies outside of its support (positive)."),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_a_study_made_in_python_is_checked_too(case):
    changes, said = WRONG[case]
    with pytest.raises(FitError) as error:
        study_problem(one_compartment_iv, replace(Study("x", ARM, LOOK, {}), **changes))
    assert str(error.value) == said


@pytest.mark.slow
def test_an_observable_of_which_no_look_is_left_tells_nothing():
    """All looks of the effect lie below its limit; the concentrations are used all the same, and the steps leave it out."""
    model = load_model("indirect_response_IV")
    names = model.observable_names
    looks = tuple(Looks(o, np.array([1.0, 8.0])) for o in names)
    arms = {"a": StudyArm(model.example.regimen)}
    made = study_problem(model, Study("x", arms, looks, {}, stages={o: (o,) for o in names}, limits={names[-1]: 1e9}))
    assert made.problem.observed_names == list(names[:-1]) and list(made.order) == list(names[:-1])
    assert f"{names[-1]}: no look is left, so it tells nothing." in made.assumed


def test_a_look_at_the_time_of_a_dose_is_told_to_come_after_it():
    made = study_problem(one_compartment_iv, Study("x", ARM, (Looks("cp", np.array([0.0, 1.0])),), {}))
    assert "Looks at the time of a dose are taken after it (arm a); give one before it a time just before." in made.assumed


@pytest.mark.slow
def test_a_covariate_that_an_arm_does_not_have_is_the_models_reference_and_told():
    model = load_model("carm_trafficking")
    arms = {"a": StudyArm(bolus((5.0, "1e9 cells")))}
    made = study_problem(model, Study("x", arms, (Looks("car_dna", np.array([1.0])),), {}))
    (reference,) = (c.reference for c in model.covariates if c.name == "HER2")
    assert made.problem.cohort.covariates["HER2"].tolist() == [reference]
    assert f"Arm a: the model's reference for every patient, HER2 = {reference:g}." in made.assumed


def test_one_arm_by_weight_and_one_without():
    arms = {"kg": StudyArm(bolus((2.0, "mg/kg")), 1, {"WT": 80.0}), "flat": StudyArm(bolus((100.0, "mg")))}
    made = study_problem(one_compartment_iv, Study("x", arms, LOOK, {}))
    assert made.problem.cohort.doses["amount"].tolist() == [160.0, 100.0]


def test_where_every_typical_value_is_held_nothing_is_called_identified():
    found = identify(study_problem(one_compartment_iv, Study("x", ARM, LOOK, {}, fixed=("CL", "V"))).problem)
    assert found.verdict == "No typical value is estimated, so there is nothing to identify but spreads and residual sds."


@pytest.mark.slow
def test_a_parameter_named_like_a_site_of_a_fit_is_held_and_told():
    """`share_liver` of carm_mpbpk could be no parameter of a fit; the other parameters can."""
    model = load_model("carm_mpbpk")
    arms = {"a": StudyArm(bolus((5.0, "1e9 cells")), 1, {"HER2": 3.0})}
    made = study_problem(model, Study("organs", arms, (Looks("car_dna", np.array([1.0, 24.0])),), {}, fixed="others", priors={"S": 1.0}))
    assert tuple(made.problem.population.estimated) == ("S",)
    assert (
        "Held because their names begin like a fit's own (a parameter of another name could be estimated): share_liver, share_spleen."
        in made.assumed
    )


def information(names, ratios):
    """What `identify` gives, with these expected ratios by two observables."""
    table = pd.DataFrame({"name": names, "a": 1.0, "b": 0.7, "all": ratios})
    counts = pd.DataFrame({"stream": ["a", "b", "all"], "rows": 3, "rank": 1, "informed": 1, "of": 1})
    return Identifiability(table, counts, counts.iloc[:2], table[["name", "a", "b"]], np.ones(1), (), None, (), ())


def test_what_a_fit_has_found_stands_beside_what_was_expected():
    fit = fake_fit()
    found = contraction_table(fit).set_index("name")["ratio"]
    name = next(n for n in found.index if not n.startswith(("omega_", "sigma_")))
    lines = fit_text(fit, information([name], [0.25]))
    assert lines[1].startswith("What the fit has found (posterior/prior sd). ")
    assert lines[3].split()[0] == name and lines[3].split()[-2:] == [f"{found[name]:.2f}", "0.25"] and len(lines) == 4


def test_the_picture_has_a_column_for_each_step():
    seen = information(["CL", "V"], [0.3, 0.6])
    steps = pd.DataFrame({"stream": ["first", "+ b", "+ c"], "rows": 3, "rank": 1, "informed": 1, "of": 1})
    staged = replace(seen, steps=steps, by_step=pd.DataFrame({"name": ["CL", "V"], "first": 1.0, "+ b": 0.5, "+ c": 0.3}))
    labels = lambda found: [t.get_text() for t in plot_information(found).axes[0].get_xticklabels()]  # noqa: E731
    assert labels(seen) == ["a", "b", "all"]
    assert labels(staged) == ["a", "b", "first", "+ b", "+ c"]
