"""The matrix {quantity of a dose} x {kind of event} by the closed form (the other solvers: slow, and `docs/validation/event_gradients.py`)."""

from __future__ import annotations

import numpy as np
import pytest

from docs.validation.event_gradients import AT, KINDS, MEANINGLESS, SOLVERS, compare

#: extrapolated differences of an exact function leave 1e-9; the mesh of the cascade and the tolerances of diffrax leave more
TOLERANCES = {"closed_form": 1e-7, "cascade": 1e-5, "kvaerno5": 1e-5, "tsit5": 1e-5}


def check(solver: str) -> None:
    table = compare(solver)
    assert len(table) == len(KINDS) * (len(AT) + 1)
    meant = np.array([cell not in MEANINGLESS for cell in zip(table["event"], table["quantity"], strict=True)])
    bad = table[meant & ~(table["error"] <= TOLERANCES[solver]).to_numpy()]
    assert bad.empty, bad.to_string()
    none = table[~meant]
    assert (none["found"] == 0).all()  # what a bolus does not have moves nothing


@pytest.mark.slow
def test_closed_form():
    check("closed_form")


@pytest.mark.slow
@pytest.mark.parametrize("solver", [s for s in SOLVERS if s != "closed_form"])
def test_other_solvers(solver):
    check(solver)
