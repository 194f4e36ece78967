"""Scenarios in TOML: what is written is what is simulated, mistakes are told all at once with their place, and the folder holds what it says."""

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest

from pkpd import FitError, bolus, cells, day, infusion, load_model, oral, read_cohort, simulate, sum_of
from pkpd.cli.app import main
from pkpd.cli.scenario import _of_fit
from pkpd.cli.what_if_file import read_what_if
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import one_compartment_oral
from pkpd.report.scenario import scenario_page
from pkpd.simulate import read_scenario
from pkpd.simulate.scenario.read import read_source
from tests import app_study

GOOD = """
title = "Two ways"
[source]
model = "one_compartment_oral"
[parameters]
CL = "41.66666666666667 mL/min"
ka = 1.5
[variability]
CL = 0.3
[population]
subjects = 6
[times]
to = "1 day"
by = "90 min"
also = ["30 min"]
[[arms]]
name = "once"
doses = [{amount = "0.32 g", into = "oral"}]
[[arms]]
name = "split"
doses = [{amount = "160 mg", into = "oral", every = "12 h", times = 2}]
overrides = {V = {times = 2.0}}
[[exposure]]
observable = "cp"
above = "5000 ug/L"
[[targets]]
measure = "cmax"
at_most = "8 mg/L"
[figures]
reference = "once"
"""


def write(folder, text, name="scenario.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_scenario_is_read_in_the_models_units(tmp_path):
    s = read_scenario(write(tmp_path, GOOD), one_compartment_oral)
    assert s.arms["once"].for_model(one_compartment_oral) == oral((320, "mg")) and s.arms["split"] == oral((160, "mg")).every(
        (12, "h"), times=2
    )
    npt.assert_allclose(s.parameters["CL"], 2.5, rtol=1e-12)
    npt.assert_allclose(s.times, [0, 0.5, *np.arange(1.5, 24.1, 1.5)])
    assert s.exposure[0]["above"] == 5.0 and s.targets[0]["at_most"] == (8.0, "mg/L") and s.reference == "once"
    assert s.overrides["split"]["V"](3.0) == 6.0


SHOT = bolus((1e9, "cells"))
BY_RATE = infusion((2, "1e9 cells"), rate=(1, "1e9 cells/h"))
CELLS = infusion(cells(5e9, viability=0.9, car_fraction=0.75), over=(30, "min"))


@pytest.mark.parametrize(
    ("dose", "regimen"),
    [
        ('amount = "5e9 cells", viability = 0.9, car_fraction = 0.75, over = "30 min", day = 1', CELLS.at(day(1))),
        ('amount = "1e9 cells", day = [1, 3, 5]', sum_of(SHOT.at(day(d)) for d in (1, 3, 5))),
        ('amount = "2 1e9 cells", rate = "1 1e9 cells/h", at = ["2 h", "1 day"]', sum_of(BY_RATE.at((h, "h")) for h in (2, 24))),
        (
            'amount = "1e9cells", over = "1 h", lag = "30min", bioavailability = 0.5',
            SHOT.over((1, "h")).lagged((0.5, "h")).bioavailable(0.5),
        ),
    ],
)
def test_doses_are_those_of_the_algebra(tmp_path, dose, regimen):
    text = f'[source]\nmodel = "carm_blood_il6"\n[times]\nat = ["0 h", "1 h"]\n[[arms]]\nname = "a"\ndoses = [{{{dose}}}]\n'
    found = read_scenario(write(tmp_path, text), carm_blood_il6).arms["a"]
    assert found.for_model(carm_blood_il6) == regimen.for_model(carm_blood_il6)


BAD = """
titel = "no"
[source]
model = "one_compartment_oral"
[parameters]
CLL = 2.0
V = "3 h"
[times]
to = "1 day"
by = "90"
[[arms]]
name = "once"
doses = [{amuont = "320 mg"}, {amount = "320"}, {amount = "320 mg", into = "orally"}, {amount = "1 mg", every = "2 h"}]
[[arms]]
name = "V"
doses = [{amount = "320 mg", day = 0, into = "oral"}]
[[exposure]]
observable = "cpp"
[[targets]]
observable = "cp"
measure = "cmax"
[population]
vary = ["parameter"]
subjects = 0
[figures]
reference = "twice"
"""


def test_all_mistakes_are_told_with_their_place(tmp_path):
    with pytest.raises(FitError) as told:
        read_scenario(write(tmp_path, BAD), one_compartment_oral)
    text = str(told.value)
    assert text.startswith("scenario.toml: ") and "things to mend." in text
    for line in (
        "top level: 'titel' is no key here. Did you mean 'title'? ",
        "arms[1].doses[1]: 'amuont' is no key here. Did you mean 'amount'? ",
        "arms[1].doses[1]: 'amount' is missing: a number with its unit, as in amount = \"320 mg\".",
        "arms[1].doses[2]: amount = '320' carries no number and unit; write it as amount = \"320 mg\".",
        "arms[1].doses[3]: ",
        'arms[1].doses[4]: every and times stand together, as in every = "12 h", times = 10.',
        "arms[2].doses[1]: day(0): days count from 1",
        "arms[2]: the name 'V' is taken by a parameter.",
        "parameters: 'CLL' is no key here. Did you mean 'CL'? ",
        "parameters: Parameter 'V' is given in 'h', which cannot become 'L'",
        "times: by = '90' carries no number and unit",
        "exposure[1]: one_compartment_oral has no observable 'cpp'. Did you mean 'cp'? ",
        "targets[1]: a target has at_least, at_most or both.",
        "population: vary names 'parameter'; accepted are parameters, subjects, residual.",
        "population: subjects = 0; accepted is a whole number of at least 1.",
        "figures: reference = 'twice' is no arm",
    ):
        assert line in text, line


def test_the_command_writes_what_it_says(tmp_path, capsys):
    path, out = write(tmp_path, GOOD), tmp_path / "out"
    assert main(["simulate", str(path), "--out", str(out)]) == 0
    names = {p.name for p in out.iterdir()}
    assert names == {
        "bands.csv", "differences_cp.png", "exposure.csv", "parameters.csv", "records.csv", "scenario.html", "scenario.toml", "sdtab1", "targets.csv",
        "what_if.nc", "what_if_cp.png",
    }  # fmt: skip
    runs = read_what_if(out)
    assert runs is not None and dict(runs.sizes) == {"arm": 2, "draw": 1, "subject": 6, "time": 18}
    target = pd.read_csv(out / "targets.csv").set_index("arm")
    npt.assert_allclose(target.loc["once", "probability"], (runs["cp"].sel(arm="once").max("time") <= 8.0).mean())
    theta = pd.read_csv(out / "parameters.csv")
    npt.assert_allclose(theta["V"].to_numpy().reshape(2, 6)[1], 2 * theta["V"].to_numpy().reshape(2, 6)[0])
    cohort = read_cohort(out / "records.csv", one_compartment_oral, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"})
    assert cohort.n_subjects == 12
    rows, units = pd.read_csv(out / "records.csv", na_values="."), {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
    seen = simulate(one_compartment_oral, rows, theta.drop(columns=["ARM", "arm"]), units=units)
    npt.assert_allclose(seen[seen["EVID"] == 0]["cp"].to_numpy().reshape(2, 6, 18), runs["cp"].isel(draw=0), rtol=1e-9, atol=1e-12)
    page = (out / "scenario.html").read_text(encoding="utf-8")
    assert "Two ways" in page and "stated parameters: no fit" in page and "data:image/png" in page and "amount = &quot;0.32 g&quot;" in page
    capsys.readouterr()
    assert main(["simulate", str(path), "--out", str(out)]) == 1
    assert "exists and is not empty, and is left alone." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            ["one_compartment_oral"],
            "pkpd simulate one_compartment_oral: give a csv file of records beside the model, or a scenario file that ends in .toml.",
        ),
        (["nowhere.toml", "--out", "x"], "There is no scenario file nowhere.toml."),
        (["nowhere.toml"], "A scenario writes a folder: pkpd simulate nowhere.toml --out DIR."),
        (
            ["nowhere.toml", "--set", "CL=2", "--out", "x"],
            "A scenario says its doses, parameters and units itself: leave RECORDS, --set and --units out.",
        ),
    ],
)
def test_lines_that_make_no_sense(line, text, capsys):
    assert main(["simulate", *line]) == 1
    assert text in capsys.readouterr().err


def test_a_source_is_one_thing(tmp_path):
    for source, text in (
        ("", "source: it names a model of the library"),
        ('model = "a"\nfile = "b.py"', "source: it names a model of the library"),
        ('model = "a"\nfit = "b"', "source: fit is the folder of a saved fit, and needs the fit file beside it"),
    ):
        with pytest.raises(FitError, match=text):
            read_scenario(
                write(tmp_path, f"[source]\n{source}\n[times]\nat=['0 h','1 h']\n[[arms]]\nname='a'\n"), load_model("one_compartment_oral")
            )
    with pytest.raises(FitError, match=r"^scenario\.toml is not TOML: "):
        read_scenario(write(tmp_path, "[source"), one_compartment_oral)


def test_the_scenario_of_the_guide(root):
    s = read_scenario(root / "docs" / "examples" / "theophylline_scenario.toml", one_compartment_oral)
    assert list(s.arms) == ["once a day", "twice a day", "loading dose"] and len(s.times) == 121


FITFILE = "from tests import small\n\n\ndef problem(quick):\n    return small.problem()\n"
OF_PRIOR = """
[source]
file = "tiny.py"
[population]
subjects = 5
draws = 30
vary = ["parameters", "subjects", "residual"]
[times]
at = ["1 h", "6 h", "24 h"]
[[arms]]
name = "one"
doses = [{amount = "100 mg"}]
[[arms]]
name = "two"
doses = [{amount = "0.2 g"}]
overrides = {CL = "2 L/h"}
[output]
table_draws = 3
"""


@pytest.mark.slow
def test_a_scenario_of_a_prior(tmp_path, capsys):
    write(tmp_path, FITFILE, "tiny.py")
    path = write(tmp_path, OF_PRIOR)
    assert main(["simulate", str(path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err
    assert (
        "two: extrapolation, its largest dose 200 mg exceeds the largest given, 100." in told
        and "Nothing was fitted: all of it is prior." in told
    )
    assert "sdtab1 holds 3 of 30 draws (output.table_draws)" in told
    table = pd.read_csv(tmp_path / "out" / "sdtab1", skiprows=1, sep=r"\s+")
    assert list(table.columns) == ["ID", "REP", "ARM", "TIME", "DVID", "DV"] and len(table) == 2 * 3 * 5 * 3
    assert (pd.read_csv(tmp_path / "out" / "parameters.csv").query("arm == 'two'")["CL"] == 2.0).all()
    assert "prior of a problem: nothing was fitted" in (tmp_path / "out" / "scenario.html").read_text(encoding="utf-8")
    for wrong, text in (("[parameters]\nCL = 2.0\n", "[parameters] belongs to a model; a fit has its own."),):
        assert main(["simulate", str(write(tmp_path, wrong + OF_PRIOR, "b.toml")), "--out", str(tmp_path / "b")]) == 1
        assert text in capsys.readouterr().err


def test_covariates_of_a_fit_are_heeded_or_refused(tmp_path):
    """They were passed over in silence: the same numbers for all virtual patients, others as in the cohort."""
    write(tmp_path, app_study.FILE.read_text(encoding="utf-8"), "study.py")
    head = '[source]\nfile = "study.py"\n[population]\nsubjects = 4\ndraws = 3\n'
    tail = '\n[times]\nat = ["1 h", "6 h"]\n[[arms]]\nname = "one"\ndoses = [{amount = "100 mg", into = "oral"}]\n'

    def runs(line):
        path = write(tmp_path, head + line + tail)
        return _of_fit(path, read_source(path))[2]

    heavy = runs("covariates = {WT = 130}")
    assert (heavy["WT"] == 130.0).all() and any(s.startswith("WT of 130 is extrapolation") for s in heavy.attrs["extrapolation"])
    for line, text in (
        ("covariates = {WTT = 70}", r"^Covariate 'WTT' is none of the cohort's\. Did you mean 'WT'"),
        ('covariates = {WT = "70 kg"}', r"population\.covariates: WT = '70 kg'; accepted is a number\."),
        ('patients = "p.csv"\ncovariates = {WT = 70}', "patients .* or covariates .*, not both"),
    ):
        with pytest.raises(FitError, match=text):
            runs(line)


def test_the_page_of_a_fit_that_has_not_converged_withholds_its_results():
    attrs, tables = {"converged": 0, "source": "posterior"}, {"Exposure": pd.DataFrame({"arm": ["one"], "q50": [4.2]})}
    page = scenario_page("A study", attrs, [], tables, {}, "text")
    assert "NOT CONVERGED" in page and "Withheld: " in page and "4.2" not in page
    assert "4.2" in scenario_page("A study", attrs | {"converged": 1}, [], tables, {}, "text")
