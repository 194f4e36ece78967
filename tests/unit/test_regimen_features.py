"""Infusions by duration and by rate, lags, bioavailability, steady state, sequences and doses by body size: what each gives, in which words."""

from __future__ import annotations

import re

import pytest

from pkpd.data import Field, Vocabulary
from pkpd.errors import DoseError, UnitError
from pkpd.events import Regimen, body_surface, bolus, constant_infusion, infusion, oral, sum_of

MG = (100, "mg")
WORDS = Vocabulary(doses=(Field("iv", "mg"),), states=(Field("central", "mg"),))
PER_KG = Vocabulary(doses=(Field("iv", "mg/kg"),), states=(Field("central", "mg/kg"),))


def one(regimen: Regimen):
    (dose,) = regimen.doses
    return dose


def test_an_infusion_by_duration_and_one_by_rate_are_two_things():
    long, fast = one(infusion(MG, over=(2, "h"))), one(infusion(MG, rate=(50, "mg/h")))
    assert (long.shape, long.duration, long.rate) == ("duration", 2.0, 0.0)
    assert (fast.shape, fast.duration, fast.rate, fast.rate_unit) == ("rate", 0.0, 50.0, "mg")
    assert long != fast
    assert one(infusion(MG)).duration == 0.5
    assert infusion(MG, over=(2, "h")).at_rate((50, "mg/h")) == infusion(MG, rate=(50, "mg/h"))
    assert infusion(MG, rate=(50, "mg/h")).over((2, "h")) == infusion(MG, over=(2, "h"))


@pytest.mark.parametrize(
    ("rate", "number"), [((1, "g/day"), 1000 / 24), ((50, "mg/h"), 50.0), ((500, "ug/min"), 30.0), ((0.05, "g / h"), 50.0)]
)
def test_a_rate_is_read_in_the_unit_of_the_dose(rate, number):
    dose = one(infusion(MG, rate=rate))
    assert (dose.rate, dose.rate_unit) == (pytest.approx(number, rel=1e-15), "mg")


def test_a_rate_follows_its_dose_into_the_units_of_a_model():
    dose = one(infusion((0.1, "g"), rate=(50, "mg/h")).for_model(WORDS))
    assert (dose.amount, dose.unit, dose.rate, dose.rate_unit) == (100.0, "mg", 50.0, "mg")


def test_modelled_infusions():
    assert one(infusion(MG, over="modelled")).shape == "modelled_duration"
    assert one(infusion(MG, rate="modelled")).shape == "modelled_rate"
    assert bolus(MG).over("modelled") == infusion(MG, over="modelled")


def test_scaling_an_infusion_by_rate_makes_it_longer():
    dose = one(infusion(MG, rate=(50, "mg/h")).scaled(2))
    assert (dose.amount, dose.rate) == (200.0, 50.0)
    assert one(constant_infusion((50, "mg/h")).scaled(2)).rate == 100.0


def test_lag_and_bioavailability_stay_with_their_dose():
    both = oral(MG).lagged((30, "min")).bioavailable(0.8) + oral(MG).at((12, "h"))
    assert [(d.lag, d.bioavailability) for d in both.doses] == [(0.5, 0.8), (None, None)]
    assert one(oral(MG).lagged((0, "h"))).lag == 0.0
    assert oral(MG).lagged((0, "h")) != oral(MG)


def test_only_the_first_dose_is_at_steady_state():
    steady = bolus(MG).steady_state((12, "h")).every((12, "h"), times=3)
    assert steady == bolus(MG).every((12, "h"), times=3).steady_state((12, "h"))
    assert [(d.steady_state, d.interval) for d in steady.doses] == [(1, 12.0), (0, 0.0), (0, 0.0)]
    assert one(bolus(MG).steady_state((1, "day"), adds=True)).steady_state == 2


def test_what_replaces_the_state_comes_first_at_its_time():
    mixed = bolus(MG, "a") + bolus(MG, "b").steady_state((12, "h")) + bolus(MG, "c").steady_state((8, "h"), adds=True)
    assert [d.target for d in mixed.doses] == ["b", "a", "c"]


def test_a_constant_infusion_is_a_state_to_begin_with():
    dose = one(constant_infusion((50, "mg/h")))
    assert (dose.amount, dose.shape, dose.rate, dose.steady_state, dose.interval) == (0.0, "rate", 50.0, 1, 0.0)
    assert one(constant_infusion((50, "mg/h")).at((1, "day"))).time == 24.0


def test_every_and_times_are_one_thing_in_two_steps():
    assert bolus(MG).every((12, "h")).times(3) == bolus(MG).every((12, "h"), times=3)


def test_every_repeats_the_whole_of_a_sum():
    pair = bolus(MG, "a") + bolus(MG, "b").at((2, "h"))
    assert [(d.time, d.target) for d in pair.every((12, "h"), times=2).doses] == [(0, "a"), (2, "b"), (12, "a"), (14, "b")]
    assert [d.time for d in pair.at((1, "day")).doses] == [24.0, 26.0]


def test_doses_may_overlap():
    assert len(infusion(MG, over=(3, "h")).every((1, "h"), times=4).doses) == 4
    assert len((bolus(MG) + bolus(MG)).doses) == 2


def test_then_begins_when_the_last_interval_is_over():
    daily, weekly = bolus(MG).every((1, "day"), times=3), bolus((50, "mg")).at((5, "h")).every((7, "day"), times=2)
    assert [d.time for d in daily.then(weekly).doses] == [0, 24, 48, 72, 72 + 168]
    assert [d.time for d in daily.then(weekly).then(bolus(MG)).doses][-1] == 72 + 2 * 168
    assert [d.time for d in daily.at((10, "h")).then(bolus(MG)).doses][-1] == 82
    assert [d.time for d in daily.scaled(2).lagged((1, "h")).over((1, "h")).then(bolus(MG)).doses][-1] == 72
    assert [d.time for d in bolus(MG).every((8, "h"), times=1).then(bolus(MG)).doses] == [0, 8]


def test_then_of_a_cycle_waits_for_the_cycle():
    cycle = (bolus(MG) + bolus(MG).at((2, "h"))).every((12, "h"), times=2)
    assert [d.time for d in cycle.then(bolus(MG)).doses] == [0, 2, 12, 14, 24]


def test_then_of_a_sum_waits_for_both_where_both_are_known():
    both = bolus(MG, "a").every((12, "h"), times=2) + bolus(MG, "b").every((1, "day"), times=2)
    assert both.then(bolus(MG)).doses[-1].time == 48
    assert (sum_of(()) + bolus(MG).every((12, "h"), times=2)).then(bolus(MG)).doses[-1].time == 24
    with pytest.raises(DoseError, match="is not known"):
        (both + bolus(MG)).then(bolus(MG))


def test_after_counts_from_the_last_dose_and_wins():
    loading = bolus((500, "mg")).then(bolus((250, "mg")).every((12, "h"), times=10), after=(12, "h"))
    assert loading == bolus((500, "mg")) + bolus((250, "mg")).every((12, "h"), times=10).at((12, "h"))
    assert loading.then(bolus(MG)).doses[-1].time == 132
    assert [d.time for d in bolus(MG).every((12, "h"), times=2).then(bolus(MG), after=(1, "h")).doses] == [0, 12, 13]


def test_then_with_nothing_is_the_other():
    some = bolus(MG).at((3, "h"))
    assert sum_of(()).then(some) == some == some.then(sum_of(()))


def test_doses_by_weight_and_surface():
    assert one(bolus((5, "mg / kg")).for_body(weight=(70, "kg"))).amount == 350.0
    assert one(bolus((75, "mg/m2")).for_body(surface=(1.8, "m^2"))).amount == 135.0
    assert one(bolus((75, "mg/m2"))) == one(bolus((75, "mg/m^2"))) == one(bolus((75, "mg/m**2")))
    fixed = one(infusion((5, "mg/kg"), rate=(50, "mg/h")).for_body(weight=(70000, "g")))
    assert (fixed.amount, fixed.unit, fixed.rate, fixed.rate_unit) == (350.0, "mg", 50.0, "mg")
    own = one(infusion((5, "mg/kg"), rate=(1, "mg/kg/h")).for_body(weight=(70, "kg")))
    assert (own.amount, own.rate) == (350.0, 70.0)
    assert one(bolus((2e6, "cells/kg")).for_body(weight=(80, "kg"))).amount == 1.6e8


def test_a_dose_by_weight_keeps_its_size_in_a_models_words():
    dose = one(bolus((0.005, "g/kg")).at_most((0.4, "g")).for_model(WORDS))
    assert (dose.amount, dose.unit, dose.at_most, dose.target) == (5.0, "mg/kg", 400.0, "iv")
    assert one(bolus((5, "mg/kg")).for_model(WORDS)).sizes == {"kg"}
    assert one(bolus((5, "mg/kg")).for_model(PER_KG)).sizes == frozenset()  # that model counts by weight itself
    assert one(bolus((0.005, "g/kg")).for_model(PER_KG)).amount == 5.0


def test_a_cap_is_one_wherever_it_is_said():
    capped = bolus((5, "mg/kg")).at_most((300, "mg"))
    assert one(capped.for_body(weight=(50, "kg"))).amount == 250.0
    assert one(capped.for_body(weight=(70, "kg"))).amount == 300.0
    assert one(capped.at_most((1, "g"))).at_most == 300.0
    assert one(capped.scaled(2).for_body(weight=(70, "kg"))).amount == 600.0
    assert one(bolus(MG).at_most((0.05, "g"))) == one(bolus((50, "mg")))


def test_formulas_of_body_surface():
    assert body_surface(80.0, 180.0) == 2.0
    assert body_surface(70.0, 175.0, "du_bois") == pytest.approx(1.848, abs=5e-4)
    assert body_surface(70.0, 175.0, "haycock") == pytest.approx(1.847, abs=5e-4)


WORDED = [
    (infusion(MG, rate=(50, "mg/h")), "100 mg by 50 mg/h at 0 h"),
    (infusion(MG, over="modelled"), "100 mg over a modelled duration at 0 h"),
    (infusion(MG, rate="modelled"), "100 mg by a modelled rate at 0 h"),
    (constant_infusion((50, "mg/h"), "iv"), "constant 50 mg/h into iv at 0 h (at steady state)"),
    (bolus(MG).steady_state((12, "h"), adds=True), "100 mg at 0 h (added at steady state every 12 h)"),
    (
        bolus((5, "mg/kg")).at_most((500, "mg")).lagged((1, "h")).bioavailable(0.8).every((1, "day"), times=8),
        "5 mg/kg at 0, 24, 48, ..., 168 h (8 doses, at most 500 mg, lag 1 h, bioavailability 0.8)",
    ),
    (
        sum_of(bolus((n, "mg")).at((n, "h")) for n in range(1, 10)),
        "1 mg at 1 h; 2 mg at 2 h; 3 mg at 3 h; 4 mg at 4 h; 5 mg at 5 h; 6 mg at 6 h; ... (9 doses in all)",
    ),
]


@pytest.mark.parametrize(("regimen", "words"), WORDED, ids=[words[:40] for _, words in WORDED])
def test_a_regimen_reads_on_one_line(regimen, words):
    assert repr(regimen) == f"Regimen({words})"


CONSTANT = (
    "A constant infusion at steady state has a rate and nothing else: no amount, end, lag, bioavailability or repetition. "
    "Add the doses that follow it with +."
)
REFUSED = [
    (
        lambda: infusion(MG, over=(1, "h"), rate=(50, "mg/h")),
        DoseError,
        "infusion(..., over=(1, 'h'), rate=(50, 'mg/h')): an infusion is given by its duration or by its rate, for bioavailability "
        "scales the other of the two. Leave one out.",
    ),
    (lambda: infusion(MG, rate=50), UnitError, "The rate of an infusion needs its unit: got 50. Write a pair like (50, 'mg/h')."),
    (lambda: infusion(MG, rate=(0, "mg/h")), DoseError, "The rate of an infusion is 0 mg/h; it must be above zero."),
    (lambda: infusion(MG, rate=(-1, "mg/h")), DoseError, "The rate of an infusion is -1 mg/h; it must be above zero."),
    (lambda: infusion(MG, rate=(float("nan"), "mg/h")), DoseError, "The rate of an infusion takes a finite number, got nan."),
    (lambda: infusion(MG, rate=(5, "mg")), UnitError, "The rate of an infusion is given in 'mg', which cannot become '(mg)/h'"),
    (lambda: constant_infusion((5, "mg")), UnitError, "The rate of an infusion is (5, 'mg'), no amount by time."),
    (lambda: infusion(MG, over="modeled"), UnitError, "The duration of an infusion carries no unit: got 'modeled'."),
    (lambda: infusion(MG, over=(float("nan"), "h")), DoseError, "The duration of an infusion is (nan, 'h'); it must be a finite time."),
    (
        lambda: bolus(MG).lagged((-1, "h")),
        DoseError,
        "The lag of a dose is (-1, 'h'); it must not be below zero. To give a dose earlier use .at(...).",
    ),
    (lambda: bolus(MG).lagged(1), UnitError, "The lag of a dose carries no unit: got 1."),
    (lambda: bolus(MG).bioavailable(0), DoseError, "bioavailable(0): a bioavailability lies above 0. Write 0.8 for 80 %."),
    (lambda: bolus(MG).bioavailable("0.8"), DoseError, "bioavailable(...) takes a finite number, got '0.8'."),
    (lambda: bolus(MG).steady_state((0, "h")), DoseError, "The interval of a steady state is (0, 'h'); it must be longer than zero."),
    (
        lambda: (bolus(MG, "a") + bolus(MG, "b")).steady_state((12, "h")),
        DoseError,
        "steady_state(...): the regimen begins with 2 doses, and only one can be meant. "
        "Give that one its steady state before adding the others.",
    ),
    (lambda: sum_of(()).steady_state((12, "h")), DoseError, "steady_state(...): the regimen begins with 0 doses"),
    (
        lambda: bolus(MG, "a").steady_state((12, "h")) + bolus(MG, "b").steady_state((12, "h")),
        DoseError,
        "Two doses at steady state begin at 0 h, and each would replace the other. Give one of them adds=True.",
    ),
    (
        lambda: bolus(MG).lagged((13, "h")).steady_state((12, "h")),
        DoseError,
        "A dose at steady state every 12 h has a lag of 13 h, longer than the interval: programs disagree on what that means. "
        "Give a lag of at most the interval, or write the doses out with every(...).",
    ),
    (lambda: constant_infusion((50, "mg/h")).over((1, "h")), DoseError, CONSTANT),
    (lambda: constant_infusion((50, "mg/h")).lagged((1, "h")), DoseError, CONSTANT),
    (lambda: constant_infusion((50, "mg/h")).every((1, "day"), times=2), DoseError, CONSTANT),
    (lambda: constant_infusion((50, "mg/h")).steady_state((1, "day")), DoseError, CONSTANT),
    (lambda: bolus(MG).every((12, "h")).times(0), DoseError, "every(..., times=0): a whole number of at least 1 is needed"),
    (lambda: bolus(MG).every((12, "h")).times(2.5), DoseError, "every(..., times=2.5): a whole number of at least 1 is needed"),
    (
        lambda: bolus(MG).every((12, "h")).to_records(WORDS),
        DoseError,
        "every(...).to_records: say how many times the doses are given first, as in every((12, 'h'), times=10).",
    ),
    (
        lambda: bolus(MG) + bolus(MG).every((12, "h")),
        DoseError,
        "every(...) + ...: say how many times the doses are given first, as in every((12, 'h'), times=10).",
    ),
    (
        lambda: bolus(MG).then(bolus(MG)),
        DoseError,
        "then(...): when Regimen(100 mg at 0 h) is over is not known, for not all of it was made by every(...). "
        "Say how long after its last dose the next begins, as in then(..., after=(12, 'h')).",
    ),
    (
        lambda: bolus(MG).then(bolus(MG), after=(0, "h")),
        DoseError,
        "The time after the last dose is (0, 'h'); it must be longer than zero.",
    ),
    (lambda: bolus(MG).then(MG), DoseError, "then(...) takes a regimen made by bolus, infusion or oral; got (100, 'mg')."),
    (lambda: bolus(MG).at_most((1, "mL")), UnitError, "The cap of a dose is given in 'mL', which cannot become 'mg'"),
    (
        lambda: bolus((5, "mg/kg")).for_body(surface=(1.8, "m^2")),
        DoseError,
        "A dose of 5 mg/kg needs the body weight: for_body(weight=(..., 'kg')).",
    ),
    (
        lambda: infusion((75, "mg/m^2"), over=(1, "h")).for_body(),
        DoseError,
        "A dose of 75 mg/m^2 over 1 h needs the body surface: for_body(surface=(..., 'm^2')).",
    ),
    (
        lambda: bolus((5, "mg/kg")).for_body(weight=(0, "kg")),
        DoseError,
        "for_body(weight=...) is (0, 'kg'); a number above zero is needed.",
    ),
    (
        lambda: bolus((5, "mg/kg")).for_body(weight=70),
        UnitError,
        'for_body(weight=...) carries no unit: got 70. Write (70, "kg") or another unit of the same kind.',
    ),
    (
        lambda: bolus((5, "mg/m^2")).for_model(PER_KG),
        UnitError,
        "A dose into 'iv' is given in 'mg/m^2', and the model counts in 'mg/kg'. Write the dose in 'mg/kg'.",
    ),
    (lambda: bolus(MG).for_model(PER_KG), UnitError, "A dose into 'iv' is given in 'mg', and the model counts in 'mg/kg'."),
    (
        lambda: bolus((5, "mg/kg")).at_most((500, "mg")).for_model(PER_KG),
        DoseError,
        "A dose into 'iv' is capped at 500 mg, and the model counts in 'mg/kg'. Leave the cap out.",
    ),
    (lambda: body_surface(70.0, 175.0, "dubois"), DoseError, "'dubois' is no formula of body surface. Did you mean 'du_bois'?"),
]


@pytest.mark.parametrize(("make", "kind", "words"), REFUSED, ids=[f"{i}-{words[:30]}" for i, (_, _, words) in enumerate(REFUSED)])
def test_what_is_refused_says_why(make, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        make()
