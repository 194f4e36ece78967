"""Every backend against SciPy, event by event, on one cohort that meets every kind of event."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import Solver
from pkpd.model import predictor
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import (
    indirect_response_I,
    indirect_response_II,
    indirect_response_III,
    indirect_response_IV,
    one_compartment_oral,
    two_compartment_oral,
)
from tests.oracle import cohort, linear, nonlinear
from tests.reference import systems
from tests.reference.scenario import expected, subjects

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
FINE = {"mesh_first": 0.25, "mesh_growth": 0.15}
HER2 = [3.0, 2.0, 3.0, 2.0, 3.0, 2.0]
LATER = pytest.mark.slow


def states(model, route, observable, solver, theta):
    """The whole state at every row [rows, n], from one compiled solve."""
    bound = predictor(model, cohort(*subjects(route), observable, {"HER2": HER2}), solver)
    solution = jax.jit(lambda th: bound.solve(th)[0])({k: jnp.asarray(v) for k, v in theta.items()})
    assert not np.any(solution.status)
    s = bound.schedule
    return np.asarray(solution.y)[s.row_time, :, s.row_lane]


def agree(got, exact, tolerance):
    """Relative to the largest value of each state in the cohort: what a dose of that state would be judged by."""
    np.testing.assert_allclose(got / exact.max(0), exact / exact.max(0), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("method", "options", "tolerance"),
    [
        ("closed_form", {}, 1e-12),  # rounding
        (
            "cascade",
            {},
            2e-6,
        ),  # default mesh: the estimate of one interval is (lambda h)^4 / 280 / 120 of the force with lambda h up to 0.75
        ("cascade", FINE, 2e-8),  # five nodes: halving the mesh gains 2^-6 or more
        ("tsit5", TIGHT, 1e-7),  # hundred times rtol
    ],
)
def test_one_compartment(method, options, tolerance):
    p = one_compartment_oral.typical
    exact = expected([linear(systems.one_oral(p))] * 6, [[0, 0]] * 6, {"oral": [1, 0]}, "oral")
    agree(states(one_compartment_oral, "oral", "cp", Solver(method=method, **options), p), exact, tolerance)


def test_two_compartments_with_every_subject_different():
    """Doses straight into the peripheral state as well: any state is a dose target."""
    p = two_compartment_oral.typical | {"ka": np.array([0.3, 1.0, 2.0, 0.06, 0.4, 1.0]), "CL": np.array([1.0, 5.0, 9.0, 3.0, 2.0, 2.0])}
    each = [{k: np.broadcast_to(v, 6)[b] for k, v in p.items()} for b in range(6)]
    exact = expected([linear(systems.two_oral(q)) for q in each], [[0, 0, 0]] * 6, {"peripheral": [0, 0, 1]}, "peripheral")
    got = states(two_compartment_oral, "peripheral", "cp", Solver(), p)
    np.testing.assert_allclose(got, exact, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("kind", "model"), [("I", indirect_response_I), ("III", indirect_response_III)])
def test_indirect_responses_of_production_by_the_cascade(kind, model):
    p = model.typical
    scaled = {**p, "V": p["V"] / 50}  # the scenario's doses are a few mg: a smaller volume brings concentrations to EC50
    exact = expected([nonlinear(systems.indirect(kind, scaled))] * 6, [[0, 0, p["R0"]]] * 6, {"oral": [1, 0, 0]}, "oral")
    agree(states(model, "oral", "effect", Solver(method="cascade", **FINE), scaled), exact, 1e-6)


@pytest.mark.parametrize(
    ("kind", "model", "method"),
    [pytest.param("II", indirect_response_II, "kvaerno5", marks=LATER), ("IV", indirect_response_IV, "tsit5")],
)
def test_indirect_responses_of_loss_by_diffrax(kind, model, method):
    p = {**model.typical, "V": 0.6}
    exact = expected([nonlinear(systems.indirect(kind, p))] * 6, [[0, 0, p["R0"]]] * 6, {"oral": [1, 0, 0]}, "oral")
    agree(states(model, "oral", "effect", Solver(method=method, **TIGHT), p), exact, 1e-7)


@pytest.fixture(scope="module")
def carm_exact():
    p = carm_blood_il6.typical
    routes = {"infusion": [p["f_L"], 1 - p["f_L"], 0, 0, 0, 0, 0, 0]}
    fields = {h: systems.carm_blood_il6(p, h) for h in (2.0, 3.0)}
    start = [[0.0] * 7 + [p["base_il6"]]] * 6
    exact = expected([nonlinear(fields[h]) for h in HER2], start, routes, "infusion")
    other = expected([nonlinear(fields[h], method="Radau", rtol=1e-10, atol=1e-12) for h in HER2], start, routes, "infusion")
    agree(other, exact, 1e-8)  # the reference itself, by two methods of different kind
    return exact


@pytest.mark.parametrize(
    ("method", "options", "tolerance"),
    [("cascade", {}, 5e-6), ("cascade", FINE, 2e-7), pytest.param("kvaerno5", TIGHT, 1e-7, marks=LATER)],
)
def test_cells_and_cytokine(carm_exact, method, options, tolerance):
    """The default mesh: 5e-6 of each state's peak (IL-6 follows a curved drive at 2.1/h, the hardest of the eight)."""
    got = states(carm_blood_il6, "infusion", "il6", Solver(method=method, **options), carm_blood_il6.typical)
    agree(got, carm_exact, tolerance)
