"""Doses one by one: additional doses written out, shapes, steady state, lags, and what the file says about each dose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.data import Cohort, Field, Vocabulary, read_cohort

WORDS = Vocabulary(
    doses=(Field("central", "mg"), Field("oral", "mg", into="gut")),
    states=(Field("gut", "mg"), Field("central", "mg")),
    observables=(Field("cp", "mg/L"),),
)
EMPTY = {"EVID": 0, "AMT": 0.0, "DUR": 0.0, "ADDL": 0, "II": 0.0, "DV": np.nan, "MDV": 1, "ID": 1, "CMT": "central"}
DOSE = {"EVID": 1, "AMT": 8.0}


def read(*rows: dict, unit: str = "h", **options) -> Cohort:
    table = pd.DataFrame([EMPTY | row for row in rows])
    return read_cohort(table, WORDS, units={"TIME": unit, "AMT": "mg"} | options.pop("units", {}), **options)


def doses(*rows: dict, **options) -> pd.DataFrame:
    return read(*rows, **options).doses


def lines(table: pd.DataFrame, *names: str) -> list:
    return [tuple(line) for line in table[list(names)].itertuples(index=False)]


def test_the_columns_are_those_the_events_floor_reads():
    table = doses({"TIME": 0, **DOSE}, {"TIME": 1, "EVID": 3})
    names = "subject time rank place k kind target amount shape duration rate ss ii lag bioavailability stated row"
    assert list(table.columns) == names.split()
    assert lines(table, "kind", "target", "shape") == [("dose", "central", "bolus"), ("reset", "", "")]
    assert table[["duration", "rate", "lag", "bioavailability"]].isna().all(axis=None)
    assert table["row"].tolist() == [1, 2] and table["place"].tolist() == [0, 1]


def test_additional_doses_act_before_the_rows_of_their_time():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 2, "II": 12}, {"TIME": 12}, {"TIME": 24, "EVID": 1, "AMT": 7})
    assert lines(table, "time", "amount", "rank", "place", "k", "ii", "row") == [
        (0, 5, 0, 0, 0, 12, 1),
        (12, 5, -3, 0, 1, 12, 1),
        (24, 5, -3, 0, 2, 12, 1),
        (24, 7, 2, 2, 0, 0, 3),
    ]


def test_two_trains_meeting_keep_the_order_of_their_rows():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 1, "II": 12}, {"TIME": 6, "EVID": 1, "AMT": 7, "ADDL": 1, "II": 6})
    assert table["amount"].tolist() == [5, 7, 5, 7]


def test_a_dose_that_misses_a_row_by_a_rounding_takes_its_time():
    assert 3 * 0.1 != 0.3
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 3, "II": 0.1}, {"TIME": 0.3}, {"TIME": 0.3, "ID": 2})
    assert table["time"].iloc[-1] == 0.3


def test_a_dose_takes_no_time_of_another_subject():
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 3, "II": 0.1}, {"TIME": 0.3, "ID": 2})
    assert table["time"].iloc[-1] == 3 * 0.1


def test_nothing_is_cancelled_or_cut_here():
    table = doses(
        {"TIME": 0, **DOSE, "DUR": 4, "ADDL": 1, "II": 6}, {"TIME": 1, "EVID": 3}, {"TIME": 2, "EVID": 4, "AMT": 1, "ADDL": 1, "II": 9}
    )
    assert lines(table, "time", "kind", "amount") == [
        (0, "dose", 8),
        (1, "reset", 0),
        (2, "reset_dose", 1),
        (6, "dose", 8),
        (11, "dose", 1),
    ]
    assert table["duration"].fillna(0).tolist() == [4, 0, 0, 4, 0]


@pytest.mark.parametrize(("unit", "hours"), [("h", 1.0), ("min", 1 / 60), ("day", 24.0)])
def test_the_interval_has_the_unit_of_time(unit, hours):
    table = doses({"TIME": 0, "EVID": 1, "AMT": 5, "ADDL": 2, "II": 12}, unit=unit)
    assert table["time"].tolist() == pytest.approx([0, 12 * hours, 24 * hours])


SHAPES = [
    ({}, ("bolus", None, None)),
    ({"RATE": 4}, ("rate", None, 4)),
    ({"DUR": 2}, ("duration", 2, None)),
    ({"RATE": 4, "DUR": 2}, ("duration", 2, None)),
    ({"RATE": -1}, ("modelled_rate", None, None)),
    ({"RATE": -2}, ("modelled_duration", None, None)),
    ({"RATE": -2, "D": 3}, ("duration", 3, None)),
    ({"RATE": -2, "D2": 3}, ("duration", 3, None)),
    ({"RATE": -2, "D1": 3}, ("modelled_duration", None, None)),
    ({"RATE": -2, "R": 3}, ("modelled_duration", None, None)),
    ({"RATE": -1, "R": 3}, ("rate", None, 3)),
    ({"RATE": -1, "R2": 3, "R1": -9}, ("rate", None, 3)),
    ({"RATE": 4, "D": 0, "R": 0}, ("rate", None, 4)),
]


@pytest.mark.parametrize(("items", "shape"), SHAPES)
def test_each_way_to_write_an_infusion_has_its_shape(items, shape):
    (found,) = doses({"TIME": 0, **DOSE, **items}).itertuples()
    numbers = tuple(None if np.isnan(x) else x for x in (found.duration, found.rate))
    assert (found.shape, *numbers, found.amount) == (*shape, 8)


def test_a_rate_is_kept_and_a_share_of_cells_scales_it_with_the_amount():
    words = Vocabulary((Field("cells", "1e9 cells"),), ("blood",))
    rows = pd.DataFrame({"ID": [1], "TIME": 0, "EVID": 1, "AMT": 5.0, "RATE": 10.0, "VIAB": 0.5})
    (found,) = read_cohort(rows, words, units={"TIME": "h", "AMT": "1e9 cells"}).doses.itertuples()
    assert (found.amount, found.rate, found.shape) == (2.5, 5.0, "rate")


def test_steady_state_stands_on_the_dose_of_the_row_only():
    table = doses({"TIME": 0, **DOSE, "SS": 1, "II": 12, "ADDL": 1}, {"TIME": 3, **DOSE, "SS": 2, "II": 24, "EVID": 4})
    assert lines(table, "time", "k", "ss", "ii", "kind") == [(0, 0, 1, 12, "dose"), (3, 0, 2, 24, "reset_dose"), (12, 1, 0, 12, "dose")]


def test_ii_counts_with_addl_or_ss_only():
    assert doses({"TIME": 0, **DOSE, "II": 12})["ii"].tolist() == [0]


@pytest.mark.parametrize("amount", [0.0, np.nan])
def test_a_constant_infusion_at_steady_state_has_no_amount(amount):
    (found,) = doses({"TIME": 0, "EVID": 1, "AMT": amount, "RATE": 4, "SS": 1}, {"TIME": 1}).itertuples()
    assert (found.amount, found.rate, found.shape, found.ss, found.ii) == (0, 4, "rate", 1, 0)


LAGS = {
    "LAG": (["Column LAG is the lag of each dose (h)."], [0.5, 0.5, np.nan]),
    "LAGT": (["Column LAGT is the lag of each dose (h)."], [0.5, 0.5, np.nan]),
    "tlag": (["Column tlag is the lag of each dose (h)."], [0.5, 0.5, np.nan]),
    "ALAG": (["Column ALAG is the lag of each dose (h)."], [0.5, 0.5, np.nan]),
    "lagtime": (["Column lagtime is the lag of each dose (h)."], [0.5, 0.5, np.nan]),
    "ALAG1": (["Column ALAG1 is the lag of each dose into compartment 1 (h)."], [np.nan, 0.5, np.nan]),
    "LAG2": (["Column LAG2 is the lag of each dose into compartment 2 (h)."], [0.5, np.nan, np.nan]),
}


@pytest.mark.parametrize("name", LAGS)
def test_a_lag_by_any_of_its_names(name):
    cohort = read({"TIME": 0, **DOSE, name: 0.5}, {"TIME": 1, **DOSE, "CMT": "oral", name: 0.5}, {"TIME": 2, **DOSE, name: "."})
    notes, lags = LAGS[name]
    np.testing.assert_array_equal(cohort.doses["lag"], lags)
    assert [n for n in cohort.notes if " lag " in n] == notes


def test_a_lag_may_have_its_own_unit_and_stays_with_additional_doses():
    table = doses({"TIME": 0, **DOSE, "ADDL": 1, "II": 12, "ALAG2": 30}, units={"ALAG2": "min"})
    assert table["lag"].tolist() == [0.5, 0.5] and table["time"].tolist() == [0, 12]
    assert doses({"TIME": 0, **DOSE, "LAG": 30}, unit="min")["lag"].tolist() == [0.5]


def test_numbers_in_cmt_choose_numbered_columns_by_themselves():
    rows = [{"TIME": 0, **DOSE, "CMT": 1, "F1": 0.5, "F2": 0.9}, {"TIME": 1, **DOSE, "CMT": 2, "F1": 0.5, "F2": 0.9}]
    assert doses(*rows)["bioavailability"].tolist() == [0.5, 0.9]
    without = pd.DataFrame([EMPTY | row for row in rows])
    assert read_cohort(without, None).doses["bioavailability"].tolist() == [0.5, 0.9]


def test_columns_of_other_names_become_dose_items():
    rows = {"TIME": 0, **DOSE, "RATE": -2, "LAGT": 10, "BIOAV": 0.5, "DUR2": 2, "RAT2": 7}
    names = {"ALAG2": "LAGT", "F2": "BIOAV", "D2": "DUR2", "R2": "RAT2"}
    cohort = read(rows, rows | {"CMT": "oral", "TIME": 20, "RATE": 0}, columns=names)
    assert lines(cohort.doses, "lag", "bioavailability", "shape", "duration")[0] == (10, 0.5, "duration", 2)
    assert cohort.doses[["lag", "bioavailability", "duration", "rate"]].iloc[1].isna().all()
    assert cohort.notes[:4] == (
        "Column LAGT is the lag of each dose into compartment 2 (h).",
        "Column BIOAV is the bioavailability of each dose into compartment 2.",
        "Column DUR2 is the modelled duration of each dose with RATE -2 into compartment 2 (h).",
        "Column RAT2 is the modelled rate of each dose with RATE -1 into compartment 2 (mg per h); no dose uses it.",
    )


def test_a_covariate_named_like_a_dose_item_is_the_covariate():
    cohort = read({"TIME": 0, **DOSE, "LAGT": 1.5, "F": 2}, covariates=["LAGT", "F"])
    assert cohort.doses[["lag", "bioavailability"]].isna().all(axis=None)
    assert cohort.covariates.values.tolist() == [[1.5, 2.0]]


TIED = [{"TIME": 0, **DOSE}, {"TIME": 8}, {"TIME": 8, **DOSE}, {"TIME": 8}, {"TIME": 8, "EVID": 2}, {"TIME": 9}]
ORDERS = {"rows": [0, 1, 2, 3, 5], "doses_first": [0, 2, 1, 3, 5], "observations_first": [0, 1, 3, 2, 5]}


@pytest.mark.parametrize("ties", ORDERS)
def test_ties_change_the_ranks_only(ties):
    cohort, plain = read(*TIED, ties=ties), read(*TIED)
    ranks = pd.concat([cohort.doses.set_index("place")["rank"], cohort.observations.set_index("row")["rank"].rename(lambda r: r - 1)])
    assert ranks.sort_values().index.tolist() == ORDERS[ties]
    for name in ("doses", "observations"):
        pd.testing.assert_frame_equal(getattr(cohort, name).drop(columns="rank"), getattr(plain, name).drop(columns="rank"))
    told = [n for n in cohort.notes if "ties=" in n]
    assert cohort.ties == ties and (ties == "rows") == (not told)


def test_observations_first_puts_additional_doses_behind_the_rows_of_their_time():
    rows = [{"TIME": 0, **DOSE, "ADDL": 1, "II": 8}, {"TIME": 8}]
    assert read(*rows, ties="observations_first").doses["rank"].tolist() == [0, 2]
    assert read(*rows, ties="doses_first").doses["rank"].tolist() == [0, -2]


def test_no_row_is_exchanged_across_a_reset():
    rows = [{"TIME": 0}, {"TIME": 0, "EVID": 3}, {"TIME": 0}, {"TIME": 0, **DOSE}]
    cohort = read(*rows, ties="doses_first")
    assert cohort.observations["rank"].tolist() == [0, 3] and cohort.doses["rank"].tolist() == [1, 2]
