"""A what-if asked again: the numbers of `what_if`, and nothing compiled for other doses, times and covariates."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray.testing as xt

from pkpd import (
    Component,
    Covariate,
    Dose,
    FitError,
    FitProblem,
    Observable,
    Param,
    Population,
    State,
    bolus,
    compose,
    infusion,
    lognormal,
    loss,
    oral,
    proportional_error,
    read_cohort,
    total,
    what_if,
)
from pkpd.simulate.virtual import with_values
from pkpd.simulate.what_if_program import WhatIfProgram
from tests import app_study
from tests.compiled import compiled

KEY = jax.random.key(7)
PARAMS = (("CL", 3.0, "L/h"), ("V", 20.0, "L"), ("tlag", 0.7, "h"))
TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 36.0, 48.0])


@pytest.fixture(scope="module")
def program():
    return WhatIfProgram(app_study.fit(), KEY, draws=6, n_subjects=5)


def arms(amount: float = 200.0, every: float = 24.0, times: int = 2):
    return {"as given": oral((200, "mg")), "other": infusion((amount, "mg"), "iv", over=(1, "h")).every((every, "h"), times=times)}


@pytest.mark.parametrize("weight", [pytest.param({}, marks=pytest.mark.slow), {"WT": 90.0}])
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
    words = f"Covariate WT: extrapolation, 100 % of the virtual subjects lie outside {seen.min():g} to {seen.max():g} of the cohort"
    assert any(t.startswith(words) for t in told)


def test_refusals(program):
    with pytest.raises(FitError, match=r"^heavy doses by body size, which this program does not hold"):
        program.runs({"heavy": bolus((3, "mg/kg"), "iv")}, TIMES)
    with pytest.raises(FitError, match=r"^Covariate 'WTT' is none of the cohort's\. Did you mean 'WT'"):
        with_values(app_study.problem(), {"WTT": 3.0})


@pytest.mark.slow
@pytest.mark.parametrize("lag", [None, lambda p, s: p.tlag * s.WT / 70.0])
def test_covariates_that_act_in_the_equations_and_on_the_doses(lag):
    """Each subject has its own weight in its clearance, its bioavailability and its lag, which moves events and differs between subjects."""
    central = Component(
        "central",
        states=State("central", "mg", "drug"),
        params=tuple(Param(n, v, u, n, source="test") for n, v, u in PARAMS[: 2 if lag is None else 3]),
        covariates=Covariate("WT", "1", "weight in kg", reference=70.0),
        rates=lambda t, y, p, s: total(loss("central", p.CL * (s.WT / 70.0) / p.V * y.central)),
        doses=Dose("oral", into="central", bioavailability=lambda p, s: s.WT / 140.0, lag=lag),
    )
    seen = Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "concentration")
    model = compose("weighed", central, observables=[seen])
    cohort = read_cohort(app_study.records(), model=model, units={"TIME": "h", "AMT": "mg", "DV": "mg/L"}, covariates=["WT"])
    spec = Population(CL=lognormal(dist.LogNormal(1.0, 0.3), between=dist.HalfNormal(0.3)))
    prior = FitProblem(model, cohort, spec, noise={"cp": proportional_error(dist.HalfNormal(0.3))}, name="weighed")
    both = {"one": oral((200, "mg"), "oral"), "other": oral((50, "mg"), "oral").over((2, "h")).every((12, "h"), times=3)}
    known = what_if(prior, both, times=TIMES, key=KEY, n_subjects=5, draws=4)
    xt.assert_allclose(WhatIfProgram(prior, KEY, 4, 5).runs(both, TIMES), known, rtol=1e-9, atol=1e-9)
    assert len(np.unique(known["WT"])) > 1
