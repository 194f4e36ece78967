"""Laws of the algebra of regimens, and of the same thing as records; doses act by superposition in a linear model."""

from __future__ import annotations

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkpd.events import Regimen, Schedule, bolus, build_schedule, constant_infusion, day, infusion, sum_of
from pkpd.events.plan import build_plan, tile
from pkpd.events.schedule import known, schedule_of
from pkpd.models.classic import one_compartment_oral as model
from pkpd.simulate import design

amounts = st.tuples(st.floats(1e-3, 1e6), st.sampled_from(["mg", "g", "ug"]))
lengths = st.tuples(st.floats(0.01, 1e3), st.sampled_from(["h", "min", "day"]))
targets = st.sampled_from(["oral", "iv", "depot", "central"])


# Strategies give plain values and `made` builds regimens of them: the run-time type checks draw random numbers, which Hypothesis
# does not allow inside strategies.
single = st.tuples(amounts, targets, st.none() | lengths, st.floats(-100, 1e3))
several = st.lists(single, max_size=4)


def made(parts: list[tuple]) -> Regimen:
    return sum_of([(infusion(a, into, over=o) if o else bolus(a, into)).at((t, "h")) for a, into, o, t in parts])


# A single dose with: its shape, its lag as a share of the interval, bioavailability, steady state (SS, II), and how often it is repeated.
rates = st.tuples(st.floats(1e-3, 1e6), st.sampled_from(["mg/h", "g/day", "ug/min"]))
shapes = st.sampled_from(["bolus", "constant"]) | lengths | rates | st.sampled_from([("over",), ("rate",)])
shares = st.none() | st.floats(0, 1)
steady = st.tuples(st.sampled_from([0, 0, 1, 2]), st.floats(0.1, 100))
rich = st.tuples(single, shapes, shares, st.none() | st.floats(0.01, 2), steady, st.integers(1, 3))
riches = st.lists(rich, max_size=4, unique_by=lambda part: part[0][3])


def enriched(parts: list[tuple]) -> Regimen:
    return sum_of([one_enriched(*part) for part in parts])


def one_enriched(plain: tuple, shape, share, fraction, steady: tuple, times: int) -> Regimen:
    amount, into, _, at = plain
    if shape == "constant":
        return constant_infusion((amount[0], "mg/h"), into).at((at, "h"))
    regimen = shaped(bolus(amount, into), shape)
    regimen = regimen if share is None else regimen.lagged((share * steady[1], "h"))
    regimen = regimen if fraction is None else regimen.bioavailable(fraction)
    regimen = regimen.steady_state((steady[1], "h"), adds=steady[0] == 2) if steady[0] else regimen
    return regimen.every((1e4 / 3, "h"), times=times).at((at, "h"))


def shaped(regimen: Regimen, shape) -> Regimen:
    if shape in ("bolus", ("over",), ("rate",)):
        return {"bolus": regimen, ("over",): regimen.over("modelled"), ("rate",): regimen.at_rate("modelled")}[shape]
    return regimen.at_rate(shape) if "/" in shape[1] else regimen.over(shape)


TIMES = np.array([0.0, 1.0, 6.0, 24.0, 30.0, 400.0])
ONE = pd.DataFrame(index=range(1))


def curve(regimen: Regimen) -> np.ndarray:
    return np.asarray(jax.jit(design(model, regimen, TIMES, ONE, "law").predictor.observables)({})[0])[:, 0, 0]


def assert_same_curve(a: np.ndarray, b: np.ndarray) -> None:
    """Superposition is exact in a linear model: what remains is the rounding of exponentials of sums, 1e-9 of the largest value."""
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * max(1e-300, np.abs(a).max()))


@given(several, several, several)
def test_addition_is_that_of_sets(a, b, c):
    a, b, c = made(a), made(b), made(c)
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == sum_of([c, b, a])
    assert a + sum_of(()) == a


@given(several, several, st.floats(0.01, 100))
def test_scaling_distributes(a, b, k):
    a, b = made(a), made(b)
    assert (a + b).scaled(k) == a.scaled(k) + b.scaled(k)
    assert a.scaled(1) == a


@given(single, st.integers(1, 24), st.integers(1, 8), st.floats(-50, 50))
def test_every_is_explicit_doses(a, hours, times, start):
    a = made([a]).at((0, "h"))
    assert a.every((hours, "h"), times=times) == sum_of(a.at((k * hours, "h")) for k in range(times))
    assert a.every((hours, "h"), times=1) == a
    assert len(a.at((start, "h")).every((hours, "h"), times=times).doses) == times


@given(several, st.integers(1, 10), st.floats(0.5, 10))
def test_moving_and_stretching_do_not_get_in_each_others_way(a, d, hours):
    a = made(a)
    assert a.at(day(d)).over((hours, "h")) == a.over((hours, "h")).at(day(d))
    assert a.at(day(d)).at(day(d)) == a.at(day(d))


@given(several)
def test_records_lose_nothing(a):
    a = made(a)
    records = a.to_records(model)
    back = Regimen.from_records(records, model)
    assert back == a.for_model(model)
    pd.testing.assert_frame_equal(back.to_records(model), records)


@given(riches)
def test_records_lose_nothing_of_any_feature(parts):
    a = enriched(parts)
    records = a.to_records(model)
    back = Regimen.from_records(records, model)
    assert back == a.for_model(model)
    pd.testing.assert_frame_equal(back.to_records(model), records)


@given(riches, st.randoms(use_true_random=False))
def test_no_feature_minds_the_order_of_writing(parts, random):
    shuffled = random.sample(parts, len(parts))
    assert enriched(parts) == enriched(shuffled)
    assert hash(enriched(parts)) == hash(enriched(shuffled))
    assert repr(enriched(parts)) == repr(enriched(shuffled))
    assert "\n" not in repr(enriched(parts))


@given(riches, single, st.integers(-50, 50))
def test_then_moves_and_adds(parts, b, at):
    a, b = enriched(parts), made([b])
    late = a.then(b, after=(1, "h"))
    assert len(late.doses) == len(a.doses) + 1
    assert not a.doses or late.doses[-1].time == a.doses[-1].time + 1
    cycle = b.at((at, "h")).every((12, "h"), times=4)
    assert cycle.then(cycle) == b.at((at, "h")).every((12, "h"), times=8)


@given(single, st.sampled_from(["mg/kg", "ug/kg", "mg/m^2"]), st.floats(0.5, 200), st.none() | st.floats(1e-3, 1e6))
def test_a_body_gets_what_its_size_says(plain, unit, size, cap):
    a = bolus((plain[0][0], unit), plain[1]) if cap is None else bolus((plain[0][0], unit), plain[1]).at_most((cap, "mg"))
    column, given = ("WT", {"weight": (size, "kg")}) if unit.endswith("kg") else ("BSA", {"surface": (size, "m^2")})
    table = a.to_records(model, subjects=pd.DataFrame({column: [size]}))
    pd.testing.assert_frame_equal(table, a.for_body(**given).to_records(model))
    expected = plain[0][0] * (1e-3 if unit.startswith("ug") else 1.0) * size
    np.testing.assert_allclose(table["AMT"], min(expected, cap or np.inf), rtol=1e-14)


def delivered(schedule: Schedule, target: int, time: float) -> float:
    """What the first subject has received by a time (h), that of the time itself included."""
    edges, speed = schedule.edges[:, 0], schedule.rate[:, target, 0]
    lasted = np.clip(time - edges[:-1], 0.0, np.diff(edges))
    return float(schedule.amount[edges[:-1] <= time, target, 0].sum() + (speed * lasted).sum())


@given(several, st.floats(-50, TIMES[-1]))  # what follows the last look is not laid out
def test_a_schedule_delivers_what_the_regimen_says(a, time):
    a = made(a)
    cohort = design(model, a, TIMES, ONE, "law").cohort
    schedule = build_schedule(cohort.doses, cohort.observations, 1)
    for i, target in enumerate(schedule.targets):
        doses = [d for d in a.for_model(model).doses if d.target == target]
        parts = [d.amount * (np.clip((time - d.time) / d.duration, 0, 1) if d.duration else d.time <= time) for d in doses]
        np.testing.assert_allclose(delivered(schedule, i, time), sum(parts), rtol=1e-9, atol=1e-9 * sum(d.amount for d in doses))


@pytest.mark.slow
@settings(max_examples=3)  # each compiles five solves; the law above covers the cases cheaply
@given(several, several, st.floats(0.1, 10))
def test_what_is_given_adds_up_in_a_linear_model(a, b, k):
    a, b = made(a), made(b)
    together = curve(a + b)
    assert_same_curve(together, curve(b + a))
    assert_same_curve(together, curve(a) + curve(b))
    assert_same_curve(curve(a.scaled(k)), k * curve(a))


@given(several, st.integers(1, 4))
def test_a_tiled_schedule_is_the_schedule_of_the_repeated_tables(a, n):
    a = made(a)
    cohort = design(model, a, TIMES, pd.DataFrame(index=range(n)), "tiled").cohort
    one = cohort.subset([0])
    plan = tile(build_plan(one.doses, one.observations, 1), n)
    tiled = schedule_of(plan, known(plan), moves=False)
    whole = build_schedule(cohort.doses, cohort.observations, n)
    for name in ("edges", "amount", "rate", "reset", "times", "segment", "row_time", "row_lane"):
        np.testing.assert_array_equal(getattr(tiled, name), getattr(whole, name), err_msg=name)
