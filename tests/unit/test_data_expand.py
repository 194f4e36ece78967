"""Additional doses and resets: who acts, when, in which order, and what a reset takes away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.data import Field, Vocabulary, read_cohort

WORDS = Vocabulary(doses=(Field("central", "mg"),), states=("central",), observables=(Field("cp", "mg/L"),))
EMPTY = {"EVID": 0, "AMT": 0.0, "DUR": 0.0, "ADDL": 0, "II": 0.0, "DV": np.nan, "MDV": 1, "ID": 1}


def doses(*rows: dict, unit: str = "h") -> pd.DataFrame:
    table = pd.DataFrame([EMPTY | row for row in rows])
    return read_cohort(table, WORDS, units={"TIME": unit, "AMT": "mg"}).doses


def lines(table: pd.DataFrame) -> list:
    return [tuple(line) for line in table[["time", "kind", "amount", "duration"]].itertuples(index=False)]


def test_additional_doses_act_before_the_rows_of_their_time():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 2, "II": 12}, {"TIME": 12}, {"TIME": 24, "EVID": 1, "AMT": 7})
    assert table["time"].tolist() == [0, 12, 24, 24]
    assert table["amount"].tolist() == [5, 5, 5, 7]
    assert table["rank"].tolist() == [0, -3, -3, 2]
    assert table["row"].tolist() == [1, 1, 1, 3]


def test_two_trains_meeting_keep_the_order_of_their_rows():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 1, "II": 12}, {"TIME": 6, "EVID": 1, "AMT": 7, "ADDL": 1, "II": 6})
    assert table["amount"].tolist() == [5, 7, 5, 7]


def test_a_dose_that_misses_a_row_by_a_rounding_takes_its_time():
    assert 3 * 0.1 != 0.3
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 3, "II": 0.1}, {"TIME": 0.3})
    assert table["time"].iloc[-1] == 0.3


def test_a_reset_cancels_what_is_to_come():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 3, "II": 12}, {"TIME": 24, "EVID": 3}, {"TIME": 40})
    assert lines(table) == [(0, "dose", 5, 0), (12, "dose", 5, 0), (24, "reset", 0, 0)]


def test_an_observation_before_the_reset_still_sees_the_dose_of_its_time():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 2, "II": 12}, {"TIME": 12}, {"TIME": 12, "EVID": 3})
    assert lines(table) == [(0, "dose", 5, 0), (12, "dose", 5, 0), (12, "reset", 0, 0)]


def test_a_reset_cuts_a_running_infusion_and_keeps_its_rate():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 8, "DUR": 4}, {"TIME": 1, "EVID": 3}, {"TIME": 2})
    assert lines(table) == [(0, "dose", 2, 1), (1, "reset", 0, 0)]
    assert table["truncated"].tolist() == [True, False]


def test_an_infusion_that_ended_is_left_alone():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 8, "DUR": 4}, {"TIME": 4, "EVID": 3})
    assert lines(table) == [(0, "dose", 8, 4), (4, "reset", 0, 0)] and not table["truncated"].any()


def test_an_infusion_begun_at_the_reset_but_before_it_never_runs():
    table = doses({"TIME": 1, "EVID": 1, "AMT": 8, "DUR": 4}, {"TIME": 1, "EVID": 3})
    assert lines(table) == [(1, "reset", 0, 0)]


def test_reset_and_dose_cancels_and_then_gives_its_own_train():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 9, "II": 4}, {"TIME": 6, "EVID": 4, "AMT": 3, "ADDL": 1, "II": 12})
    assert lines(table) == [(0, "dose", 5, 0), (4, "dose", 5, 0), (6, "reset_dose", 3, 0), (18, "dose", 3, 0)]


def test_two_reset_doses_at_one_time_keep_both_resets():
    table = doses({"TIME": 0, "EVID": 4, "AMT": 5, "DUR": 2}, {"TIME": 0, "EVID": 4, "AMT": 3})
    assert lines(table) == [(0, "reset", 0, 0), (0, "reset_dose", 3, 0)]


def test_a_reset_of_another_subject_cancels_nothing():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 2, "II": 12}, {"TIME": 6, "EVID": 3, "ID": 2}, {"TIME": 9, "ID": 2})
    assert table["time"].tolist() == [0, 12, 24, 6] and table["subject"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(("unit", "hours"), [("h", 1.0), ("min", 1 / 60), ("day", 24.0)])
def test_the_interval_has_the_unit_of_time(unit, hours):
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 2, "II": 12}, unit=unit)
    assert table["time"].tolist() == pytest.approx([0, 12 * hours, 24 * hours])
