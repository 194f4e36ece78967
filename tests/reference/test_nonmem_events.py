"""Agreement with NONMEM's event semantics: scenarios of `mrgsolve/nmtests` (see USERS.md section 4), found through PKPD_DATA.

Lag and F there belong to doses into compartment 2 only, so a scenario that doses the depot alone ignores those columns.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import DataError
from pkpd.models.classic import one_compartment_oral
from pkpd.simulate import simulate

PARAMETERS = {"CL": 1.1, "V": 20.0, "ka": 1.5}
UNITS = {"TIME": "h", "AMT": "mg"}
LAG_AND_F = ["LAGT", "BIOAV"]
OTHER = ["rec", "MODE", "DUR2", "RAT2"]

#: scenario -> what belongs to a later issue, by the code that refuses it
LATER = {5: "PK049", 7: "PK018", 9: "PK052", 11: "PK052", 13: "PK052", 15: "PK052", 17: "PK018", 19: "PK049", 21: "PK052", 23: "PK052"}
LATER |= {25: "PK052", 29: "PK052"}
NOW = (1, 3, 27)


@pytest.fixture(scope="module")
def scenarios(reference_data) -> pd.DataFrame:
    folder = reference_data / "nonmem_events"
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not in the folder PKPD_DATA names")
    records, expected = (pd.read_csv(folder / name) for name in ("records.csv", "expected.csv"))
    return records.merge(expected[["ID", "rec", "cp_nonmem", "use"]], on=["ID", "rec"], validate="one_to_one")


def one(scenarios: pd.DataFrame, number: int) -> pd.DataFrame:
    """A scenario; lag and F columns are left in only where they act."""
    table = scenarios[scenarios["ID"] == number].drop(columns=OTHER)
    central = table["evid"].isin([1, 4]) & (table["cmt"] == 2)
    acts = (table.loc[central, "LAGT"] != 0).any() or (table.loc[central, "BIOAV"] != 1).any()
    return table if acts else table.drop(columns=LAG_AND_F)


def run(table: pd.DataFrame) -> np.ndarray:
    records = table.drop(columns=["cp_nonmem", "use"])
    return simulate(one_compartment_oral, records, PARAMETERS, units=UNITS)["cp"].to_numpy() * 1000  # ug/L, as there


def test_every_scenario_is_either_met_or_refused(scenarios):
    assert sorted([*NOW, *LATER]) == sorted(scenarios["ID"].unique())


@pytest.mark.parametrize("number", NOW)
def test_predictions_agree_with_nonmem(scenarios, number):
    table = one(scenarios, number)
    found, wanted = run(table), table["cp_nonmem"].to_numpy()
    # NONMEM printed 5 digits: 1e-4 relative, and 1e-3 of the largest value absolute where little is left. Rows that are no observation
    # (use = 0) are compared too: they say that a prediction on such a row is the one after it has acted.
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3 * wanted.max())
    high = wanted > 0.02 * wanted.max()
    np.testing.assert_allclose(found[high], wanted[high], rtol=1e-4)


def test_a_reset_row_shows_the_state_after_the_reset(scenarios):
    table = one(scenarios, 27)
    reset = (table["evid"] == 3).to_numpy()
    assert run(table)[reset].tolist() == table["cp_nonmem"][reset].tolist() == [0.0]


@pytest.mark.parametrize(("number", "code"), LATER.items())
def test_what_is_not_there_yet_is_refused_by_name(scenarios, number, code):
    with pytest.raises(DataError, match=re.escape(code)):
        run(one(scenarios, number))
