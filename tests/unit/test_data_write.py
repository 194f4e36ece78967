"""Writing records: what stands in the file, and that nothing is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.data import Field, Vocabulary, read_cohort, to_records, write_records
from pkpd.errors import PkpdError

WORDS = Vocabulary(
    doses=(Field("oral", "mg", into="gut"), Field("split", "mg")),
    states=("gut", Field("central", "mg")),
    observables=(Field("cp", "mg/L"), Field("pca", "percent")),
)
UNITS = {"TIME": "min", "AMT": "g", "DV": {"cp": "mg/L", "pca": "percent"}}
ROWS = pd.DataFrame(
    {
        "ID": "a",
        "TIME": [0, 60, 120, 180],
        "EVID": [1, 4, 2, 0],
        "AMT": [0.1, 0.2, 0, 0],
        "RATE": [0, -2, 0, 0],
        "ALAG1": [15, 30, 0, 0],
        "SS": [1, 0, 0, 0],
        "II": [720, 0, 0, 0],
        "CMT": ["oral", "central", "", ""],
        "DVID": ["", "", "", 2],
        "DV": [np.nan, np.nan, np.nan, 40],
        "CENS": [0, 0, 0, 1],
        "LIMIT": [np.nan, np.nan, np.nan, 10],
        "WT": [70, 71, 71, 72],
    }
)


def test_the_file_is_nonmems_own_with_names(tmp_path):
    path = write_records(read_cohort(ROWS, WORDS, units=UNITS, covariates=["WT"]), tmp_path / "out.csv")
    assert path.read_text().splitlines() == [
        "ID,TIME,EVID,AMT,RATE,II,SS,LAG,CMT,DVID,DV,MDV,CENS,LIMIT,WT",
        "a,0.0,1,100.0,0.0,12.0,1,0.25,oral,.,.,0,0,.,70.0",
        "a,1.0,4,200.0,-2.0,0.0,0,.,central,.,.,0,0,.,71.0",
        "a,2.0,2,0.0,0.0,0.0,0,.,.,.,.,0,0,.,71.0",
        "a,3.0,0,0.0,0.0,0.0,0,.,.,pca,40.0,0,1,10.0,72.0",
    ]


def test_numbers_instead_of_names_where_nonmem_is_to_read_it(tmp_path):
    path = write_records(read_cohort(ROWS, WORDS, units=UNITS), tmp_path / "out.csv", numbered=WORDS)
    table = pd.read_csv(path, dtype=str)
    assert table[["ID", "CMT", "DVID"]].values.tolist() == [["1", "1", "."], ["1", "2", "."], ["1", ".", "."], ["1", ".", "2"]]


def test_a_route_without_a_compartment_has_no_number(tmp_path):
    cohort = read_cohort(ROWS.assign(CMT="split", ALAG1=np.nan), WORDS, units=UNITS)
    with pytest.raises(PkpdError) as error:
        write_records(cohort, tmp_path / "out.csv", numbered=WORDS)
    assert str(error.value) == "The dose route 'split' leads to no single state, so it has no compartment number. Known: central, gut."


def test_a_table_carries_its_units_and_reads_back():
    cohort = read_cohort(ROWS, WORDS, units=UNITS, covariates=["WT"])
    table = to_records(cohort)
    assert table.attrs["units"] == {
        "TIME": "h",
        "AMT": {"oral": "mg", "split": "mg", "central": "mg"},
        "DV": {"cp": "mg/L", "pca": "percent"},
    }
    again = read_cohort(table, WORDS, covariates=["WT"])
    for name in ("doses", "observations", "covariates", "covariate_records", "records"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(cohort, name))
