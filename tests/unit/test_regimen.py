"""The algebra of regimens: what each operation gives, how it reads, and what is refused in which words."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from pkpd.data import Field, Vocabulary, read_cohort
from pkpd.errors import DoseError, UnitError
from pkpd.events import Regimen, bolus, cells, day, infusion, oral, sum_of
from pkpd.models.carm import carm_blood_il6
from pkpd.models.classic import one_compartment_iv, one_compartment_oral

MG = (100, "mg")


def told(regimen: Regimen) -> list[tuple]:
    return [(d.amount, d.unit, d.time, d.duration, d.target) for d in regimen.doses]


def test_a_bolus_an_infusion_and_a_tablet():
    assert told(bolus(MG)) == [(100.0, "mg", 0.0, 0.0, None)]
    assert told(infusion(MG, "iv")) == [(100.0, "mg", 0.0, 0.5, "iv")]
    assert told(infusion(MG, over=(90, "min"))) == [(100.0, "mg", 0.0, 1.5, None)]
    assert told(oral(MG)) == [(100.0, "mg", 0.0, 0.0, "oral")]


def test_cells_are_counted_as_what_acts():
    assert cells(5e9) == (5.0, "1e9 cells")
    assert cells(5e9, viability=0.8, car_fraction=0.5) == (2.0, "1e9 cells")
    assert told(bolus((2e9, "cells")).for_model(carm_blood_il6)) == [(2.0, "1e9 cells", 0.0, 0.0, "infusion")]


def test_days_begin_at_nought():
    assert [day(d)[0] for d in (1, 3, 1.5)] == [0.0, 48.0, 12.0]
    assert bolus(MG).at(day(3)) == bolus(MG).at((48, "h")) == bolus(MG).at((2, "day"))


def test_at_moves_the_whole_regimen():
    twice = bolus(MG).at((10, "h")).every((12, "h"), times=2)
    assert [d.time for d in twice.at((1, "day")).doses] == [24.0, 36.0]


def test_the_flagship_arm_reads_as_written():
    arm = sum_of(infusion(cells(n), over=(0.5, "h")).at(day(d)) for n, d in ((0.5e9, 1), (1.5e9, 3), (3.0e9, 5)))
    assert [(d.amount, d.time) for d in arm.doses] == [(0.5, 0.0), (1.5, 48.0), (3.0, 96.0)]
    assert repr(arm) == "Regimen(0.5 x 1e9 cells over 0.5 h at 0 h; 1.5 x 1e9 cells over 0.5 h at 48 h; 3 x 1e9 cells over 0.5 h at 96 h)"
    assert repr(sum_of(())) == "Regimen(no doses)"


def test_a_regimen_is_a_frozen_value():
    assert {bolus(MG) + oral(MG), oral(MG) + bolus(MG)} == {bolus(MG) + oral(MG)}
    with pytest.raises(AttributeError):
        bolus(MG).doses = ()  # ty: ignore[invalid-assignment]


def test_records_read_back_by_the_data_floor():
    arm = infusion((0.1, "g"), into="iv", over=(2, "h")).every((1, "day"), times=2)
    records = arm.to_records(one_compartment_oral, id="7")
    assert records["CMT"].tolist() == ["iv", "iv"]
    doses = read_cohort(records, one_compartment_oral, units=records.attrs["units"]).doses
    assert doses[["time", "amount", "duration"]].values.tolist() == [[0.0, 100.0, 2.0], [24.0, 100.0, 2.0]]
    assert Regimen.from_records(records, one_compartment_oral) == arm.for_model(one_compartment_oral)


def test_from_records_takes_the_doses_among_all_rows():
    table = pd.DataFrame(
        {"ID": 1, "TIME": [0, 5, 48], "EVID": [1, 0, 1], "AMT": [10, 0, 20], "CMT": "oral", "ADDL": [1, 0, 0], "II": [24, 0, 0]}
    )
    units = {"TIME": "h", "AMT": "mg"}
    want = bolus((10, "mg"), "oral").every((24, "h"), times=2) + bolus((20, "mg"), "oral").at((48, "h"))
    assert Regimen.from_records(table, one_compartment_oral, units=units) == want


def test_records_of_several_subjects_or_with_a_reset_are_no_regimen():
    table = pd.DataFrame({"ID": [1, 2], "TIME [h]": 0, "EVID": 1, "AMT [mg]": 1, "CMT": "iv"})
    with pytest.raises(DoseError, match=r"The records hold 2 subjects; a regimen is one subject's\. Keep the rows of one ID\."):
        Regimen.from_records(table, one_compartment_iv)
    with pytest.raises(DoseError, match=r"a reset \(EVID 3 or 4\), which no regimen has"):
        Regimen.from_records(table.assign(ID=1, EVID=[1, 4]), one_compartment_iv)


REFUSED = [
    (
        lambda: bolus(100),
        UnitError,
        "The amount of a dose needs its unit: got 100. Write a pair like (100, 'mg'), or cells(5e9) for cells.",
    ),
    (lambda: bolus((100, "mgg")), UnitError, "'mgg' is not a unit I can read"),
    (
        lambda: bolus((0, "mg")),
        DoseError,
        "The amount of a dose is 0 mg; it must be above zero. For an arm without doses write sum_of(()).",
    ),
    (lambda: bolus((float("nan"), "mg")), DoseError, "The amount of a dose takes a finite number, got nan."),
    (lambda: bolus(MG, (1, "h")), DoseError, "into=(1, 'h'): name a dose route or state of the model"),
    (lambda: bolus(MG).at(48), UnitError, 'The time of a dose carries no unit: got 48. Write (48, "h")'),
    (lambda: bolus(MG).at((48, "mg")), UnitError, "The time of a dose is given in 'mg', which cannot become 'h'"),
    (lambda: bolus(MG).every(24, times=2), UnitError, "The interval between doses carries no unit"),
    (lambda: bolus(MG).every((0, "h"), times=2), DoseError, "The interval between doses is (0, 'h'); it must be longer than zero."),
    (lambda: bolus(MG).every((24, "h"), times=0), DoseError, "every(..., times=0): a whole number of at least 1 is needed"),
    (lambda: bolus(MG).over((0, "h")), DoseError, "The duration of an infusion is (0, 'h'); it must be longer than zero."),
    (lambda: bolus(MG).scaled(0), DoseError, "it must be above zero. For an arm without doses write sum_of(())."),
    (lambda: bolus(MG).scaled("2"), DoseError, "scaled(...) takes a finite number, got '2'."),
    (
        lambda: cells(5e9, viability=80),
        DoseError,
        "cells(..., viability=80): a fraction lies above 0 and at most at 1. Write 0.8 for 80 %.",
    ),
    (lambda: cells(0), DoseError, "cells(0): a dose needs a count above zero"),
    (lambda: day(0), DoseError, "day(0): days count from 1, where the clock stands at 0 h."),
    (lambda: sum_of([bolus(MG), MG]), DoseError, "sum_of(...) takes regimens made by bolus, infusion or oral; got (100, 'mg')."),
    (
        lambda: bolus(MG).for_model(one_compartment_oral),
        DoseError,
        "the model has 2 dose routes. Write into='oral' or another. Known: iv, oral.",
    ),
    (
        lambda: bolus(MG, "orla").for_model(one_compartment_oral),
        DoseError,
        "'orla', which is no dose route or state of this model. Did you mean 'oral'?",
    ),
    (
        lambda: oral(MG).for_model(one_compartment_iv),
        DoseError,
        "'oral', which is no dose route or state of this model. Known: central, iv.",
    ),
    (lambda: bolus(MG).for_model(carm_blood_il6), UnitError, "A dose into 'infusion' is given in 'mg', which cannot become '1e9 cells'"),
    (lambda: bolus(MG).for_model(None), DoseError, "A regimen needs the model it is given to"),
    (lambda: bolus(MG, "a").for_model(Vocabulary((Field("x", "mg"),), ("a",))), DoseError, "whose unit the vocabulary does not tell"),
]


@pytest.mark.parametrize(("make", "kind", "words"), REFUSED, ids=[words[:40] for _, _, words in REFUSED])
def test_what_is_refused_says_why(make, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        make()
