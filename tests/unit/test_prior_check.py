"""Priors that fit say nothing; priors that do not are told in a sentence that names the one that drives it; nothing of it stops a fit."""

import importlib.util

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import FitProblem, PriorCheck, Solver, binary, lognormal, prior_check, read_cohort
from pkpd.inference.prior_check import checked_prior, tell
from pkpd.inference.prior_persistence import lasting
from pkpd.models.classic import one_compartment_iv
from tests import small


def fit_file(root, name: str) -> FitProblem:
    spec = importlib.util.spec_from_file_location(name, root / "fits" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problem(True)


def with_cl(median: float, sd: float = 0.7, **changes) -> FitProblem:
    prior = dist.LogNormal(np.log(median), sd)
    return small.problem(population=small.population(CL=lognormal(prior, between=dist.HalfNormal(0.5))), **changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["theophylline", pytest.param("carm_blood_il6", marks=pytest.mark.slow)])
def test_the_priors_of_the_fit_files_give_no_warning(root, name):
    check = prior_check(fit_file(root, name), seed=1)
    assert check.verdict == "Nothing odd in 400 simulations from the prior."
    assert check.failed == 0 and (check.table["outside"] == 0).all()


def test_a_clearance_a_thousandfold_too_small_is_told(caplog):
    check = tell(prior_check(with_cl(0.003), seed=1))
    assert list(check.warnings) == [
        "Prior check: by the priors the effect of a dose on 'cp' lasts over 100 days (in 95 % of the simulations) until it is below 1 % of its peak, while the "
        "data cover 24 h. It moves most with V (rank correlation +0.75), whose prior is LogNormal: median 20.4, 90 % 6.42 to 61.8. Check medians and units of "
        "the priors; far from the model's typical value is the median of CL (0.0011 of it)."
    ]
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == list(check.warnings)


def test_a_volume_a_thousandfold_too_small_is_told():
    pop = small.population(V=lognormal(dist.LogNormal(np.log(0.02), 0.3)))
    check = prior_check(small.problem(population=pop), seed=1)
    moves = "It moves most with CL (rank correlation -0.39), whose prior is LogNormal: median 2.76, 90 % 0.868 to 8.36."
    cure = "Check medians and units of the priors; far from the model's typical value is the median of V (0.00063 of it)."
    assert check.warnings[0] == (
        "Prior check: 92 % of the measured values of 'cp' lie outside the 99 % interval of the prior; it simulates -4.69e-13 to 7.63e-13 mg/L (90 %), "
        f"measured were 0.512 to 6.4. {moves} {cure}"
    )
    assert check.warnings[1].startswith(
        "Prior check: by the priors the effect of a dose on 'cp' is below 1 % of its peak after 3.4 min (median; 90 % 2 min to "
    )
    assert ", while the first sample after a dose comes after 30 min. It moves most with " in check.warnings[1]


def test_no_draw_that_can_be_solved_is_told():
    check = prior_check(small.problem(solver=Solver(method="rosenbrock", max_steps=1, native="off")), seed=1, draws=20)
    assert check.failed == 1.0 and check.table.empty
    assert check.verdict == (
        "Prior check: no subject could be solved in any of 20 simulations from the prior. Check the medians and units of the priors. "
        "If they are right, raise max_steps."
    )


def test_how_long_an_effect_lasts_is_exact_for_one_exponential():
    """ln 100 V / CL for a bolus; the priors are points, the first look, a thousandth of the span after the dose, is the peak."""
    pop = small.population(CL=lognormal(dist.LogNormal(np.log(3.0), 1e-9)), V=lognormal(dist.LogNormal(np.log(20.0), 1e-9)))
    line = prior_check(small.problem(population=pop), seed=1, draws=10).table.iloc[0]
    np.testing.assert_allclose(line[["lasts5", "lasts50", "lasts95"]].to_numpy(float), 0.024 + np.log(100.0) * 20 / 3, rtol=1e-6)


def test_what_still_rises_does_not_last():
    t = np.geomspace(0.01, 100, 50)
    assert np.isnan(lasting(t, t[None] / (1 + t), np.zeros((1, 50)))).all()
    assert np.isnan(lasting(t, np.zeros((1, 50)), np.ones((1, 50)))).all()


@pytest.mark.slow
def test_a_fit_stores_its_check_and_reads_it_back(tmp_path):
    text = small.fit().tree.attrs["prior_check"]
    check = PriorCheck.from_json(text)
    assert check.to_json() == text and check.draws == 400
    pd.testing.assert_frame_equal(check.table, prior_check(small.problem(), seed=5).table)


@pytest.mark.slow
def test_the_seed_repeats_it():
    one, two, other = (prior_check(small.problem(), seed=s, draws=50).table for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert one["q50"][0] != other["q50"][0]


def broken(error: BaseException):
    def stop(*_: object, **__: object) -> None:
        raise error

    return stop


def test_a_check_that_breaks_stops_nothing(monkeypatch):
    monkeypatch.setattr(importlib.import_module("pkpd.inference.prior_check"), "simulated", broken(ValueError("no")))
    assert checked_prior(small.problem(), 1).verdict == "Not checked: it ended in ValueError (no)."


def test_control_c_passes(monkeypatch):
    monkeypatch.setattr(importlib.import_module("pkpd.inference.prior_check"), "simulated", broken(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        checked_prior(small.problem(), 1)


def test_grades_and_events_are_compared_by_their_mean():
    """logit P = cp: the prior says yes nearly always, a fifth of the rows does."""
    table = small.records().assign(CENS=0, DV=lambda t: (t["DV"] > 4.5).astype(float).where(t["EVID"] == 0))
    cohort = read_cohort(table, model=one_compartment_iv, units=small.UNITS)
    check = prior_check(FitProblem(one_compartment_iv, cohort, small.population(), {"cp": binary()}), seed=1, draws=100)
    assert check.table["kind"].tolist() == ["mean"] and check.table[["above", "lasts50"]].isna().all(axis=None)
    assert list(check.warnings) == [
        "Prior check: the mean of 'cp' is 0.194 in the data and 0.556 to 0.889 (90 %) under the prior. It moves most with CL (rank correlation -0.63), "
        "whose prior is LogNormal: median 2.76, 90 % 0.868 to 8.36. Check the medians and units of the priors."
    ]
