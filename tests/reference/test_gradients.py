"""Gradients of every backend against extrapolated central differences of the oracle: parameters, covariates, amounts, durations, event and look times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import Solver
from pkpd.events import build_schedule
from pkpd.model import predictor
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import indirect_response_II, one_compartment_oral
from pkpd.solve import Events
from pkpd.solve.cascade import make_cascade
from pkpd.solve.closed_form import make_closed_form
from pkpd.solve.general import make_diffrax
from pkpd.solve.mesh import build_mesh
from pkpd.solve.structure import analyse
from tests.oracle import Given, cohort, linear, nonlinear, slope, walk
from tests.reference import systems

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
DOSES = [
    Given(-1.0, 2.0, "route"),
    Given(3.0, 4.0, "route", duration=2.0, rank=2.0),
    Given(7.0, 0.0, "route", rank=5.0, kind="reset"),
    Given(8.0, 3.0, "route", rank=6.0),
]
LOOKS = [(0.5, 1.0), (3.0, 1.0), (4.0, 3.0), (6.5, 4.0), (9.0, 7.0), (30.0, 8.0)]


def named(route):
    return [Given(d.time, d.amount, route, d.duration, d.rank, d.kind) for d in DOSES]


def check_parameters(model, route, observable, solver, names, exact, tolerance, theta=None):
    """d(weighted sum of each state over the looks)/d ln(parameter), each state relative to its own largest sensitivity."""
    bound = predictor(model, cohort([named(route)], [LOOKS], observable, {"HER2": [2.0]}), solver)
    typical = {**model.typical, **(theta or {})}
    weights = jnp.asarray(np.random.default_rng(2).uniform(0.5, 1.5, (len(LOOKS), 1)))

    @jax.jit
    def sensitivities(values):
        sums = lambda v: jnp.sum(weights * bound.solve(typical | v)[0].y[:, :, 0], 0)  # noqa: E731
        return jax.jacrev(sums)(values)

    got = sensitivities({n: jnp.asarray(typical[n]) for n in names})
    rows = {n: slope(lambda v, n=n: (np.asarray(weights) * exact(typical | {n: v})).sum(0), typical[n]) * typical[n] for n in names}
    largest = np.max(np.abs(list(rows.values())), 0)
    for n in names:
        np.testing.assert_allclose(got[n] * typical[n] / largest, rows[n] / largest, rtol=0, atol=tolerance, err_msg=n)


def oral_exact(p):
    return walk(linear(systems.one_oral(p)), [0, 0], {"oral": [1, 0]}, named("oral"), LOOKS)


@pytest.mark.parametrize(("method", "options", "tolerance"), [("closed_form", {}, 1e-9), ("cascade", {}, 1e-5)])
def test_parameters_of_one_compartment(method, options, tolerance):
    """1e-9: what extrapolated differences of an exact exponential leave; 1e-5: the default mesh."""
    check_parameters(one_compartment_oral, "oral", "cp", Solver(method=method, **options), ("ka", "CL"), oral_exact, tolerance)


@pytest.mark.slow
def test_parameters_of_an_indirect_response():
    names = ("ka", "CL", "V", "kout", "R0", "Emax", "EC50")

    def exact(p):
        return walk(nonlinear(systems.indirect("II", p)), [0, 0, p["R0"]], {"oral": [1, 0, 0]}, named("oral"), LOOKS)

    check_parameters(indirect_response_II, "oral", "effect", Solver(method="tsit5", **TIGHT), names, exact, 1e-5, {"V": 0.6})


@pytest.mark.slow
def test_parameters_of_cells_and_cytokine():
    """R0-like base enters as the initial value and again after the reset; f_L splits every dose; h2 acts through the covariate."""
    names = ("f_L", "k_LB", "k_BH", "k_BT", "k_act", "h2", "weight_A", "k_Z", "Z50", "base_il6", "kout_il6", "gain_il6")

    def exact(p):
        routes = {"infusion": [p["f_L"], 1 - p["f_L"], 0, 0, 0, 0, 0, 0]}
        return walk(nonlinear(systems.carm_blood_il6(p, 2.0)), [0.0] * 7 + [p["base_il6"]], routes, named("infusion"), LOOKS)

    check_parameters(carm_blood_il6, "infusion", "il6", Solver(), names, exact, 1e-5)


# Straight through the contract: covariates by segment, amounts, durations and times are arguments.

NAMES = ("bolus", "infused", "start", "duration", "third", "look", "rate_before", "rate_after")
X0 = {"bolus": 100.0, "infused": 50.0, "start": 4.0, "duration": 2.0, "third": 10.0, "look": 8.0, "rate_before": 0.09, "rate_after": 0.2}


def rhs(t, y, p, q, r):
    """One compartment with absorption; elimination is a covariate that changes when the third dose comes."""
    return [-p[0] * y[0] + r[0], p[0] * y[0] - q[0] * y[1] + r[1]]


def table(x):
    """Doses and looks; (start, rank before) and (third, both ranks) are looks at a dose's own time."""
    doses = [
        Given(0.0, x["bolus"], "depot"),
        Given(x["start"], x["infused"], "central", x["duration"], rank=5.0),
        Given(x["third"], 80.0, "depot", rank=20.0),
    ]
    looks = [(1.0, 1.0), (4.0, 1.0), (5.0, 10.0), (x["look"], 12.0), (10.0, 13.0), (12.0, 31.0), (20.0, 32.0)]
    return doses, looks


NOMINAL = cohort(*[[part] for part in table(X0)], "any")
SCHEDULE = build_schedule(NOMINAL.doses, NOMINAL.observations, 1, ("depot", "central"))
STRUCTURE = analyse(rhs, 2, 1, 1)
SOLVES = {
    "closed_form": make_closed_form(STRUCTURE),
    "cascade": make_cascade(STRUCTURE, build_mesh(SCHEDULE, 0.1, 0.1), 1e-3),
    "kvaerno5": make_diffrax("kvaerno5", 1e-10, np.full(2, 1e-10), 4096),
    "tsit5": make_diffrax("tsit5", 1e-10, np.full(2, 1e-10), 4096),
}


def through_contract(solve, x):
    """States at the looks [7, 2] from traced amounts, times and covariates."""
    places = {4.0: x["start"], 6.0: x["start"] + x["duration"], 10.0: x["third"]}
    edges = jnp.stack([jnp.asarray(places.get(float(e), float(e))) for e in SCHEDULE.edges[:, 0]])[:, None]
    jump = jnp.asarray(SCHEDULE.amount).at[0, 0, 0].set(x["bolus"])
    rate = jnp.where(jnp.asarray(SCHEDULE.rate) > 0, x["infused"] / x["duration"], 0.0)
    q = jnp.where(jnp.asarray(SCHEDULE.edges[:-1]) < 10.0, x["rate_before"], x["rate_after"])[None]
    times = jnp.where(jnp.asarray(SCHEDULE.times) == 8.0, x["look"], jnp.asarray(SCHEDULE.times))
    events = Events(edges, jump, rate, jnp.asarray(SCHEDULE.reset), jnp.asarray(SCHEDULE.segment))
    return solve(rhs, events, jnp.zeros((2, 1)), jnp.full((1, 1), 1.5), q, times).y[:, :, 0]


def by_oracle(x):
    doses, looks = table(x)

    def move(t0, t1, y, u):
        k = x["rate_before"] if t1 <= x["third"] else x["rate_after"]
        return linear([[-1.5, 0], [1.5, -k]])(t0, t1, y, u)

    return walk(move, [0, 0], {"depot": [1, 0], "central": [0, 1]}, doses, looks)


@pytest.fixture(scope="module")
def exact_slopes():
    return {n: slope(lambda v, n=n: by_oracle(X0 | {n: v}), X0[n], 1e-4) for n in NAMES}


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n in ("kvaerno5", "tsit5"))) for n in SOLVES])
def found(request):
    """Values [7, 2] and slopes by name, reverse mode, one compilation a solver."""
    run = lambda x: through_contract(SOLVES[request.param], x)  # noqa: E731
    return jax.jit(lambda x: (run(x), jax.jacrev(run)(x)))({n: jnp.asarray(v) for n, v in X0.items()})


def test_amounts_durations_times_and_covariates(found, exact_slopes):
    """Looks 4 and 10 stand at the times of doses that move, ranked before them: their own slope is left out (a look crossed by a moving
    dose has none), every later one counts. 1e-6 of the largest slope: differences of 1e-4 extrapolated leave 1e-8, the mesh 3e-7."""
    value, slopes = found
    np.testing.assert_allclose(value, by_oracle(X0), rtol=0, atol=1e-6 * 100)
    for n in NAMES:
        counts = np.array([not (n == "start" and i == 1) and not (n == "third" and i == 4) for i in range(7)])
        size = np.abs(exact_slopes[n][counts]).max()
        np.testing.assert_allclose(np.asarray(slopes[n])[counts] / size, exact_slopes[n][counts] / size, rtol=0, atol=1e-6, err_msg=n)


def test_a_look_at_the_time_of_a_dose_ranked_before_it_does_not_follow_the_dose(found):
    """Its slope in the dose's time is zero: a tie of two times must not split one slope between them."""
    assert np.all(np.asarray(found[1]["start"])[1] == 0.0)
    assert np.all(np.asarray(found[1]["third"])[4] == 0.0)
