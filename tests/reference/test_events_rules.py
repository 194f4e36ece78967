"""Rules that random tables seldom meet, each by hand: one compartment, k = 0.2 / h, boluses of 10 mg unless said."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from pkpd import (
    Component,
    Covariate,
    Dose,
    ModelError,
    Observable,
    Param,
    SolveError,
    State,
    compose,
    loss,
    predict,
    read_cohort,
    simulate,
    sum_of,
    total,
)
from pkpd.simulate import design

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg"}
WHY = "assumption: a test"
K = 0.2
WT = Covariate("WT", "kg", "body weight", reference=70.0)


def model(initial=0.0, weighs=False, seen=False, **route):
    """`weighs`: k grows with WT; `seen`: the observable does."""
    values = (("k", K, "1/h"), ("bio", 0.8, "1"), ("D", 3.0, "h"), ("R", 30.0, "mg/h"), ("tlag", 0.5, "h"), ("w0", 70.0, "kg"))
    read = {"k", *(v for v in route.values() if isinstance(v, str))} | (
        {"w0"} if weighs or seen or callable(route.get("bioavailability")) else set()
    )
    read |= {"bio"} if callable(route.get("bioavailability")) else set()
    central = Component(
        "central",
        states=State("central", "mg", "drug", initial=initial),
        params=tuple(Param(n, v, u, n, WHY, support="real") for n, v, u in values if n in read),
        covariates=(WT,) if "w0" in read else (),
        rates=lambda t, y, p, s: total(loss("central", p.k * (s.WT / p.w0 if weighs else 1.0) * y.central)),
        doses=Dose("iv", into="central", **route),
    )
    value = (lambda y, p, s: y.central * s.WT / p.w0) if seen else (lambda y, p, s: y.central)
    return compose("rules", central, observables=[Observable("A", "mg", value, "drug")])


def rows(*given, who=1):
    """Rows as (time, what, columns): what is a look "o", a dose "d" or an EVID."""
    table = [
        {"ID": who, "TIME": t, "EVID": {"o": 0, "d": 1}.get(w, w), "AMT": 10.0 if w in ("d", 4) else 0.0, **more} for t, w, more in given
    ]
    return pd.DataFrame(table).fillna(0.0).assign(CMT="iv")


def found(m, table, parameters=None, **more):
    return simulate(m, table, parameters or {}, units={k: UNITS[k] for k in ("TIME", "AMT")}, **more)["A"].to_numpy()


def w(kg):
    return {"WT": float(kg)}


@pytest.mark.parametrize(
    ("method", "before", "after"), [("nocb", 1.0, 2.0), ("locf", 1.0, 2.0), ("midpoint", 1.0, 2.0), ("linear", 1.0, 2.0)]
)
def test_of_two_records_at_one_time_the_first_is_approached_and_the_last_left(method, before, after):
    """A trough, then the dose with the new weight: until then the old weight holds, from then on the new one."""
    table = rows((0, "d", w(70)), (10, "o", w(70)), (10, "d", w(140)), (20, "o", w(140)))
    trough, last = found(model(weighs=True), table, interpolation={"WT": method})[[1, 3]]
    close = {"rel": 1e-5 if method == "linear" else 1e-12}  # a straight line in time is solved by steps, at rtol 1e-6
    assert trough == pytest.approx(10 * np.exp(-K * 10 * before), **close)
    assert last == pytest.approx((trough + 10) * np.exp(-K * 10 * after), **close)


def test_a_dose_and_a_look_take_the_covariates_of_their_own_record():
    m = model(bioavailability=lambda p, s: p.bio * s.WT / p.w0)
    table = rows((0, "o", w(70)), (5, "d", w(70)), (5, "o", w(140)), (6, "o", w(140)))
    assert found(m, table)[1] == pytest.approx(8.0)
    table = rows((0, "d", w(70)), (1, "o", w(70)), (1, "o", w(140)))
    assert found(model(seen=True), table)[1:] == pytest.approx([10 * np.exp(-K), 20 * np.exp(-K)])


def test_a_steady_state_takes_the_covariates_of_its_own_record():
    table = rows((0, "o", w(70)), (5, "d", {**w(70), "SS": 1, "II": 4}), (5, "o", w(140)))
    assert found(model(weighs=True), table)[1] == pytest.approx(10 / (1 - np.exp(-K * 4)))


def test_a_subject_does_not_depend_on_who_else_is_in_the_file():
    own = rows((0, "d", w(70)), (0, "o", w(140)), (1, "o", w(140)))
    other = rows((0, "d", w(70)), (1, "o", w(80)), (2, "o", w(90)), who=2)
    alone, together = found(model(weighs=True), own), found(model(weighs=True), pd.concat([own, other]))[:3]
    np.testing.assert_allclose(alone, together, rtol=1e-14)  # other array sizes, other order of sums
    assert alone[2] == pytest.approx(10 * np.exp(-2 * K))


def test_the_clock_starts_at_the_first_record_whatever_it_does():
    m, table = model(initial=10.0), rows((0, 2, {}), (5, "o", {}), (6, "o", {}))
    wanted = 10 * np.exp(-K * np.array([5.0, 6.0]))
    assert found(m, table)[1:] == pytest.approx(wanted)
    cohort = read_cohort(table.assign(DV=1.0, MDV=0), m, units=UNITS)
    np.testing.assert_allclose(predict(m, {"k": K}, cohort), wanted)


def test_every_arm_of_a_design_begins_at_the_start_of_the_trial():
    for times in ([0.0, 10.0, 20.0], [10.0, 20.0], [20.0]):
        arm = design(model(initial=10.0), sum_of(()), times, pd.DataFrame(index=range(1)), "untreated")
        assert float(arm.predictor.observables({})[0][-1, 0, 0]) == pytest.approx(10 * np.exp(-K * 20))


def test_a_negative_bioavailability_fails_where_nothing_moves():
    m = model(bioavailability="bio")
    cohort = read_cohort(rows((0, "d", {}), (1, "o", {})).assign(DV=1.0, MDV=[1, 0]), m, units=UNITS)
    assert np.isnan(predict(m, {"bio": -0.5}, cohort)).all()
    assert np.isnan(jax.grad(lambda b: predict(m, {"bio": b}, cohort)[0])(-0.5))
    with pytest.raises(SolveError, match="a bioavailability is negative"):
        found(m, rows((0, "d", {}), (1, "o", {})), {"bio": -0.5})


@pytest.mark.parametrize(("attribute", "name", "code"), [("duration", "D", -2), ("rate", "R", -1)])
def test_a_column_beside_what_the_model_says_is_an_error(attribute, name, code):
    table = rows((0, "d", {"RATE": code, name: 4.0}), (1, "o", {}))
    with pytest.raises(ModelError, match=f"Row 1 gives the {attribute} of a dose into 'iv', and rules declares one"):
        found(model(**{attribute: name}), table)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_bad_modelled_rate_at_steady_state_is_a_sentence(value):
    with pytest.raises(SolveError, match="is not above zero"):
        found(model(rate="R"), rows((0, "d", {"RATE": -1, "SS": 1, "II": 12}), (1, "o", {})), {"R": value})


def exact_overlap(t, duration, ii=12.0, amount=10.0):
    """An infusion given every II until time 0, at time t: the sum over all that have been given."""
    since = t + ii * np.arange(400)
    return amount / duration / K * np.sum(np.exp(-K * np.maximum(since - duration, 0.0)) - np.exp(-K * since))


def test_far_more_overlap_than_typical_is_followed():
    m = model(duration="D")
    cohort = read_cohort(
        rows((0, "d", {"RATE": -2, "SS": 1, "II": 12}), (1, "o", {}), (30, "o", {})).assign(DV=1.0, MDV=[1, 0, 0]), m, units=UNITS
    )
    at = jax.jit(lambda d: predict(m, {"D": d}, cohort))
    for d in (3.0, 60.0, 1000.0):
        np.testing.assert_allclose(at(d), [exact_overlap(t, d) for t in (1.0, 30.0)], rtol=1e-9)


def test_a_reset_ends_every_infusion_of_a_train():
    table = rows((0, "d", {"RATE": 0.1, "SS": 1, "II": 12}), (5, 3, {}), (6, "o", {}), (50, "o", {}))
    assert found(model(), table)[2:].tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_gradients_where_an_infusion_lasts_exactly_its_interval():
    m = model(bioavailability="bio")
    table = rows((0, "d", {"RATE": 5.0, "SS": 1, "II": 6}), (1, "o", {}), (3, "o", {})).assign(DV=1.0, MDV=[1, 0, 0])
    cohort = read_cohort(table, m, units=UNITS)
    at = jax.jit(lambda f: predict(m, {"bio": f}, cohort))
    for f in (3.0, 6.0):  # the infusion lasts 2 F hours
        slope = jax.jacfwd(at)(f)
        np.testing.assert_allclose(slope, (at(f + 1e-4) - at(f - 1e-4)) / 2e-4, rtol=1e-6)


def test_a_lag_too_small_to_tell_keeps_the_order_of_rows():
    table = rows((0, "d", {}), (10, "o", {}), (10, "d", {}), (11, "o", {}))
    for lag in (0.0, 1e-16, 5e-12):
        assert found(model(lag="tlag"), table, {"tlag": lag})[1] == pytest.approx(10 * np.exp(-K * 10), rel=1e-9)


def test_doses_due_at_a_reset_go_with_it_whatever_the_ties():
    table = rows((0, "d", {"ADDL": 1, "II": 2}), (2, 3, {}), (2, "o", {}), (3, "o", {})).assign(DV=1.0, MDV=[1, 1, 0, 0])
    for ties in ("rows", "doses_first", "observations_first"):
        cohort = read_cohort(table, model(), units=UNITS, ties=ties)
        np.testing.assert_allclose(predict(model(), {"k": K}, cohort), 0.0, atol=1e-15)


@pytest.mark.slow
def test_a_neighbour_at_steady_state_disturbs_no_gradient():
    m = model(lag="tlag")
    table = pd.concat(
        [rows((0, "d", {"SS": 1, "II": 24}), (1, "o", {})), rows((0, "d", {"ADDL": 1, "II": 1}), (70, "o", {}), who=2)]
    ).fillna(0.0)
    cohort = read_cohort(table.assign(DV=1.0, MDV=[1, 0, 1, 0]), m, units=UNITS)
    slope = jax.grad(lambda p: predict(m, {"k": p[0], "tlag": p[1:]}, cohort)[1])(jnp.array([25.0, 0.5, 60.0]))
    assert np.isfinite(slope).all()


def test_the_failed_parameter_has_no_gradient_either():
    m = model(lag="tlag")
    cohort = read_cohort(rows((0, "d", {}), (1, "o", {})).assign(DV=1.0, MDV=[1, 0]), m, units=UNITS)
    assert np.isnan(jax.grad(lambda lag: predict(m, {"tlag": lag}, cohort)[0])(-1.0))


def test_a_running_infusion_is_kept_beside_one_a_billion_times_as_fast():
    table = rows((0, "d", {"AMT": 1e9, "RATE": 1e10}), (100, "d", {"AMT": 1e-3, "RATE": 1e-4}), (105, "o", {}))
    left = 1e9 / 0.1 / 1.0 * (np.exp(-(105 - 0.1)) - np.exp(-105.0))
    assert found(model(), table, {"k": 1.0})[2] == pytest.approx(
        left + 1e-4 * (1 - np.exp(-5.0)), rel=1e-3
    )  # 1e-6 of 1e10 in the sum of rates


def test_the_library_works_where_nobody_set_float64():
    code = "import pkpd, jax; assert jax.numpy.ones(1).dtype == 'float64'"
    run = subprocess.run([sys.executable, "-c", code], env={"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
