"""The simulated panel study: what it holds, that it says so, that the library reads it, and that the summary is that of the rows."""

import importlib.util
import json
import math

import numpy as np
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
def panel(folder):
    with pytest.MonkeyPatch.context() as m:
        m.syspath_prepend(str(folder))
        spec = importlib.util.spec_from_file_location("panel", folder / "panel.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


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


def test_classes_are_those_of_the_sizes_measured_at_the_visit(records):
    """Against the measured size before treatment (under 5 mm counts as 5 mm); a new lesion makes a row 3, that row alone, and nothing else may."""
    size = records[records["DVID"] == "sld"].set_index(["ID", "TIME_H"])["DV"]
    for row in records[records["DVID"] == "recist"].itertuples():
        ratio = size[row.ID, row.TIME_H] / size[row.ID, -1.0]
        assert row.DV in {3, 1 if ratio <= 0.7 else 3 if ratio >= 1.2 else 2}


def test_new_lesions_are_drawn_for_each_row(panel):
    """p_new = 1/2 and equal sizes: 3 and 2 in equal parts, and 3 before 2 as often as 2 before 3 (4 sd of a binomial of 4000)."""
    visits = [{"ID": i, "TIME_H": t, "DVID": d, "DV": "60"} for i in range(2000) for d in ("sld", "recist") for t in panel.SCANS]
    table = pd.DataFrame([v for v in visits if v["DVID"] == "sld" or v["TIME_H"] > 0])
    first, then = np.reshape(panel._classes(np.random.default_rng(1), table, 0.5), (-1, 2)).T
    assert set(first) == {2, 3} and abs(np.mean(first == 3) + np.mean(then == 3) - 1) < 4 * 0.5 / np.sqrt(1000)
    assert abs(np.mean((first == 3) & (then == 2)) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)


def test_tumours_before_treatment_vary_once(panel, folder):
    """Between patients, log sd 1.5 around a fixed 60 mm: no prior of a shared V0 beside it."""
    told = json.loads((folder / "panel_truth.json").read_text(encoding="utf-8"))
    assert told["values"]["V0"] == pytest.approx(math.pi / 6 * 60**3, rel=1e-12) and told["values"]["omega_V0"] == 1.5
    assert "V0" not in panel.PRIORS and told["draw"] == 1 and told["values"]["loading_gain_tnf"] == 1.0
    many = panel.individual(np.random.default_rng(1), told["values"] | {n: 1.0 for n in panel.PRIORS}, 20_000)
    assert np.std(np.log(many["V0"])) == pytest.approx(1.5, abs=4 * 1.5 / np.sqrt(2 * 20_000))  # sd of an sd
    np.testing.assert_allclose(many["gain_tnf"], many["gain_il6"])


def test_what_counts_as_detected(panel):
    rows = [
        ("car_dna", "10", 1, "."),
        ("car_dna", "50", 1, "10"),
        ("car_dna", "70", 0, "."),
        ("detect", "1", 0, "."),
        ("detect", "0", 0, "."),
    ]
    assert panel.detected(pd.DataFrame(rows, columns=["DVID", "DV", "CENS", "LIMIT"])).tolist() == [False, True, True, True, False]


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
def test_the_generator_makes_the_shipped_file_again(panel, folder, tmp_path):
    """Exactly: the same seed, to the five digits written (solvers differ below them on another machine)."""
    made, _, draws = panel.study(panel.SEED)
    assert draws == 1
    made.to_csv(tmp_path / "again.csv", index=False)
    again, shipped = (pd.read_csv(p, na_values=".") for p in (tmp_path / "again.csv", folder / "panel_records.csv"))
    pd.testing.assert_frame_equal(again, shipped, rtol=1e-4)
