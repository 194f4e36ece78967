"""A fit as NONMEM's tables: the rows, numbers and residuals that xpose reads."""

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest

from pkpd import write_nonmem_tables
from pkpd.diagnostics.nonmem_tables import _zeros, nonmem_tables
from pkpd.diagnostics.residuals import residual_table
from pkpd.diagnostics.rows import rows
from tests.fakes import SUBJECTS, fake_tree


@pytest.fixture(scope="module")
def tree():
    return fake_tree()


def test_sdtab_has_the_scored_rows(tree):
    found, table = nonmem_tables(tree), rows(tree)
    sd, kept = found["sdtab"], table[table["scored"]]
    assert list(sd.columns) == ["ID", "TIME", "DV", "MDV", "CENS", "DVID", "IPRED", "PRED", "NPDE", "IQRES"]
    npt.assert_array_equal(sd["DV"], kept["dv"])
    assert sd.attrs["ids"] == {str(i + 1): s for i, s in enumerate(SUBJECTS)} and sd.attrs["dvid"] == {"1": "car_dna", "2": "il6"}
    npt.assert_array_equal(sd["NPDE"], residual_table(tree, "population")["residual"])
    ipred = np.median(tree["posterior_predictive"]["ipred"].values.reshape(-1, len(table)), 0)
    npt.assert_allclose(sd["IPRED"], ipred[table["scored"]])


def test_parameters_and_covariates_stand_beside_their_rows(tree):
    found = nonmem_tables(tree)
    assert set(found) == {"sdtab", "patab", "catab"} and (found["patab"]["ID"] == found["sdtab"]["ID"]).all()
    first = found["patab"].groupby("ID")["ETA2"].first()
    name = found["sdtab"].attrs["etas"]["ETA2"]
    npt.assert_allclose(first, tree["posterior"][f"eta_{name}"].values.mean((0, 1)))
    assert set(found["catab"].columns) == {"ID", "HER2", "REGIMEN"}


def test_files_are_read_back(tree, tmp_path):
    paths = write_nonmem_tables(tree, tmp_path / "xpose")
    assert [p.name for p in paths] == ["sdtab1", "patab1", "catab1", "tables1.txt"]
    back = pd.read_csv(paths[0], skiprows=1, sep=r"\s+")
    npt.assert_allclose(back["DV"], nonmem_tables(tree)["sdtab"]["DV"], rtol=1e-4)  # four decimals are written
    assert paths[0].read_text().startswith("TABLE NO.  1\n") and "dvid 2: il6" in paths[-1].read_text()
    assert "note sdtab has the scored rows only, all MDV 0: no dose rows, which NONMEM writes with DV 0." in paths[-1].read_text()


def test_what_a_zero_is_stands_beside_the_tables():
    """A measured 0, and a residual that an observable in classes does not have: the file holds 0 for both."""
    rows = {"DVID": [1, 1, 2], "DV": [0.0, 3.0, 2.0], "IPRED": [1.0, 2.0, np.nan], "NPDE": [0.1, 0.2, np.nan]}
    assert _zeros(pd.DataFrame(rows))[1:] == [
        "dvid 1: DV is a measured 0 in 1 of 2 rows.",
        "dvid 2: 0 in IPRED, NPDE stands for no value, in 1 of 1 rows.",
    ]
