"""The simulated panel study: what it holds, that it says so, that the library reads it, and that the summary is that of the rows."""

import json

import pandas as pd
import pytest

from pkpd import read_cohort
from pkpd.models.carm import carm_study

UNITS = {"DV": {"car_dna": "copies/ug", "detect": "copies/ug", "biopsy_car": "copies/ug", "sld": "mm", "recist": "mm"}}
UNITS["DV"] |= dict.fromkeys(("il6", "tnf", "il8", "il10"), "pg/mL")


@pytest.fixture(scope="module")
def folder(root):
    return root / "data" / "carm_phase1_simulated"


@pytest.fixture(scope="module")
def records(folder):
    return pd.read_csv(folder / "panel_records.csv", na_values=".")


def test_the_design(records, folder):
    assert (
        set(records["LABEL"]) == {"simulated"}
        and "SIMULATED" in json.loads((folder / "panel_truth.json").read_text(encoding="utf-8"))["label"]
    )
    people = records.drop_duplicates("ID")
    assert people["HER2"].value_counts().to_dict() == {3: 9, 2: 5} and people["REGIMEN"].value_counts().to_dict() == {135: 9, 1: 5}
    kinds = records["DVID"].value_counts().to_dict()
    assert (kinds["detect"], kinds["biopsy_car"], kinds["sld"], kinds["recist"], kinds["crs"]) == (28, 42, 42, 28, 14)
    seen = {k: set(g["CENS"]) for k, g in records.groupby("DVID")}
    assert seen["il6"] == {-1, 0, 1} and -1 in seen["il8"] and seen["biopsy_car"] == {0, 1} and seen["detect"] == {0}
    between = records[(records["DVID"] == "car_dna") & records["LIMIT"].notna()]
    assert len(between) and set(between["LIMIT"]) == {10.0} and set(between["DV"]) == {50.0} and set(between["CENS"]) == {1}
    assert set(records.loc[records["DVID"] == "recist", "DV"]) <= {1, 2, 3} and set(records.loc[records["DVID"] == "crs", "DV"]) <= {
        0,
        1,
        2,
        3,
    }
    assert records[(records["DVID"] == "il6") & (records["ID"] % 2 == 1)]["ULOQ"].eq(250).all()


def test_the_library_reads_it(folder):
    rows = pd.read_csv(folder / "panel_records.csv", keep_default_na=False)
    cohort = read_cohort(rows[rows["DVID"] != "crs"], model=carm_study, units=UNITS, covariates=["REGIMEN"], name="panel, simulated")
    assert len(cohort.subjects) == 14 and len(cohort.observations) == int(((rows["EVID"] == 0) & (rows["DVID"] != "crs")).sum())


def test_the_summary_is_that_of_the_rows(records, folder):
    told = pd.read_csv(folder / "panel_summary.csv")
    assert set(told["STUDY"]) == {"simulated"} and set(told["TAG"]) == {"SIM"}
    stable = told[told["QUANTITY"] == "stable disease"].set_index("ARM")[["VALUE", "N"]]
    at = records[(records["DVID"] == "recist") & (records["TIME_H"] == 1344)]
    for her2 in (2, 3):
        group = at[at["HER2"] == her2]["DV"]
        assert stable.loc[f"HER2 {her2}+"].astype(int).tolist() == [(group == 2).sum(), len(group)]
    severe = told[told["QUANTITY"] == "CRS grade 3 or more"].iloc[0]
    assert (int(severe["VALUE"]), severe["N"]) == ((records.loc[records["DVID"] == "crs", "DV"] >= 3).sum(), 14)
    late = told[(told["QUANTITY"] == "car_dna positive") & (told["TIME_H"] == "312.0")].set_index("ARM")["VALUE"].astype(float)
    rows = records[(records["DVID"] == "detect") & (records["TIME_H"] == 312)]
    assert late.to_dict() == {f"regimen {r}": rows[rows["REGIMEN"] == r]["DV"].sum() for r in (1, 135)}


@pytest.mark.slow
def test_the_generator_makes_the_shipped_file_again(folder, tmp_path):
    """Exactly: the same seed, to the five digits written (solvers differ below them on another machine)."""
    import importlib.util
    import sys

    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("panel", folder / "panel.py")
        panel = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(panel)
        made, _ = panel.study(panel.SEED)
    finally:
        sys.path.remove(str(folder))
    made.to_csv(tmp_path / "again.csv", index=False)
    again, shipped = (pd.read_csv(p, na_values=".") for p in (tmp_path / "again.csv", folder / "panel_records.csv"))
    pd.testing.assert_frame_equal(again, shipped, rtol=1e-4)
