"""The other commands: report, simulate, models, version and help."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pkpd.cli.library import absolute
from pkpd.cli.what_if_file import write_what_if
from tests.cli import FIT_FILE, UNITS, told
from tests.fakes import fake_fit, fake_what_if


def test_report_makes_the_page_again_from_what_was_saved(tmp_path, capsys, monkeypatch):
    fit, asked = fake_fit(), []
    fit.verdict = SimpleNamespace(converged=True, headline="Converged.", reasons=(), next_steps=())
    monkeypatch.setattr("pkpd.cli.report.load_fit", lambda folder: fit)
    monkeypatch.setattr("pkpd.cli.report.write_report", lambda *given, what_if: asked.append((*given, what_if)))
    write_what_if(fake_what_if(draws=2, subjects=3), tmp_path)
    code, out, _ = told(capsys, "report", tmp_path)
    assert (code, out) == (0, f"Converged.\nReport: {tmp_path / 'report.html'}\n")
    assert asked[0][:2] == (fit, tmp_path) and list(asked[0][2]["arm"].values) == ["D1", "D1/3/5", "D1 double"]


def test_report_of_an_empty_folder_says_what_to_do(tmp_path, capsys):
    code, _, err = told(capsys, "report", tmp_path)
    assert code == 1 and f"There is no fit in {tmp_path}: fit.nc is missing. Run 'pkpd fit FITFILE --out {tmp_path}' first." in err


def test_simulate_writes_one_row_a_record_and_tells_what_was_assumed(here, capsys):
    line = ("simulate", "one_compartment_iv", "records.csv", "--set", "CL=3.2", *UNITS)
    code, out, err = told(capsys, *line)
    rows = out.splitlines()
    assert code == 0 and rows[0] == "ID,TIME,EVID,cp" and len(rows) == 6
    assert float(rows[2].split(",")[-1]) == pytest.approx(10 * 2.718281828**-0.2, rel=1e-6)  # 320 mg in 32 L, CL/V = 0.1 /h, after 2 h
    assert err == "one_compartment_iv: cp in mg/L. At the typical value: V = 32 L.\n"
    assert told(capsys, *line, "--out", "cp.csv")[:2] == (0, "") and (here / "cp.csv").read_text() == out
    assert "cp.csv exists already and is left alone." in told(capsys, *line, "--out", "cp.csv")[2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--set", "CL"), "--set CL: this is not NAME=VALUE. Write one name and one value, as in --set CL=2.8."),
        (("--set", "CL=2,8"), "--set CL=2,8: '2,8' is not a number."),
        (("--set", "CL=nan"), "'nan' is not a number."),
        (("--set", "CL=1", "--set", "CL=2"), "--set names 'CL' twice, as 1 and as 2. Give it once."),
        (("--set", "Cl=2"), "There is no parameter 'Cl'. Did you mean 'CL'?"),
        (("--units", "TIME="), "--units TIME=: this is not NAME=VALUE."),
    ],
)
def test_a_bad_pair_is_told(here, capsys, options, sentence):
    code, out, err = told(capsys, "simulate", "one_compartment_iv", "records.csv", *options, *([] if "--units" in options else UNITS))
    assert (code, out) == (1, "") and sentence in err


def test_version(capsys):
    from importlib.metadata import version

    assert told(capsys, "--version") == (0, f"pkpd {version('pkpd-jax')}\n", "")


def test_help_tells_the_exit_codes_and_a_wrong_option_ends_with_2(capsys):
    out = " ".join(told(capsys, "fit", "--help")[1].split())
    assert "0 when the fit converged or --quick was given, 3 when it has not converged, 1 on an error" in out
    code, _, err = told(capsys, "fit", "a.py", "--sed", "3")
    assert code == 2 and "No such option: --sed" in err


def test_models_are_listed_and_shown(capsys):
    code, out, _ = told(capsys, "models", "list")
    assert code == 0 and any(line.split("  ")[0] == "one_compartment_oral" and "given by mouth" in line for line in out.splitlines())
    code, out, _ = told(capsys, "models", "show", "one_compartment_oral")
    assert code == 0 and "volume of distribution" in out and out.splitlines()[-1].endswith("one_compartment.py")
    code, _, err = told(capsys, "models", "show", "one_compartment_orla")
    assert code == 1 and "Did you mean 'one_compartment_oral'?" in err


def test_a_copied_model_works_beside_a_fit_file(here, sampled, capsys):
    assert (
        told(capsys, "models", "copy", "one_compartment_iv", "my_pk_cli.py")[1]
        == "In a fit file beside the copy: from my_pk_cli import one_compartment_iv\n"
    )
    text = FIT_FILE.replace("from pkpd.models.classic", "from my_pk_cli")
    (here / "tiny.py").write_text(text, encoding="utf-8")
    assert told(capsys, "fit", "tiny.py")[0] == 0
    assert "my_pk_cli.py exists already and is left alone." in told(capsys, "models", "copy", "one_compartment_iv", "my_pk_cli.py")[2]
    assert (
        "could not be imported: name a folder, or a file with a name like my_one_compartment.py."
        in told(capsys, "models", "copy", "one_compartment_iv", "my-pk.py")[2]
    )


def test_a_copy_imports_its_neighbours_from_the_package(here, capsys):
    text = "from . import a\nfrom .b import (\n    c,\n)\nfrom ..d.e import f\nx = 'from .g import h'\n"
    full = "from p.q import a\nfrom p.q.b import (\n    c,\n)\nfrom p.d.e import f\nx = 'from .g import h'\n"
    assert absolute(text, "p.q") == full
    assert told(capsys, "models", "copy", "carm_blood_il6", ".")[0] == 0
    (copied,) = (p for p in here.glob("*.py") if p.name != "tiny.py")
    assert "\nfrom pkpd.models.carm import cytokines, trafficking\n" in copied.read_text(encoding="utf-8")
