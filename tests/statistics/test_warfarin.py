"""Warfarin, concentration and response in one fit: it converges, and the curves follow the data. No reference estimates are at hand."""

import numpy as np
import pytest

from pkpd import sample
from pkpd.cli.fitfile import load_problem


@pytest.fixture(scope="module")
def problem(root, reference_data):
    return load_problem(root / "fits" / "warfarin.py")(False)


def test_both_kinds_of_rows_are_read(problem):
    """251 concentrations and 232 activities of 32 subjects, as the file's description says."""
    assert len(problem.cohort.subjects) == 32
    assert np.bincount(problem.rows.observable).tolist() == [251, 232]


@pytest.mark.slow
def test_it_converges(problem):
    fit = sample(problem, seed=1, progress=False)
    assert fit.summary["rhat"].max() <= 1.01, fit.summary[["name", "rhat"]]
