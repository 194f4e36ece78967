"""Covariates that change within a subject: which, from when, and how between records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.data import Cohort, Field, Vocabulary, read_cohort
from pkpd.data.unscored import read_unscored
from pkpd.errors import PkpdError

WORDS = Vocabulary(doses=(Field("iv", "mg"),), states=("iv",), observables=(Field("cp", "mg/L"),), covariates=("WT",))
UNITS = {"TIME": "min", "AMT": "mg", "DV": "mg/L"}
ROWS = pd.DataFrame(
    {"ID": [1, 1, 1, 2, 2], "TIME": [0, 60, 120, 0, 60], "EVID": [1, 2, 0, 0, 0], "AMT": [5, 0, 0, 0, 0], "DV": [None, None, 1, 2, 3]}
).assign(WT=[70, 71, 71, 50, 50], SEX=[0, 0, 0, 1, 1], AGE=[30, 30, 31, 40, 40])


def read(**options) -> Cohort:
    return read_cohort(ROWS, WORDS, units=UNITS, covariates=["SEX", "AGE"], **options)


def test_the_first_row_counts_for_the_subject_and_every_row_is_kept_where_something_changes():
    cohort = read(interpolation={"age": "linear"})
    assert cohort.covariates.to_dict("list") == {"WT": [70, 50], "SEX": [0, 1], "AGE": [30, 40]}
    assert cohort.covariate_records.to_dict("list") == {
        "subject": [0, 0, 0, 1, 1],
        "time": [0, 1, 2, 0, 1],
        "place": [0, 1, 2, 3, 4],
        "WT": [70, 71, 71, 50, 50],
        "AGE": [30, 30, 31, 40, 40],
    }
    assert cohort.interpolation == {"WT": "nocb", "AGE": "linear"}


METHODS = {
    "nocb": "the value of the record being approached counts (next observation carried backward): nocb.",
    "locf": "the value of the last record counts (last observation carried forward): locf.",
    "linear": "a straight line counts: linear.",
    "midpoint": "the last record's value counts up to half-way, the next one's from there: midpoint.",
}


@pytest.mark.parametrize("method", METHODS)
def test_the_method_is_noted(method):
    cohort = read(interpolation={"WT": method})
    assert cohort.interpolation["WT"] == method
    assert f"Covariate WT changes within subjects; between records {METHODS[method]}" in cohort.notes


def test_without_a_change_there_is_nothing_to_interpolate():
    cohort = read_cohort(ROWS.assign(WT=70), WORDS, units=UNITS, interpolation={"WT": "locf"})
    assert list(cohort.covariate_records.columns) == ["subject", "time", "place"] and len(cohort.covariate_records) == len(ROWS)
    assert cohort.interpolation == {} and not any("Covariate WT" in n for n in cohort.notes)


def test_an_occasion_is_an_ordinary_covariate():
    cohort = read_cohort(ROWS.assign(OCC=[1, 1, 2, 1, 1]), WORDS, units=UNITS, covariates=["OCC"])
    assert cohort.covariate_records["OCC"].tolist() == [1, 1, 2, 1, 1]


def test_unknown_covariates_and_methods_name_the_nearest():
    with pytest.raises(PkpdError) as error:
        read(interpolation={"WGT": "locf"})
    assert str(error.value) == (
        "interpolation= names 'WGT', which is no covariate read here. Did you mean 'WT'? Known: AGE, SEX, WT. "
        "The model's covariates are read, and those in covariates=."
    )
    with pytest.raises(PkpdError) as error:
        read(interpolation={"WT": "loc"})
    assert str(error.value) == (
        "interpolation= gives WT the method 'loc'. Did you mean 'locf'? Known: constant, linear, locf, midpoint, nocb."
    )
    with pytest.raises(PkpdError, match=r"ties='row' is no rule for rows of one time. Did you mean 'rows'"):
        read(ties="row")


def test_records_for_prediction_take_the_same_argument():
    given = read_unscored(ROWS, WORDS, units=UNITS, interpolation={"WT": "locf"})
    assert given.cohort.interpolation == {"WT": "locf"}


def test_a_part_of_a_cohort_keeps_its_covariate_records():
    part = read().subset([1, 0])
    assert part.covariate_records["subject"].tolist() == [0, 0, 1, 1, 1]
    assert part.covariate_records["WT"].tolist() == [50, 50, 70, 71, 71]
    assert part.interpolation == read().interpolation and part.doses["subject"].tolist() == [1]
    assert np.isfinite(part.covariate_records.to_numpy(float)).all()
