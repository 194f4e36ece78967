"""A what-if asked again: the numbers of `what_if`, and nothing compiled for other doses, times and covariates."""

import jax
import numpy as np
import pytest
import xarray.testing as xt

from pkpd import FitError, bolus, infusion, oral, what_if
from pkpd.simulate.virtual import with_values
from pkpd.simulate.what_if_program import WhatIfProgram
from tests import app_study
from tests.compiled import compiled

KEY = jax.random.key(7)
TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 36.0, 48.0])


@pytest.fixture(scope="module")
def program():
    return WhatIfProgram(app_study.fit(), KEY, draws=6, n_subjects=5)


def arms(amount: float = 200.0, every: float = 24.0, times: int = 2):
    return {"as given": oral((200, "mg")), "other": infusion((amount, "mg"), "iv", over=(1, "h")).every((every, "h"), times=times)}


@pytest.mark.parametrize("weight", [{}, {"WT": 90.0}])
def test_the_numbers_of_what_if(program, weight):
    """The same operations in another order: to rounding. Covariates too, and what is said of extrapolation."""
    covariates = with_values(app_study.problem(), weight)
    known = what_if(app_study.fit(), arms(300.0), times=TIMES, key=KEY, n_subjects=5, draws=6, covariates=covariates)
    quick = program.runs(arms(300.0), TIMES, covariates)
    xt.assert_allclose(quick, known, rtol=1e-9, atol=1e-9)  # rounding of a closed form; values are of the order 1 to 10
    assert quick.attrs == known.attrs


def test_other_doses_times_and_covariates_compile_nothing(program):
    program.runs(arms(), TIMES, with_values(app_study.problem(), {"WT": 60.0}))
    again = compiled(lambda: program.runs(arms(50.0, 6.0, 5), TIMES * 1.5, with_values(app_study.problem(), {"WT": 95.0})))
    assert again == 0


def test_covariates_beyond_the_cohort_are_said(program):
    told = program.runs(arms(), TIMES, with_values(app_study.problem(), {"WT": 150.0})).attrs["extrapolation"]
    seen = app_study.problem().covariates["WT"]
    assert f"WT of 150 is extrapolation: the cohort has {seen.min():g} to {seen.max():g}." in told


def test_refusals(program):
    with pytest.raises(FitError, match=r"^heavy doses by body size, which this program does not hold"):
        program.runs({"heavy": bolus((3, "mg/kg"), "iv")}, TIMES)
    with pytest.raises(FitError, match=r"^Covariate 'WTT' is none of the cohort's\. Did you mean 'WT'"):
        with_values(app_study.problem(), {"WTT": 3.0})
