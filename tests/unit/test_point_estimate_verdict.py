"""The verdict on a descent: each reason and warning in its words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd import IndividualEstimates, ObjectiveValue
from pkpd.approximate.bfgs import Descent
from pkpd.approximate.judge import Found, judge

LABELS = ["CL", "V", "omega_CL"]


def found(gradient=(0.0, 0.0, 0.0), curvature=None, rest=(False,) * 3, status="converged", anew=(3.0, 4.0)):
    own = IndividualEstimates(
        ("7", "8"),
        ("eta_CL",),
        np.zeros((2, 1)),
        np.ones((2, 1, 1)),
        np.ones(1),
        pd.DataFrame(index=["7", "8"]),
        np.zeros(2),
        ("converged", status),
    )
    value = ObjectiveValue("FOCEI", 7.0, pd.Series([3.0, 4.0], index=["7", "8"]), own, 0.0, 0.0)
    rest = np.array(rest)
    free = int(np.sum(~rest))
    at = Descent(np.zeros(3), 7.0, np.array(gradient), np.eye(3), None, 20)
    return Found("FOCEI", at, rest, np.eye(free) if curvature is None else np.array(curvature), LABELS, value, np.array(anew))


def test_a_minimum():
    verdict = judge(found())
    assert verdict.converged and verdict.headline == "Converged: FOCEI objective 7.000, largest gradient 0.0e+00 after 20 evaluations."


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"gradient": (0.0, 0.4, 0.0)}, "One more Newton step would lower the objective by 0.08; its slope is largest in V."),
        ({"gradient": (0.0, np.nan, 0.0)}, "One more Newton step would lower the objective by nan; its slope is largest in V."),
        (
            {"status": "its likelihood is not finite at the start"},
            "Modes not found for 1 subjects (subject 8: its likelihood is not finite at the start).",
        ),
        (
            {"gradient": (0.3, 0.0, 0.0), "curvature": np.diag([1.0, -1.0, 1.0])},
            "The slope of the objective in CL is 0.3, and its curvature is not positive definite.",
        ),
    ],
)
def test_what_fails_it(case, reason):
    verdict = judge(found(**case))
    assert not verdict.converged and verdict.headline == f"NOT CONVERGED: {reason}" and verdict.reasons[0] == reason and verdict.next_steps


@pytest.mark.parametrize(
    ("case", "warning"),
    [
        ({"curvature": np.diag([1.0, -1.0, 1.0])}, "no standard errors: the curvature is not positive definite (V)"),
        ({"rest": (False, False, True)}, "omega_CL at a boundary, without standard error"),
        ({"anew": (3.0, 2.0)}, "searched from 0, the mode of subject 8 lies elsewhere"),
    ],
)
def test_what_only_warns(case, warning):
    verdict = judge(found(**case))
    assert verdict.converged and verdict.headline.startswith("Converged, with a warning: ") and verdict.headline.endswith(f"; {warning}.")
    assert verdict.reasons == (warning,) and verdict.next_steps
