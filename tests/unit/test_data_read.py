"""What a good file becomes: units, names, notes, tables."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.data import Cohort, Field, Vocabulary, check_records, read_cohort, to_records, vocabulary_of
from pkpd.errors import PkpdError

ORAL = Vocabulary(doses=(Field("depot", "mg"),), states=("depot", "central"), observables=(Field("cp", "mg/L"),))
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
TWO = Vocabulary(
    doses=(Field("infusion", "1e9 cells"),),
    states=("lung", Field("blood", "1e9 cells")),
    observables=(Field("car_dna", "copies/ug"), Field("il6", "pg/mL")),
    covariates=("HER2",),
)


def oral(**columns) -> Cohort:
    return read_cohort(pd.DataFrame(columns), ORAL, units=UNITS)


def write(folder: Path, text: str) -> Path:
    path = folder / "study.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_in_the_schema_of_the_project(tmp_path):
    path = write(
        tmp_path,
        "ID,TIME_H,EVID,AMT_E9,RATE,CMT,DVID,DV,CENS,LIMIT,LLOQ,ULOQ,HER2,LABEL\n"
        "# a comment\n"
        "P1,0,1,2,4,infusion,,,0,,,,3,simulated\n"
        "P1,2,0,,,,car_dna,50,1,10,50,,3,simulated\n"
        "P1,2,0,,,,il6,0.9,-1,,,0.9,3,simulated\n",
    )
    cohort = read_cohort(path, TWO, units={"DV": {"car_dna": "copies/ug", "il6": "ng/mL"}})
    assert cohort.subjects == ("P1",) and cohort.name == "study" and cohort.source == "study.csv"
    assert cohort.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    dose = cohort.doses.iloc[0]
    assert (dose["time"], dose["kind"], dose["target"], dose["amount"], dose["rate"], dose["row"]) == (0, "dose", "infusion", 2, 4, 3)
    seen = cohort.observations
    assert seen["observable"].tolist() == ["car_dna", "il6"] and seen["cens"].tolist() == [1, -1] and seen["row"].tolist() == [4, 5]
    np.testing.assert_allclose(seen["dv"], [50, 900])
    np.testing.assert_allclose(seen["uloq"], [np.nan, 900])
    np.testing.assert_allclose(seen["lower"], [10, np.nan])
    assert cohort.covariates["HER2"].tolist() == [3.0]
    assert "1 comment lines (starting with # or @) were skipped." in cohort.notes
    assert "RATE is in 1e9 cells per h." in cohort.notes and "Rows by LABEL: 3 simulated." in cohort.notes


def test_doses_of_cells_count_the_viable_positive_part():
    rows = pd.DataFrame({"ID": [1], "TIME": 0, "EVID": 1, "AMT": 5e9, "RATE": 1e10, "VIAB": 80.0, "CAR_FRAC": 0.5, "HER2": 2})
    cohort = read_cohort(rows, TWO, units={"TIME": "h", "AMT": "cells", "VIAB": "percent"})
    assert cohort.doses["amount"].tolist() == pytest.approx([2.0])
    assert (cohort.doses["amount"] / cohort.doses["rate"]).tolist() == pytest.approx([0.5])  # as long as the amount as written
    assert "Doses of cells are AMT x VIAB x CAR_FRAC." in cohort.notes


def test_numbers_mean_states_and_observables_in_order():
    rows = pd.DataFrame(
        {"ID": 1, "TIME": [0, 1], "EVID": [1, 0], "AMT": [1, None], "CMT": [2, 9], "DVID": [None, 2.0], "DV": [None, 3], "HER2": 2}
    )
    cohort = read_cohort(rows, TWO, units={"TIME": "h", "AMT": "1e9 cells", "DV": "pg/mL"})
    assert cohort.doses["target"].tolist() == ["blood"]
    assert cohort.observations["observable"].tolist() == ["il6"]


def test_evid_is_inferred_and_every_assumption_is_noted():
    cohort = oral(ID=[1, 1], TIME=[0, 1], AMT=[100, 0], DV=[0.0, 5.0])
    assert cohort.records["EVID"].tolist() == [1, 0]
    assert cohort.notes == (
        "There is no column EVID: 1 row with AMT above 0 are doses, all others observations.",
        "1 row without CMT dose the only route 'depot'.",
        "1 row without DVID hold the only observable 'cp'.",
    )


def test_mdv_rows_are_kept_for_prediction_and_other_events_are_not():
    cohort = oral(ID=[1] * 4, TIME=[0, 1, 2, 3], EVID=[1, 0, 0, 2], AMT=[100, 0, 0, 0], DV=[None, 5.0, None, None], MDV=[1, 0, 1, 1])
    assert cohort.observations["scored"].tolist() == [True, False]
    assert cohort.observations["rank"].tolist() == [1, 2]


def test_header_units_and_own_names(tmp_path):
    path = write(tmp_path, "ID,Time [day],AMT [g],conc [ng/mL]\n7,0,0.1,\n7,0.5,,2000\n")
    cohort = read_cohort(path, ORAL, columns={"DV": "CONC"})
    assert cohort.doses["amount"].tolist() == [100.0]
    assert cohort.observations[["time", "dv"]].to_numpy().tolist() == [[12.0, pytest.approx(2.0)]]


def test_rate_in_its_own_unit_and_duration():
    base = {"ID": [1, 1], "TIME": [0, 4], "AMT": [120, 60], "CMT": "depot"}
    by_rate = read_cohort(pd.DataFrame(base | {"RATE": [1, 1]}), ORAL, units=UNITS | {"RATE": "mg/min"})
    by_time = read_cohort(pd.DataFrame(base | {"DUR": [120, 60]}), ORAL, units=UNITS | {"DUR": "min"})
    assert by_rate.doses["rate"].tolist() == pytest.approx([60.0, 60.0]) and set(by_rate.doses["shape"]) == {"rate"}
    assert by_time.doses["duration"].tolist() == pytest.approx([2.0, 1.0])


def test_replicates_are_scored_and_noted_but_copies_are_refused():
    columns = {"ID": [1, 1], "TIME": [1, 1], "DV": [5.0, 6.0]}
    assert any("replicates" in note for note in oral(**columns).notes)
    copies = pd.DataFrame(columns | {"DV": [5.0, 5.0]})
    assert [d.code for d in check_records(copies, ORAL, units=UNITS)] == ["PK065"]
    assert check_records(copies, ORAL, units=UNITS, allow=("PK065",)) == ()
    with pytest.raises(PkpdError, match=r"allow= cannot let PK042 pass. It may hold: PK065"):
        check_records(copies, ORAL, allow=("PK042",))


def test_equal_values_before_and_after_a_dose_are_no_copies():
    oral(ID=[1] * 3, TIME=[0, 0, 0], EVID=[0, 1, 0], AMT=[0, 5, 0], DV=[1.0, None, 1.0])


def test_blank_lines_keep_row_numbers(tmp_path):
    cohort = read_cohort(write(tmp_path, "ID,TIME,DV\n\n1,0,3\n,,\n1,1,4\n"), ORAL, units=UNITS)
    assert cohort.observations["row"].tolist() == [3, 5]
    assert "2 empty lines were skipped." in cohort.notes


def test_without_a_model_names_and_units_are_taken_as_they_are():
    cohort = read_cohort(pd.DataFrame({"ID": [1, 1], "TIME": [0, 1], "AMT": [5, 0], "CMT": ["a", ""], "DV": [None, 2]}), None)
    assert cohort.doses["target"].tolist() == ["a"] and cohort.observations["observable"].tolist() == ["DV"]
    assert "The unit of TIME is not declared: taken as h." in cohort.notes


def test_subset_renumbers_and_refuses():
    cohort = oral(ID=["a", "a", "b", "c"], TIME=[0, 1, 0, 0], AMT=[5, 0, 7, 9], DV=[None, 2, None, None])
    part = cohort.subset([2, 0])
    assert part.subjects == ("c", "a") and part.n_subjects == 2
    assert part.doses[["subject", "amount"]].to_numpy().tolist() == [[0, 9], [1, 5]]
    assert part.notes[-1] == "2 of 3 subjects of DataFrame."
    with pytest.raises(PkpdError, match="There is no subject 3: the 3 subjects of this cohort count from 0 to 2"):
        cohort.subset([3])
    with pytest.raises(PkpdError, match="chosen twice"):
        cohort.subset([1, 1])


def test_summary_counts_what_is_censored():
    cohort = oral(ID=[1] * 4, TIME=[0, 1, 2, 3], AMT=[5, 0, 0, 0], DV=[None, 2.0, 1.0, 1.0], CENS=[0, 0, 0, 1])
    assert "  cp: 3 observations, 33.3 % below the limit" in cohort.summary().split("\n")
    assert repr(cohort) == "Cohort('DataFrame', 1 subject, 1 dose, 3 scored observations)"


def test_records_written_and_read_again_are_the_same():
    cohort = oral(ID=[1, 1, 2], TIME=[0, 1, 0], AMT=[5, 0, 7], ADDL=[2, 0, 0], II=[12, 0, 0], DUR=[1, 0, 0], DV=[None, 2, None])
    again = read_cohort(to_records(cohort), ORAL, units=UNITS)
    pd.testing.assert_frame_equal(again.doses.drop(columns="row"), cohort.doses.drop(columns="row"))
    pd.testing.assert_frame_equal(again.observations.drop(columns="row"), cohort.observations.drop(columns="row"))


def test_a_model_is_anything_with_a_vocabulary():
    class Model:
        vocabulary = ORAL

    assert vocabulary_of(Model()) is ORAL
    with pytest.raises(PkpdError, match=r"not for int. Pass the composed model."):
        vocabulary_of(3)
    with pytest.raises(PkpdError, match="Vocabulary: states name a more than once"):
        Vocabulary(states=("a", "a"))


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        pytest.skip(f"PKPD_DATA holds no {name}")
    return folder / name


def test_theophylline(reference_data):
    cohort = read_cohort(_file(reference_data, "theo_sd.csv"), ORAL, units=UNITS, covariates=("WT",))
    assert (cohort.n_subjects, len(cohort.doses), int(cohort.observations["scored"].sum())) == (12, 12, 132)
    assert cohort.covariates["WT"].iloc[0] == 79.6 and set(cohort.doses["target"]) == {"depot"}


def test_warfarin_has_four_replicates(reference_data):
    words = Vocabulary((Field("depot", "mg"),), ("depot",), (Field("cp", "mg/L"), Field("pca", "percent")))
    units = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "pca": "percent"}}
    cohort = read_cohort(_file(reference_data, "warfarin.csv"), words, units=units, covariates=("WT",))
    assert cohort.observations["observable"].value_counts().to_dict() == {"cp": 251, "pca": 232}
    assert any(note.startswith("4 rows repeat") for note in cohort.notes)


def test_bauer_limits_on_the_log_scale(reference_data):
    words = Vocabulary((Field("central", "mg"),), ("central", "tissue"), (Field("logc", "1"),))
    path = _file(reference_data, "bauer2019/m3_data.csv")
    cohort = read_cohort(path, words, units={"TIME": "h", "AMT": "mg", "DV": "1"}, columns={"DV": "LOGC"})
    assert "  logc: 500 observations, 20.8 % below the limit" in cohort.summary().split("\n")
