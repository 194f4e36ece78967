"""TIME as a clock: times of day, dates in NONMEM's four orders, ISO date-times; hours from each subject's first row."""

from __future__ import annotations

import pandas as pd
import pytest

from pkpd.data import Cohort, Field, Vocabulary, check_records, read_cohort
from pkpd.errors import PkpdError

WORDS = Vocabulary(doses=(Field("depot", "mg"),), states=("depot",), observables=(Field("cp", "mg/L"),))
UNITS = {"AMT": "mg", "DV": "mg/L"}


def read(**columns) -> Cohort:
    options = {name: columns.pop(name) for name in ("century", "columns") if name in columns}
    count = len(columns["TIME"])
    table = pd.DataFrame({"ID": 1, "EVID": 0, "AMT": 0.0, "DV": range(1, count + 1)} | columns)
    return read_cohort(table, WORDS, units=UNITS, **options)


def hours(**columns) -> list:
    return read(**columns).records["TIME"].tolist()


def test_times_of_day_count_from_the_first_row_of_each_subject():
    cohort = read(TIME=["8:00", "13:30", "13:30:18", "22:15"], ID=[1, 1, 1, 2])
    assert cohort.records["TIME"].tolist() == [0, 5.5, 5.505, 0]
    assert cohort.notes[0] == "TIME holds times of day: counted in hours from each subject's first row."
    assert cohort.observations["time"].tolist() == cohort.records["TIME"].tolist()


DATES = {
    "DATE": (["1-31-2020", "2/1/2020"], "DATE the date (month-day-year)"),
    "DAT1": (["31.01.2020", "1-2-2020"], "DAT1 the date (day-month-year)"),
    "DAT2": (["2020-01-31", "2020/2/1"], "DAT2 the date (year-month-day)"),
    "DAT3": (["2020-31-01", "2020-1-2"], "DAT3 the date (year-day-month)"),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_in_each_order_of_nonmem(name):
    dates, said = DATES[name]
    cohort = read(TIME=["9:15", "8.5"], **{name: dates})
    assert cohort.records["TIME"].tolist() == [0, 23.25]
    assert cohort.notes[0] == f"TIME is the time of day and {said}: counted in hours from each subject's first row."


def test_nonmems_own_example_with_a_century():
    # NM-TRAN's help on DATE prints 0, 5.42 and 23.25 h for these rows
    found = hours(TIME=["9:15", "14:40", "8:30"], DATE=["10-1-86", "10-1-86", "10-2-86"], century=1900)
    assert found == pytest.approx([0, 5.42, 23.25], abs=0.005)


def test_the_century_decides_about_leap_years():
    assert hours(TIME=["8:00", "8:00"], DAT2=["00-2-28", "00-3-1"], century=2000) == [0, 48]
    assert hours(TIME=["8:00", "8:00"], DAT2=["00-2-28", "00-3-1"], century=1900) == [0, 24]


@pytest.mark.parametrize("century", [20, 2015, -100, True])
def test_a_century_is_a_round_year(century):
    text = f"century={century!r}: give the year that two digits are added to, as in century=2000 (15 is then 2015)."
    with pytest.raises(PkpdError) as error:
        hours(TIME=["8:00"], DATE=["1-1-20"], century=century)
    assert str(error.value) == text


def test_day_numbers_and_iso_dates_under_date():
    assert hours(TIME=["8:00", "6:00"], DATE=[-1, 2]) == [0, 70]
    cohort = read(TIME=["8:00", "6:00"], DATE=["2020-02-28", "2020-03-01"])
    assert cohort.records["TIME"].tolist() == [0, 46]
    assert "DATE the date (year-month-day)" in cohort.notes[0]


def test_a_date_column_of_another_name_and_of_another_type():
    days = pd.to_datetime(["2020-02-28", "2020-03-01"])
    assert hours(TIME=["8:00", "6:00"], VISIT=days, columns={"DAT2": "VISIT"}) == [0, 46]


def test_iso_date_times_and_timestamps():
    written = ["2020-02-28T08:00", "2020-03-01 06:00:36", "2020-03-01T06:00:36.5"]
    assert hours(TIME=written) == pytest.approx([0, 46.01, 46.01 + 0.5 / 3600], rel=1e-13)
    cohort = read(TIME=pd.to_datetime(["2020-02-28 08:00", "2020-03-01 06:00"]))
    assert cohort.records["TIME"].tolist() == [0, 46]
    assert cohort.notes[0] == "TIME holds dates with times: counted in hours from each subject's first row."


def test_a_missing_time_of_a_clock_is_missing_only_once():
    table = pd.DataFrame({"ID": 1, "TIME": ["", "8:00", "9:00"], "EVID": 0, "DV": [1, 2, 3]})
    assert [(d.code, d.row) for d in check_records(table, WORDS, units=UNITS)] == [("PK032", 1)]


def test_dates_that_go_back_are_out_of_order():
    table = pd.DataFrame({"ID": 1, "TIME": ["8:00", "9:00"], "DAT2": ["2020-3-2", "2020-3-1"], "EVID": 0, "DV": [1, 2]})
    (found,) = check_records(table, WORDS, units=UNITS)
    assert (found.code, found.message) == ("PK042", "TIME falls from 0 to -23 within a subject.")


def test_ii_beside_a_clock_is_in_hours():
    cohort = read(TIME=["8:00", "20:00"], EVID=[1, 0], AMT=[5, 0], ADDL=[1, 0], II=[6, 0])
    assert cohort.doses["time"].tolist() == [0, 6]
    assert "II is in the unit of TIME (h)." in cohort.notes
