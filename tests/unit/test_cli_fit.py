"""`pkpd fit`: what it prints, where it writes, and what it never costs. Sampling is stood in for; tests/examples runs a real fit."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import xarray as xr

from pkpd.cli import results, session
from pkpd.cli.what_if_file import read_what_if, write_what_if
from pkpd.errors import FitError
from tests.cli import FIT_FILE, RECORDS, told
from tests.fakes import fake_what_if


def test_fit_says_the_verdict_first_then_where_the_report_is(here, sampled, capsys):
    code, out, err = told(capsys, "fit", "tiny.py")
    assert code == 0
    assert out.splitlines()[0] == "Converged: all." and out.splitlines()[-1] == "Report: build/tiny/report.html"
    assert "s] tiny: seed 1 (default)" in err and "s] sampling tiny" in err
    assert sorted(p.name for p in (here / "build" / "tiny").iterdir()) == ["fit.nc", "report.html"]
    assert [p.name for p in (here / "build").iterdir()] == ["tiny"]
    assert sampled.calls == [{"seed": 1, "checkpoint": Path("build/.tiny.unfinished")}]


def test_fit_hands_its_options_on(here, sampled, capsys):
    code, _, err = told(
        capsys, "fit", "tiny.py", "--seed", 7, "--chains", 3, "--draws", 50, "--warmup", 40, "--out", "there/first", "--quick"
    )
    assert code == 0 and sampled.calls == [
        {"seed": 7, "checkpoint": Path("there/.first.unfinished"), "chains": 3, "draws": 50, "warmup": 40}
    ]
    assert "tiny: seed 7, quick" in err and "default" not in err
    assert (here / "there" / "first" / "report.html").exists()


@pytest.mark.parametrize(("options", "expected"), [((), 3), (("--quick",), 0)])
def test_a_fit_that_has_not_converged_says_so_first_and_ends_with_3_unless_quick(here, sampled, capsys, options, expected):
    sampled.converged = False
    code, out, _ = told(capsys, "fit", "tiny.py", *options)
    assert code == expected
    assert out.splitlines() == ["NOT CONVERGED: R-hat above 1.01 for CL (1.3).", "  Run longer.", "Report: build/tiny/report.html"]


def test_the_library_is_quiet_again_after_a_fit(here, sampled, capsys):
    log = logging.getLogger("pkpd")
    before = (list(log.handlers), log.level)
    told(capsys, "fit", "tiny.py")
    assert (log.handlers, log.level) == before


def test_an_earlier_result_is_kept_each_time(here, sampled, capsys):
    for seed in (1, 2, 3):
        code, _, err = told(capsys, "fit", "tiny.py", "--seed", seed)
        assert code == 0
    assert (here / "build/tiny/fit.nc").read_text() == "seed 3"
    earlier = [p for p in (here / "build").iterdir() if p.name.startswith("tiny.earlier-")]
    assert sorted((p / "fit.nc").read_text() for p in earlier) == ["seed 1", "seed 2"]
    assert "The earlier result is kept in" in err and "tiny.earlier-" in err


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (".", "holds the folder you work in"),
        ("..", "holds the folder you work in"),
        ("notes", "holds other things and no fit (fit.nc); they are left alone"),
        ("records.csv", "is a file; --out needs a folder"),
        ("records.csv/inside", "cannot be written to (Not a directory)"),
    ],
)
def test_a_place_that_could_cost_something_is_refused_before_sampling(here, sampled, capsys, place, sentence):
    (here / "notes").mkdir()
    (here / "notes" / "thoughts.txt").write_text("mine", encoding="utf-8")
    code, out, err = told(capsys, "fit", "tiny.py", "--out", place)
    assert (code, out, sampled.calls) == (1, "", []) and sentence in err
    assert (here / "notes" / "thoughts.txt").read_text() == "mine" and (here / "records.csv").read_text() == RECORDS


def test_an_empty_folder_is_taken(here, sampled, capsys):
    (here / "empty").mkdir()
    assert told(capsys, "fit", "tiny.py", "--out", "empty")[0] == 0
    assert (here / "empty" / "fit.nc").exists()


def test_a_failed_fit_leaves_the_earlier_result_and_nothing_else(here, sampled, capsys, monkeypatch):
    told(capsys, "fit", "tiny.py")

    def fails(problem, **options):
        raise FitError("The start is impossible.")

    monkeypatch.setattr(session, "sample", fails)
    code, out, err = told(capsys, "fit", "tiny.py", "--seed", 2)
    assert (code, out) == (1, "") and err.endswith("The start is impossible.\n") and "Traceback" not in err
    assert [p.name for p in (here / "build").iterdir()] == ["tiny"] and (here / "build/tiny/fit.nc").read_text() == "seed 1"


def test_a_failed_report_does_not_cost_the_fit(here, sampled, capsys, monkeypatch):
    def fails(fit, folder, *, what_if=None):
        raise ZeroDivisionError("no pixels")

    monkeypatch.setattr(session, "write_report", fails)
    code, _, err = told(capsys, "fit", "tiny.py")
    assert code == 1 and "The fit itself is saved in" in err and "makes its report" in err
    assert err.endswith("ZeroDivisionError: no pixels. Run again with --debug to see where.\n")
    assert (here / "build/tiny/fit.nc").read_text() == "seed 1"


def test_interrupting_ends_with_130_and_leaves_nothing(here, sampled, capsys, monkeypatch):
    def interrupted(problem, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "sample", interrupted)
    code, out, err = told(capsys, "fit", "tiny.py")
    assert (code, out) == (130, "") and err.endswith("Interrupted.\n") and not list((here / "build").iterdir())


def test_results_that_cannot_be_moved_stay_where_they_are(here, monkeypatch):
    place = here / "build" / "tiny"
    draft = place.with_name(".tiny.part")
    for folder in (place, draft):
        folder.mkdir(parents=True)
        (folder / "fit.nc").write_text(folder.name, encoding="utf-8")
    rename = Path.rename

    def stuck(self, target):
        if self == draft:
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stuck)
    with pytest.raises(
        FitError, match=r"could not be moved to .*tiny \(Invalid cross-device link\)\. They are whole and lie in .*\.tiny\.part\."
    ):
        results.publish(draft, place)
    assert (place / "fit.nc").read_text() == "tiny" and (draft / "fit.nc").read_text() == ".tiny.part"


def test_the_problem_name_must_be_able_to_name_a_folder(here, sampled, capsys):
    (here / "tiny.py").write_text(FIT_FILE.replace('"tiny"', '"a/b"'), encoding="utf-8")
    assert "The problem's name 'a/b' cannot name a folder. Give one with --out DIR." in told(capsys, "fit", "tiny.py")[2]


def test_a_what_if_is_saved_and_handed_to_the_report(here, sampled, capsys):
    text = FIT_FILE.replace('name="tiny"', 'name="tiny", what_if=answer') + "\nfrom tests.fakes import fake_what_if\n"
    (here / "tiny.py").write_text(text + "def answer(fit):\n    return fake_what_if(draws=2, subjects=3)\n", encoding="utf-8")
    assert told(capsys, "fit", "tiny.py", "--quick")[0] == 0
    xr.testing.assert_equal(sampled.runs[0], read_what_if(here / "build" / "tiny"))


def test_a_what_if_that_returns_something_else_costs_no_fit(here, sampled, capsys):
    (here / "tiny.py").write_text(FIT_FILE.replace('name="tiny"', 'name="tiny", what_if=lambda fit: 3'), encoding="utf-8")
    code, _, err = told(capsys, "fit", "tiny.py")
    assert code == 1 and "The problem's what_if returned a int; return what what_if(fit, arms, ...) gives, a Dataset." in err
    assert (here / "build/tiny/fit.nc").exists()


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"extrapolation": ["one."], "simulated": True}, {"extrapolation": "one.", "simulated": 1}),
        ({"extrapolation": ("one.", "two."), "n": 3}, {"extrapolation": ["one.", "two."], "n": 3}),
        ({"extrapolation": [], "simulated": False, "note": None}, {"simulated": 0}),
    ],
)
def test_a_what_if_comes_back_as_it_was_saved(tmp_path, attrs, expected):
    runs = fake_what_if(draws=2, subjects=3)
    runs.attrs = attrs
    write_what_if(runs, tmp_path)
    back = read_what_if(tmp_path)
    xr.testing.assert_equal(back, runs)
    assert back.attrs == expected and back["il6"].attrs["unit"] == "pg/mL"
    assert read_what_if(tmp_path / "elsewhere") is None


def test_a_broken_what_if_file_is_named(tmp_path):
    (tmp_path / "what_if.nc").write_text("half", encoding="utf-8")
    with pytest.raises(FitError, match=r"what_if.nc cannot be read \(.*Delete it, or run the fit again."):
        read_what_if(tmp_path)
