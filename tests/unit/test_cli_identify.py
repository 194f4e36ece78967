"""`pkpd identify`: of a fit file, of a model and a design, and what each refuses."""

import pytest

from tests.cli import FIT_FILE, RECORDS, UNITS, told

DESIGN = """
title = "Once by mouth"
fixed = ["V"]
[variability]
CL = 0.3
[[arms]]
name = "once"
patients = 12
doses = [{amount = "320 mg", into = "oral"}]
[[observations]]
observable = "cp"
at = ["0.5 h", "2 h", "8 h", "24 h"]
limit = "2 mg/L"
"""


def test_identify_says_the_verdict_first_then_the_table(tmp_path, capsys):
    (tmp_path / "records.csv").write_text(RECORDS)
    (tmp_path / "tiny.py").write_text(FIT_FILE)
    code, out, _ = told(capsys, "identify", tmp_path / "tiny.py", "--out", tmp_path / "out")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "Identified at the prior medians: the rows respond to 1 of 1 directions and tell more than the priors of 1."
    assert lines[2:4] == ["Expected posterior/prior sd:", "parameter  prior median  unit  prior sd   all  SE %"]
    assert [line.split()[0] for line in lines[4:6]] == ["CL", "sigma_cp"]
    assert lines[-2].split() == ["all", "3", "1", "1", "1"] and lines[-1] == f"Table, picture and verdict: {tmp_path / 'out'}"
    assert (tmp_path / "out" / "verdict.txt").read_text() == lines[0] + "\n"
    assert (tmp_path / "out" / "information.csv").read_text().splitlines()[0].startswith("name,unit,value,prior_sd,")
    assert (tmp_path / "out" / "information.png").stat().st_size > 5000


@pytest.fixture
def design(tmp_path):
    (tmp_path / "design.toml").write_text(DESIGN)
    return tmp_path / "design.toml"


def test_a_model_and_a_design_need_no_data(design, capsys):
    code, out, _ = told(capsys, "identify", "one_compartment_oral", design, "--out", design.parent / "out", "--twins", "3")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("Identified at the prior medians: the rows respond to 2 of 2 directions")
    assert any(line.startswith("  Known best (posterior/prior sd): ") for line in lines)
    at = lines.index("Assumed, as the design says it or nobody does:")
    assert lines[at + 1 : at + 7] == [
        "  cp: 12 of 48 looks lie below 2 mg/L at these values and count for nothing.",
        "  Residual of cp: lognormal, sd 0.3 (30 %).",
        "  At the model's typical value: ka 1.5, CL 2.8.",
        "  Prior sd 1 (of ln; of the logit of a fraction; a value that may be negative: its size, at least 1): ka, CL.",
        "  Held, as if known: V 32.",
        "  Patients differ in CL 0.3 (sd).",
    ]
    assert any(line.split() == ["all", "36", "2", "2", "2"] for line in lines)
    assert "No twin found in 3 starts: 3 came back to the values here. That none was found is no proof that there is none." in lines
    kept = (design.parent / "out" / "verdict.txt").read_text().splitlines()
    assert kept[0] == lines[0] and "Assumed: Held, as if known: V 32." in kept
    assert {p.name for p in (design.parent / "out").iterdir()} == {"information.csv", "information.png", "verdict.txt", "twins.csv"}


def test_records_are_a_design(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("ID,TIME,EVID,AMT,CMT,DV\n1,0,1,320,iv,.\n1,2,0,.,.,.\n1,8,0,.,.,.\n")
    code, out, err = told(capsys, "identify", "one_compartment_iv", tmp_path / "rows.csv", "--fix", "V=30", *UNITS[:4])
    assert (code, err) == (0, "")
    assert "  rows.csv: 2 observation rows of 1 subject; DV, CENS and limits are not read." in out.splitlines()
    assert "  Held, as if known: V 30." in out.splitlines()


def test_everything_wrong_in_a_design_is_told_with_its_place(design, capsys):
    wrong = DESIGN.replace("patients", "patient").replace('fixed = ["V"]', 'fixed = ["Vd"]').replace('"cp"', '"cpp"')
    design.write_text(wrong + '[[observations]]\nobservable = "cp"\nat = ["1 h"]\nerror = "normal"\n[[observations]]\nobservable = "cp"\n')
    code, _, err = told(capsys, "identify", "one_compartment_oral", design)
    assert code == 1
    assert err.splitlines() == [
        "design.toml: 5 things to mend.",
        "  arms[1]: 'patient' is no key here. Did you mean 'patients'? Known: covariates, doses, name, patients, scaled.",
        "  observations[1]: one_compartment_oral has no observable 'cpp'. Did you mean 'cp'? Known: cp.",
        "  observations[2]: error = 'normal' is no residual error here. Did you mean 'lognormal'? Known: additive, lognormal, proportional.",
        '  observations[3]: give at least one time: to = "14 day", by = "6 h", or at = ["0 h", "24 h"].',
        "  fixed: 'Vd' is no parameter of one_compartment_oral. Did you mean 'V'? Known: CL, V, ka, others.",
    ]


def test_looks_that_tell_nothing_are_told(design, capsys):
    """A concentration of 0 has no logarithm and no proportional error; one below a millionth of the peak is hardly ever measured."""
    design.write_text(DESIGN.replace('"0.5 h", "2 h"', '"0 h", "2 h", "300 h"').replace('limit = "2 mg/L"', 'error = "proportional"'))
    code, out, _ = told(capsys, "identify", "one_compartment_oral", design)
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith(("  cp: ", "  Residual"))] == [
        "  Residual of cp: proportional, sd 0.3 (30 %).",
        "  cp: 12 of 60 looks have a prediction of 0, tell nothing and are left out.",
        "  cp: 12 of 60 looks are predicted below a millionth of its peak and count as if measured: give the observable a limit.",
    ]
    assert any(line.split() == ["all", "48", "2", "2", "2"] for line in out.splitlines())


REFUSED = {
    "--profile": (
        ["one_compartment_oral", "DESIGN", "--profile", "CL"],
        "--profile needs data: a profile likelihood is that of rows that were measured. Give a fit file: pkpd identify FITFILE --profile NAME.",
    ),
    "--fit": (
        ["one_compartment_oral", "DESIGN", "--fit", "build"],
        "--fit belongs to a fit file: a design has no posterior. Give it alone: pkpd identify FITFILE --fit DIR.",
    ),
    "no design": (
        ["one_compartment_oral"],
        "pkpd identify one_compartment_oral: give a design beside the model, 'pkpd identify one_compartment_oral design.toml' (doses, times, residual "
        "errors; guide: What the data can tell), or a csv file of records; or a fit file (.py) alone.",
    ),
    "--fix of a fit file": (
        ["FITFILE", "--fix", "CL=1"],
        "--fix belongs to MODEL DESIGN; FITFILE says for itself what is held (fixed(...)) and in which units its data are.",
    ),
    "--fix of nothing": (
        ["one_compartment_oral", "DESIGN", "--fix", "VC=1"],
        "'VC' is no parameter of one_compartment_oral. Did you mean 'V'? Known: CL, V, ka.",
    ),
    "a file beside a design": (
        ["FITFILE", "DESIGN"],
        "tiny.py beside a design: which model of it? Write tiny.py:NAME. Known: one_compartment_iv.",
    ),
    "a folder and --fit": (
        ["FOLDER", "--fit", "mine"],
        "FOLDER is a folder of a fit, and --fit names another: give the fit file, pkpd identify FITFILE --fit mine.",
    ),
    "a profile without a folder": (
        ["FITFILE", "--profile", "CL"],
        "--profile writes a table and a picture: give a folder, pkpd identify FITFILE --profile CL --out DIR.",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_is_asked_in_vain_is_refused_with_a_sentence(case, here, design, capsys):
    line, said = REFUSED[case]
    (here / "folder").mkdir()
    code, _, err = told(capsys, "identify", *({"DESIGN": design, "FITFILE": "tiny.py", "FOLDER": "folder"}.get(w, w) for w in line))
    assert code == 1 and err.strip() == said.replace("DESIGN; FITFILE", "DESIGN; tiny.py").replace("FOLDER", "folder")


def test_a_model_of_ones_own_is_file_and_name(here, design, capsys):
    (here / "own.py").write_text("from pkpd.models.classic import one_compartment_oral as mine\n")
    assert told(capsys, "identify", "own.py:mine", design)[0] == 0
    code, _, err = told(capsys, "identify", "own.py:mime", design)
    assert (code, err.strip()) == (1, "own.py has no model 'mime'. Did you mean 'mine'? Known: mine.")
    assert (
        told(capsys, "identify", "own.py", design)[2].strip()
        == "own.py beside a design: which model of it? Write own.py:NAME. Known: mine."
    )


@pytest.mark.slow
def test_a_profile_of_a_fit_file_is_a_table_and_a_picture(here, capsys):
    (here / "tiny.py").write_text(FIT_FILE.replace("LogNormal(1.0, 0.5))", "LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5))"))
    code, out, _ = told(capsys, "identify", "tiny.py", "--profile", "CL", "--out", "out")
    assert code == 0 and "\nProfile likelihood: CL: " in out
    assert (here / "out" / "profile.csv").read_text().startswith("name,value,rise,") and (
        here / "out" / "profile.png"
    ).stat().st_size > 5000
