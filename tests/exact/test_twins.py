"""Other values with the same predictions: flip-flops in closed form (SCIENCE.md (f)), and none where there is none."""

from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest

from pkpd import FitError, Solver, bolus, find_twins, oral
from pkpd.models.carm import carm_trafficking
from pkpd.models.classic import one_compartment_iv, one_compartment_oral
from pkpd.simulate import Looks, Study, StudyArm, study_problem

TIMES = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
BLOOD = np.array([0.5, 2.0, 8.0, 24.0, 48.0, 96.0])


def problem(model, regimen, observable, times=TIMES, covariates=None, **study):
    arms = {"a": StudyArm(regimen, 1, covariates or {})}
    return study_problem(model, Study("twins", arms, (Looks(observable, times),), {}, **study)).problem


def cells(held=()):
    """M1 after one bolus, by the exact solution: the cascade's mesh would move the twin by 1e-5."""
    values = {"S": 1.0, "k_Bd": 0.029}
    made = problem(carm_trafficking, bolus((5, "1e9 cells")), "car_dna", BLOOD, {"HER2": 3.0}, parameters=values, fixed=held)
    return replace(made, solver=Solver(method="matrix_exponential"))


@pytest.fixture(scope="module")
def taken():
    return find_twins(problem(one_compartment_oral, oral((320, "mg")), "cp"), seed=1)


def test_flip_flop_of_a_dose_by_mouth(taken):
    """ka' = CL/V, V' = CL/ka, CL the same."""
    here, twin = taken.table.loc["here"], taken.table.loc["twin 1"]
    assert len(taken.table) == 2
    npt.assert_allclose([twin["ka"], twin["V"], twin["CL"]], [here["CL"] / here["V"], here["CL"] / here["ka"], here["CL"]], rtol=1e-8)
    assert twin["worst"] < 1e-8 and twin["starts"] + here["starts"] + (taken.starts["ended"] == "none").sum() == 16


def test_a_twin_is_told_in_a_sentence(taken):
    assert taken.verdict.startswith(
        "Twin 1: the same predictions with ka 0.0875 1/h (here 1.5), V 1.867 L (here 32); flip-flop: ka and CL/V change places. "
        "A prior or an order must choose between them. (16 starts: "
    )


@pytest.mark.parametrize(
    ("model", "regimen", "held"), [(one_compartment_oral, oral((320, "mg")), ("V",)), (one_compartment_iv, bolus((320, "mg")), ())]
)
def test_none_is_found_where_there_is_none(model, regimen, held):
    found = find_twins(problem(model, regimen, "cp", fixed=held), seed=1, starts=6)
    assert found.verdict == (
        "No twin found in 6 starts: 6 came back to the values here. That none was found is no proof that there is none."
    )


@pytest.mark.slow
def test_what_is_not_identified_is_no_twin():
    """All 14 parameters free, blood alone: what changes nothing is followed back to the values, and the flip-flop is told at its nearest point."""
    found = find_twins(cells(), seed=1, starts=4)
    assert len(found.table) == 2
    assert found.null == 10 and "Along 10 directions the predictions do not change at all" in found.verdict
    twin = found.table.loc["twin 1"]
    blood_exit = twin["k_BH"] + twin["k_BP"] + twin["k_BT"] + twin["k_Bd"]
    npt.assert_allclose([twin["k_LB"] + twin["k_Ld"], blood_exit], [0.10, 0.26], rtol=1e-5)  # the rates have changed places
    npt.assert_allclose(twin["S"] * (1 - twin["f_L"]), 0.2, rtol=1e-5)


@pytest.mark.slow
def test_the_flip_flop_of_cells_in_blood():
    """SCIENCE.md (f): (f_L 0.8, S 1, k_LB 0.25, kL 0.26, kB 0.10) and (0.928, 2.777778, 0.09, 0.10, 0.26), D = 5."""
    found = find_twins(cells(tuple(n for n in carm_trafficking.param_names if n not in ("f_L", "S", "k_LB", "k_BH"))), seed=1, starts=4)
    twin = found.table.loc["twin 1"]
    npt.assert_allclose(twin[["f_L", "S", "k_LB", "k_BH"]].astype(float), [0.928, 2.777778, 0.09, 0.21], rtol=2e-7)
    assert len(found.table) == 2 and found.null == 0


def test_nothing_to_look_for_is_said():
    with pytest.raises(FitError) as error:
        find_twins(problem(one_compartment_iv, bolus((320, "mg")), "cp", fixed=("CL", "V")), seed=1)
    assert str(error.value) == "twins: every typical value is held, so there is nothing to look for."
