"""The flagship: every row of the simulated panel but the sizes read twice, the truth of each thing sampled, and what is fixed said."""

import math

import pandas as pd
import pytest

from pkpd.cli.fitfile import load_problem
from pkpd.models.carm import carm_panel
from tests.scripts import loaded


@pytest.fixture(scope="module")
def problem(root):
    return load_problem(root / "fits" / "carm_phase1.py")(quick=True)


@pytest.fixture(scope="module")
def script(root):
    return loaded(root / "fits" / "carm_phase1.py")


def test_every_row_but_the_classes_is_fitted_and_limits_of_each_kind_are_there(problem, root):
    table = pd.read_csv(root / "data" / "carm_phase1_simulated" / "panel_records.csv", keep_default_na=False)
    looks = table[(table["EVID"] == 0) & (table["DVID"] != "recist")]
    assert len(problem.rows.dv) == len(looks) and set(problem.cohort.observations["observable"]) == set(carm_panel.observable_names)
    assert {x: int((problem.rows.cens == x).sum()) for x in (-1, 1)} == {x: int((looks["CENS"] == x).sum()) for x in (-1, 1)}
    assert problem.simulated and "simulated" in problem.title and set(table["LABEL"]) == {"simulated"}


def test_the_truth_of_everything_sampled_is_known(problem):
    assert set(problem.truth) == set(problem.population_sites)
    assert problem.truth["cut1_crs"] == pytest.approx(math.log(328.143443141599 * 20 / 1000))
    assert problem.truth["omega_release"] == 0.8 and problem.truth["sigma_detect"] == 0.56


def test_what_is_fixed_and_what_only_priors_tell_is_said(problem, script):
    fixed, driven = problem.assumptions[1], problem.assumptions[-1]
    assert all(n in fixed for n in script.FIXED) and not set(script.FIXED) & set(problem.population.parameters)
    assert "Prior-driven" in driven and "k_Ld" not in driven
