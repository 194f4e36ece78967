"""What is chosen for a patient whose posterior was not found says so."""

import types

import numpy as np
import pandas as pd
import pytest

from pkpd.simulate.dose_comparison import DoseComparison
from pkpd.simulate.people import People


@pytest.mark.parametrize(
    ("verdict", "caution"),
    [("Converged: 900 effective of 1000 draws.", ""), ("NOT CONVERGED: no mode.", " Do not use it: NOT CONVERGED: no mode.")],
)
def test_of_a_patient(verdict, caution):
    patient = types.SimpleNamespace(verdict=verdict)
    assert People.caution.fget(types.SimpleNamespace(patient=patient)) == caution


def test_of_virtual_people_there_is_none():
    assert People.caution.fget(types.SimpleNamespace(patient=None)) == ""


def test_it_ends_the_sentence():
    table = pd.DataFrame({"utility": [1.0], "feasible": [True]}, index=["once"])
    table.attrs["weights"] = np.ones(1)
    found = DoseComparison(table, pd.DataFrame({"once": [1.0]}), "mg", " Do not use it: NOT CONVERGED: no mode.")
    assert found.sentence == "'once' is the only regimen that keeps the limits. Do not use it: NOT CONVERGED: no mode."
