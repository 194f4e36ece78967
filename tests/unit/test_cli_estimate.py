"""`pkpd estimate`: its listing, its files and its exit codes. The descent is stood in for; tests/statistics runs real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd import IndividualEstimates, ObjectiveValue, PointEstimates
from pkpd.cli import estimate as command
from pkpd.inference import Verdict
from tests.cli import told

GOOD = Verdict(True, "Converged: FOCEI objective 12.340, largest gradient 1.0e-06 after 30 evaluations.")
BAD = Verdict(False, "NOT CONVERGED: the slope is steep.", ("the slope is steep.",), ("Start nearer.",))


def made(verdict):
    """Two estimates, one of them without standard error."""
    index = pd.Index(["CL", "omega_CL"], name="name")
    table = pd.DataFrame({"estimate": [2.7515, 0.1], "se": [0.23, np.nan], "rse": [8.36, np.nan], "unit": ["L/h", "1"]}, index=index)
    subjects = pd.Index(["1", "2"], name="subject")
    own = IndividualEstimates(
        ("1", "2"),
        ("eta_CL",),
        np.array([[0.05], [-0.05]]),
        np.full((2, 1, 1), 0.001),
        np.array([0.1]),
        pd.DataFrame({"CL": [2.9, 2.6]}, index=subjects),
        np.zeros(2),
        ("converged", "converged"),
    )
    value = ObjectiveValue("FOCEI", 12.34, pd.Series([6.0, 6.34], index=subjects), own, 5.5, 0.0)
    correlation = pd.DataFrame([[1.0, 0.97], [0.97, 1.0]], index=index, columns=index)
    return PointEstimates("FOCEI", table, correlation, 65.67, value, verdict, 30)


@pytest.fixture
def stood_in(monkeypatch):
    calls = []

    def use(verdict):
        def maximise(problem, method, **settings):
            calls.append((problem.name, method, settings))
            return made(verdict)

        monkeypatch.setattr(command, "maximise", maximise)
        return calls

    return use


def test_the_listing(here, stood_in, capsys):
    calls = stood_in(GOOD)
    code, out, err = told(capsys, "estimate", "tiny.py", "--method", "focei", "--starts", 3, "--seed", 7, "--prior")
    assert code == 0 and calls == [("tiny", "FOCEI", {"prior": True, "starts": 3, "seed": 7})] and "tiny: focei" in err
    assert out.splitlines() == [
        "Converged: FOCEI objective 12.340, largest gradient 1.0e-06 after 30 evaluations.",
        "",
        "FOCEI objective 12.3400 (-2 log likelihood without the constant 5.5000; likelihood alone, priors left out)",
        "",
        "          estimate    SE  RSE %  unit",
        "CL           2.752  0.23   8.36   L/h",
        "omega_CL       0.1     -      -     1",
        "",
        "        omega  shrinkage %",
        "eta_CL    0.1         29.3",
        "",
        "Condition number of the correlation: 65.67",
        "Correlation above 0.95: omega_CL and CL (0.970)",
    ]


def test_not_converged_ends_with_3_and_says_what_to_do(here, stood_in, capsys):
    stood_in(BAD)
    code, out, _ = told(capsys, "estimate", "tiny.py")
    assert code == 3 and out.splitlines()[:2] == ["NOT CONVERGED: the slope is steep.", "  Start nearer."]


def test_files_are_written_where_asked(here, stood_in, capsys):
    stood_in(GOOD)
    assert told(capsys, "estimate", "tiny.py", "--out", "build/focei")[0] == 0
    assert sorted(p.name for p in (here / "build/focei").iterdir()) == ["correlation.csv", "estimates.csv", "individual.csv"]
    assert pd.read_csv(here / "build/focei/estimates.csv")["name"].tolist() == ["CL", "omega_CL"]


def test_a_method_that_is_not_known_is_handed_on_as_written(here, capsys):
    code, _, err = told(capsys, "estimate", "tiny.py", "--method", "SAEM")
    assert code == 1 and "method 'SAEM' is not known. Known: FO, FOCE, FOCEI, Laplace, exact." in err
