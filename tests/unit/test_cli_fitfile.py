"""Fit files: loaded by path, refused in sentences, and run by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkpd.cli import main
from pkpd.cli.fitfile import load_problem
from pkpd.cli.run import run
from pkpd.errors import FitError
from tests.cli import FIT_FILE, RECORDS, told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def problem(quick):\n    return (1,\n", "bad.py, line 2: '(' was never closed: return (1,"),
        ("x = 1\ny = x + unknown\n", "bad.py, line 2: NameError: name 'unknown' is not defined. Run again with --debug to see where."),
        ("import no_such_module_of_mine\n", "bad.py, line 1: ModuleNotFoundError: No module named 'no_such_module_of_mine'."),
        (
            "def problems(quick):\n    pass\n",
            "bad.py defines no 'problem', but 'problems'. A fit file defines 'def problem(quick: bool) -> FitProblem'.",
        ),
        ("", "bad.py defines no 'problem'. A fit file defines"),
        ("problem = 3\n", "bad.py: 'problem' is a int, not a function."),
        ("def problem():\n    pass\n", "bad.py: problem() cannot be called as problem(False): too many positional arguments."),
        ("def problem(quick):\n    pass\n", "bad.py: problem(quick=False) returned nothing. End it with 'return FitProblem(...)'."),
        ("def problem(quick):\n    return 'fit'\n", "bad.py: problem(quick=False) returned a str, but a FitProblem is needed."),
        ("def problem(quick):\n    return\n    1 / 0\n", "returned nothing"),
        ("def problem(quick):\n    a = 1\n    return a / 0\n", "bad.py, line 3: ZeroDivisionError: division by zero."),
        ("from pkpd import Sampler\nSampler(chains=0)\n", "Sampler(chains=0): a whole number of at least 1 is needed."),
    ],
)
def test_a_bad_fit_file_gives_a_sentence(here, sampled, capsys, text, sentence):
    (here / "bad.py").write_text(text, encoding="utf-8")
    code, out, err = told(capsys, "fit", "bad.py")
    assert (code, out, sampled.calls) == (1, "", []) and sentence in err and "Traceback" not in err
    assert not (here / "build").exists()


def test_a_missing_fit_file_names_the_nearest(here, capsys):
    (here / "plain.txt").write_text("x", encoding="utf-8")
    assert "There is no fit file 'tinny.py'. Did you mean 'tiny.py'? A fit file defines" in told(capsys, "fit", "tinny.py")[2]
    assert ". is a folder; name one fit file. Python files in it: tiny.py." in told(capsys, "fit", ".")[2]
    assert "plain.txt is not a Python file (.py)." in told(capsys, "fit", "plain.txt")[2]


def test_a_fit_file_imports_what_lies_beside_it(here, sampled, capsys):
    (here / "fits").mkdir()
    (here / "fits" / "beside_cli.py").write_text("NAME = 'beside'\n", encoding="utf-8")
    text = "from beside_cli import NAME\n" + FIT_FILE.replace('name="tiny"', "name=NAME").replace("__file__)", "__file__).parent")
    (here / "fits" / "far.py").write_text(text, encoding="utf-8")
    assert told(capsys, "fit", "fits/far.py")[:2] == (
        0,
        "Converged: all.\nReport: build/beside/report.html\n",
    )


def test_defects_of_the_data_reach_the_user_as_they_are(here, capsys):
    (here / "records.csv").write_text(RECORDS.replace("8.5", "eight"), encoding="utf-8")
    code, _, err = told(capsys, "fit", "tiny.py")
    assert code == 1 and "records.csv: 1 thing to mend." in err and "row 3, subject 1, column DV" in err


def test_debug_shows_the_cause_wherever_it_stands(here):
    (here / "bad.py").write_text("1 / 0\n", encoding="utf-8")
    for line in (["--debug", "fit", "bad.py"], ["fit", "bad.py", "--debug"]):
        with pytest.raises(FitError) as caught:
            main(line)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_run_takes_the_options_of_pkpd_fit(here, sampled, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["fits/tiny.py", "--quick", "--seed", "5", "--out", "mine"])
    run(load_problem(here / "tiny.py"))
    assert sampled.calls == [{"seed": 5, "checkpoint": Path(".mine.unfinished")}] and capsys.readouterr().out.endswith(
        "Report: mine/report.html\n"
    )


def test_run_ends_with_the_code_of_pkpd_fit(here, sampled, capsys):
    sampled.converged = False
    with pytest.raises(SystemExit, match=r"^3$"):
        run(load_problem(here / "tiny.py"), [])
    with pytest.raises(SystemExit, match=r"^2$"):
        run(load_problem(here / "tiny.py"), ["--drawz", "3"])
    with pytest.raises(SystemExit, match=r"^1$"):
        run(lambda quick: None, [])
    assert "test_cli_fitfile.py: problem(quick=False) returned nothing." in capsys.readouterr().err
    with pytest.raises(FitError, match="returned nothing"):
        run(lambda quick: None, ["--debug"])
