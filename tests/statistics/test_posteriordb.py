"""Lotka and Volterra's hares and lynxes: means and sds of the reference draws of posteriordb, within Monte Carlo error of both."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd import sample
from tests.scripts import loaded

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "validation" / "posteriordb.py"
ERRORS = 4.0
"""False alarm: 8 means and 8 sds beyond 4 errors each, 16 * 6.3e-5 = 0.1 % of seeds."""


@pytest.mark.slow
def test_hares_and_lynxes_have_the_reference_posterior(reference_data):
    folder = reference_data / "posteriordb"
    script = loaded(SCRIPT)
    fit = sample(script.problem(folder), seed=2, progress=False)
    assert fit.verdict.converged
    found = script.compared(fit, pd.read_csv(folder / "lotka_volterra_reference.csv"))
    assert found["effective draws"].min() >= 4000
    assert found["off, Monte Carlo errors"].abs().max() <= ERRORS
    theirs = pd.read_csv(folder / "lotka_volterra_reference.csv").set_index("parameter").loc[found["quantity"]]
    error = np.hypot((2 * found["effective draws"]) ** -0.5, (2 * theirs["ess"].to_numpy()) ** -0.5)  # of a sd, relative
    assert np.all(np.abs(found["sd"] / theirs["sd"].to_numpy() - 1) <= 0.05 + ERRORS * error)
