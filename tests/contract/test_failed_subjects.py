"""What a failed subject does to itself (NaN in value and gradient, a reason) and to the others (nothing); padding and order change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import Solver
from pkpd.model import predictor
from pkpd.model.predict import failed_subjects
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import indirect_response_II, one_compartment_oral
from pkpd.solve import Status
from tests.oracle import Given, cohort

DOSES = [
    [Given(0.0, 5.0, "route"), Given(24.0, 3.0, "route", rank=9.0)],
    [Given(0.0, 4.0, "route", duration=1.0)],
    [Given(1.0, 2.0, "route")],
]
LOOKS = [[(1.0, 1.0), (30.0, 10.0)], [(0.5, 1.0), (4.0, 2.0), (24.0, 3.0)], [(2.0, 3.0)]]


def of_route(route, doses=DOSES):
    return [[Given(d.time, d.amount, route, d.duration, d.rank, d.kind) for d in mine] for mine in doses]


def bound(model, route, observable, solver, doses=DOSES, looks=LOOKS):
    return predictor(model, cohort(of_route(route, doses), looks, observable, {"HER2": [3.0] * len(doses)}), solver)


CASES = {
    "closed_form": (one_compartment_oral, "oral", "cp", Solver(), "CL", np.nan, Status.NOT_FINITE),
    "cascade, not a number": (carm_blood_il6, "infusion", "il6", Solver(), "k_LB", np.nan, Status.NOT_FINITE),
    "cascade, thousandfold rates": (carm_blood_il6, "infusion", "il6", Solver(), "k_LB", 1000.0, Status.MESH_TOO_COARSE),
    "diffrax, step limit": (
        indirect_response_II,
        "oral",
        "effect",
        Solver(method="tsit5", max_steps=60),
        "kout",
        1e4,
        Status.STEPS_EXHAUSTED,
    ),
    "diffrax, not a number": (
        indirect_response_II,
        "oral",
        "effect",
        Solver(method="kvaerno5", max_steps=60),
        "Emax",
        np.nan,
        Status.NOT_FINITE,
    ),
}


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n != "closed_form")) for n in CASES])
def case(request):
    model, route, observable, solver, name, bad, status = CASES[request.param]
    p = bound(model, route, observable, solver)

    @jax.jit
    def run(values):
        value = lambda v: p.rows(p.observables(v)[0])  # noqa: E731
        return value(values), jax.grad(lambda v: value(v).sum())(values), p.observables(values)[1]

    good = {k: jnp.full(3, v) for k, v in model.typical.items() if k != "V"}
    broken = good | {name: good[name].at[1].set(bad if np.isnan(bad) else bad * float(good[name][0]))}
    lane = p.schedule.row_lane
    return run(good), run(broken), lane, status, name


def test_the_failed_subject_is_nan_in_value_and_gradient(case):
    _, (value, gradient, _), lane, _, name = case
    assert np.isnan(np.asarray(value)[lane == 1]).all()
    assert np.isnan(gradient[name][1])


def test_the_others_are_untouched(case):
    """To 1e-12: compiled lanes may be rounded differently only where a neighbour makes a solver take more steps, and those add nothing."""
    (value, gradient, _), (broken_value, broken_gradient, _), lane, _, _ = case
    others = [0, 2]
    np.testing.assert_allclose(np.asarray(broken_value)[lane != 1], np.asarray(value)[lane != 1], rtol=1e-12)
    for n in gradient:
        np.testing.assert_allclose(
            np.asarray(broken_gradient[n])[others], np.asarray(gradient[n])[others], rtol=1e-10, atol=1e-14, err_msg=n
        )


def test_the_reason_is_a_sentence(case):
    (_, _, fine), (_, _, solution), _, status, _ = case
    assert failed_subjects(fine, ("A", "B", "C")) == []
    assert failed_subjects(solution, ("A", "B", "C")) == [("B", status.sentence)]


def test_sentences():
    assert all(" " in s.sentence for s in Status if s != Status.OK)


SOLVERS = {
    "closed_form": (one_compartment_oral, "oral", "cp", Solver()),
    "cascade": (carm_blood_il6, "infusion", "il6", Solver()),
    "tsit5": (one_compartment_oral, "oral", "cp", Solver(method="tsit5")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVERS)
def test_padding_and_order_change_nothing(name):
    """A subject alone, beside others that need more segments and times, and at another place: the same value and gradient.

    1e-9 for tsit5, whose lanes share a step count but not steps; rounding for the others."""
    model, route, observable, solver = SOLVERS[name]

    def run(doses, looks):
        p = bound(model, route, observable, solver, doses, looks)
        theta = {n: jnp.full(len(doses), v) for n, v in model.typical.items()}
        value, gradient = jax.jit(lambda th: (p(th), jax.grad(lambda v: p(v).sum())(th)))(theta)
        return np.asarray(value), {n: np.asarray(g) for n, g in gradient.items()}, p.schedule.row_lane

    crowded = (
        [*DOSES, [Given(2.0 * k, 1.0, "route", rank=3.0 * k, duration=0.5) for k in range(5)]],
        [*LOOKS, [(t, 40.0) for t in np.arange(1.0, 30.0, 3.1)]],
    )
    alone, gradient, _ = run([DOSES[0]], [LOOKS[0]])
    tolerance = 1e-9 if name == "tsit5" else 1e-12
    values, gradients, lanes = run(*(mine[::-1] for mine in crowded))  # now the last of four
    np.testing.assert_allclose(values[lanes == 3], alone, rtol=tolerance)
    for n, g in gradients.items():
        np.testing.assert_allclose(g[3], gradient[n][0], rtol=100 * tolerance, atol=1e-13, err_msg=n)


@pytest.mark.slow
def test_a_subject_nobody_looked_at_disturbs_nothing():
    """Its padded time lies inside its last segment; gradients stay finite even where going backwards would overflow."""
    p = bound(carm_blood_il6, "infusion", "il6", Solver(), [DOSES[0], [*DOSES[1], Given(9000.0, 1.0, "route", rank=30.0)]], [LOOKS[0], []])
    theta = {n: jnp.full(2, v) for n, v in carm_blood_il6.typical.items()}
    gradient = jax.jit(jax.grad(lambda th: p(th).sum()))(theta)
    assert all(np.isfinite(g).all() for g in gradient.values())
