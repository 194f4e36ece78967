"""Power-scaling, epsilon shrinkage and influence by subject, on trees whose answers are known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pkpd import FitError, epsilon_shrinkage_table, sensitivity_table, subject_scores
from pkpd.diagnostics.loo import who_is_influential

CHAINS, DRAWS = 4, 2000


def normal_tree(prior_mean: float, data_sd: float, seed: int = 0) -> xr.DataTree:
    """x ~ N(prior_mean, 1), one datum 0 ~ N(x, data_sd): draws of the exact posterior, and both log densities of all of them."""
    rng, weight = np.random.default_rng(seed), 1 / data_sd**2
    mean, sd = prior_mean / (1 + weight), 1 / np.sqrt(1 + weight)
    x = mean + sd * rng.normal(size=(CHAINS, DRAWS))
    label = lambda v: (("chain", "draw"), v)  # noqa: E731
    rows = np.stack([-0.5 * weight * x**2, np.zeros_like(x)], -1)
    coords = {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}
    groups = {
        "posterior": xr.Dataset({"x": label(x)}, coords=coords),
        "log_prior": xr.Dataset({"x": label(-0.5 * (x - prior_mean) ** 2)}, coords=coords),
        "log_likelihood": xr.Dataset({"dv": (("chain", "draw", "obs"), rows)}),
    }
    return xr.DataTree.from_dict({"/": xr.Dataset(), **groups})


@pytest.mark.parametrize(
    ("prior_mean", "data_sd", "said"), [(0.0, 0.1, ""), (0.0, 5.0, "prior strong, data weak"), (6.0, 1.0, "prior and data both move it")]
)
def test_the_diagnosis_is_the_one_that_was_planted(prior_mean, data_sd, said):
    assert sensitivity_table(normal_tree(prior_mean, data_sd))["diagnosis"].tolist() == [said]


def test_the_shift_is_that_of_the_conjugate_normal():
    """Mean under prior^a: a m / (a + w). Tolerance: of 8000 weighted draws, 3 standard errors, 3 x 1.2 / sqrt(8000)."""
    m, w = 2.0, 1.0
    exact = (1.25 * m / (1.25 + w) - 0.8 * m / (0.8 + w)) * np.sqrt(1 + w)
    (line,) = sensitivity_table(normal_tree(m, 1.0)).to_dict("records")
    assert line["shift"] == pytest.approx(exact, abs=0.04)


def test_an_older_fit_is_told():
    tree = normal_tree(0.0, 1.0)
    del tree["log_prior"]
    with pytest.raises(FitError) as error:
        sensitivity_table(tree)
    assert str(error.value) == (
        "This fit's tree has no log_prior; it holds posterior, log_likelihood. Fit again, or load the whole fit.nc."
    )


def rows_tree(values: np.ndarray, subject: list[str], iwres: np.ndarray) -> xr.DataTree:
    constant = xr.Dataset({"subject": ("obs", np.array(subject)), "observable": ("obs", np.array(["cp"] * len(subject)))})
    groups = {"log_likelihood": xr.Dataset({"dv": (("chain", "draw", "obs"), values)}), "constant_data": constant}
    return xr.DataTree.from_dict({"/": xr.Dataset(), **groups, "residuals": xr.Dataset({"iwres": ("obs", iwres)})})


def test_a_subject_the_posterior_hangs_on_is_named():
    """a: log-likelihood all but the same in every draw; b: its negative is exponential with scale 2, so 1/p has a tail of k = 2; c: certain rows."""
    rng = np.random.default_rng(1)
    values = np.stack([0.05 * rng.normal(size=(4, 500)), -2.0 * rng.exponential(size=(4, 500)), np.zeros((4, 500))], -1)
    table = subject_scores(rows_tree(values, ["a", "b", "c"], np.zeros(3)))
    assert table["subject"].tolist() == ["a", "b"]
    assert table["influential"].tolist() == [False, True]
    assert table.loc[0, "log_score"] == pytest.approx(values[..., 0].mean(), abs=0.01)  # second order: half the variance, 1e-3
    assert who_is_influential(table, integrated=True).startswith("1 of 2 subjects are influential: b (k ")
    said = who_is_influential(table)
    assert said.startswith("Pareto-k is above 0.7 for 1 of 2 subjects: b (k ")
    assert said.endswith("so this does not tell who moves the population; subject_scores(fit, integrated=True) does.")


def test_epsilon_shrinkage_is_one_less_the_sd():
    iwres = np.array([-1.0, 0.0, 1.0, np.nan])
    (line,) = epsilon_shrinkage_table(rows_tree(np.zeros((1, 2, 4)), list("aabb"), 0.5 * iwres)).to_dict("records")
    assert line == {"observable": "cp", "rows": 3, "sd_iwres": 0.5, "shrinkage": 0.5}


def test_no_residuals_no_table():
    tree = rows_tree(np.zeros((1, 2, 1)), ["a"], np.zeros(1))
    del tree["residuals"]
    assert isinstance(epsilon_shrinkage_table(tree), pd.DataFrame)
    assert epsilon_shrinkage_table(tree).empty
