"""Example 504 of Bauer 2019 against NONMEM's NUTS run: the same model with wide priors, so the posteriors agree coefficient by coefficient."""

import numpy as np
import pandas as pd
import pytest

from pkpd import sample
from pkpd.cli.fitfile import load_problem

pytestmark = pytest.mark.slow
SITES = ["CL", "V", "beta_CL_WT", "beta_V_WT", "beta_CL_AGE", "beta_V_AGE", "beta_CL_SEX", "beta_V_SEX"]  # THETA1 to THETA8


@pytest.fixture(scope="module")
def fit(root, reference_data):
    return sample(load_problem(root / "fits" / "bauer504.py")(quick=False), seed=1, progress=False)


@pytest.fixture(scope="module")
def nonmem(reference_data):
    table = pd.read_csv(reference_data / "bauer2019" / "example504_estimates.csv")
    return table[table["run"] == "nuts"].set_index("parameter")


def draws(fit, site):
    """NONMEM's thetas are ln CL and ln V."""
    values = fit.tree["posterior"][site].to_numpy().ravel()
    return np.log(values) if site in ("CL", "V") else values


def test_it_converges(fit):
    assert fit.verdict.converged, fit.verdict


@pytest.mark.parametrize(("number", "site"), list(enumerate(SITES, 1)))
def test_thetas_agree_with_nonmem(fit, nonmem, number, site):
    """Posterior means within 0.2 of NONMEM's posterior sd, sds within 10 %."""
    theirs, ours = nonmem.loc[f"THETA{number}"], draws(fit, site)
    assert abs(ours.mean() - theirs["estimate"]) < 0.2 * theirs["se"], (site, ours.mean(), theirs["estimate"], theirs["se"])
    assert abs(ours.std(ddof=1) / theirs["se"] - 1) < 0.1, (site, ours.std(ddof=1), theirs["se"])
