"""The theophylline posterior against R's nlme: the same model, so medians lie within half a posterior sd of the maximum-likelihood estimates."""

import pandas as pd
import pytest

from pkpd import sample
from pkpd.cli.fitfile import load_problem

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fit(root):
    return sample(load_problem(root / "fits" / "theophylline.py")(quick=True), seed=1, progress=False)


def test_it_converges(fit):
    assert fit.verdict.converged, fit.verdict
    assert fit.verdict.not_identified == ()


@pytest.mark.parametrize("name", ["ka", "CL", "V", "sigma_cp"])
def test_medians_agree_with_nlme(fit, root, name):
    """Prior sd of ln theta is 1 against likelihood standard errors of 0.05 to 0.2, so the priors move medians by less than 0.04 of them."""
    nlme = pd.read_csv(root / "data" / "theophylline" / "nlme_reference.csv").set_index("quantity")["estimate"][name]
    row = fit.summary.set_index("name").loc[name]
    assert abs(row["q50"] - nlme) < 0.5 * row["sd"], (name, row["q50"], nlme, row["sd"])
