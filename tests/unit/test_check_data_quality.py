"""Every warning and note, word for word (`data_quality.txt`), and silence about files that are in order."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pkpd.data import CODES, Field, Vocabulary, check_records, examine, read_cohort
from pkpd.data.codes import defect, severity_of
from pkpd.data.quality_codes import QUALITY
from pkpd.model import load_model

WORDS = Vocabulary(
    doses=(Field("depot", "mg"),),
    states=("depot", "central"),
    observables=(Field("cp", "mg/L"), Field("lnc", "1")),
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "lnc": "1"}}


def _cases() -> list:
    text = Path(__file__).with_name("data_quality.txt").read_text(encoding="utf-8")
    return [_case(block) for block in re.split(r"^== ", text, flags=re.M)[1:]]


def _case(block: str):
    name, *lines = block.rstrip("\n").split("\n")
    told = [json.loads(line[3:]) for line in lines if line.startswith("-- ")]
    sentences = [line[3:] for line in lines if line.startswith(">> ")]
    text = "".join(f"{line}\n" for line in lines if not line.startswith(("-- ", ">> ")))
    return pytest.param(text, told[0] if told else {}, sentences, id=name)


def _reading(asked: dict) -> dict:
    """The model and the options of `read_cohort` that a block asks for."""
    only = asked.get("only")
    model = replace(WORDS, observables=tuple(o for o in WORDS.observables if o.name == only)) if only else WORDS
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L"} if only else UNITS | asked.get("units", {})
    return {"model": model, "units": units, "covariates": asked.get("covariates", ())}


@pytest.mark.parametrize(("text", "asked", "sentences"), _cases())
def test_each_doubtful_file_is_read_and_gives_its_own_sentence(tmp_path, text, asked, sentences):
    path = tmp_path / "records.csv"
    path.write_text(text, encoding="utf-8")
    given = _reading(asked)
    found = check_records(path, **given)
    assert [f"{d.severity}: {d}" for d in found] == sentences
    warned = {d.code for d in found if d.severity == "warning"}
    assert {note.split(" ")[0] for note in read_cohort(path, **given).notes if note.startswith("PK")} == warned


def test_every_code_has_a_test_a_sentence_and_a_rule():
    text = Path(__file__).with_name("data_quality.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"^>> \w+: (PK\d{3})", text, flags=re.M)) == set(QUALITY)
    for code, known in QUALITY.items():
        assert severity_of(code) == known.severity and known.severity in ("warning", "note") and known.rule.endswith(".")
        assert CODES[code] == (known.what, known.message, known.cure), f"{code} is in use twice"
        assert defect(code).severity == known.severity
    assert severity_of("PK037") == "error" and len(CODES) >= 100


def test_one_line_a_code_stands_in_the_notes():
    rows = pd.DataFrame({"ID": 1, "TIME": range(30), "AMT": [5, *[0] * 29], "DV": [None, *[0.0] * 3, *range(26)]})
    notes = read_cohort(rows, None).notes
    zeros = [note for note in notes if note.startswith("PK134")]
    assert len(zeros) == 1 and zeros[0].endswith("set CENS to 1. (3 more lines of this kind: pkpd check-data lists them.)")
    assert "PK134 row 2, subject 1, column DV: DV is 0 after a dose" in zeros[0]


def test_a_file_with_errors_is_not_asked_for_its_quality():
    rows = pd.DataFrame({"ID": [1, 1], "TIME": [0, 1], "AMT": [-5, 0], "DV": [None, -3.0], "EVID": [1, 0]})
    seen = examine(rows)
    assert [(d.code, d.severity) for d in seen.defects] == [("PK037", "error")] and seen.cohort is None


def test_labels_say_simulated_and_units_are_known():
    rows = pd.DataFrame({"ID": [1, 1], "TIME [h]": [0, 2], "AMT [g]": [1, 0], "DV [ug/mL]": [None, 8.5], "LABEL": "simulated"})
    seen = examine(rows, replace(WORDS, observables=WORDS.observables[:1]))
    assert seen.simulated and seen.units == {"AMT": "mg", "cp": "mg/L"}
    assert examine(rows).units == {"AMT": "g", "DV": "ug/mL"}


def test_a_sample_at_the_time_of_a_dose_is_no_matter_where_the_caller_has_decided():
    rows = pd.DataFrame({"ID": 1, "TIME": [0, 0, 1], "AMT": [5, 0, 0], "DV": [None, 1.0, 2.0]})
    assert [d.code for d in check_records(rows)] == ["PK150"]
    assert check_records(rows, ties="observations_first") == ()


def _oral_file(root: Path, name: str) -> set[str]:
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
    return {f"{d.severity} {d.code}" for d in check_records(root / name, load_model("one_compartment_oral"), units=units)}


def test_the_shipped_files_are_in_order(root):
    assert _oral_file(root, "data/theophylline/theophylline.csv") == set()
    units = {"DV": {"car_dna": "copies/ug", "il6": "pg/mL"}}
    assert check_records(root / "data/carm_phase1_simulated/records.csv", load_model("carm_blood_il6"), units=units) == ()


def test_theophylline_of_the_reference_only_has_samples_behind_their_dose(reference_data):
    assert _oral_file(reference_data, "theo_sd.csv") == {"note PK150"}


def test_the_known_defect_of_warfarin_is_told(reference_data):
    words = Vocabulary((Field("depot", "mg"),), ("depot",), (Field("cp", "mg/L"), Field("pca", "percent")))
    units = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "pca": "percent"}}
    found = check_records(reference_data / "warfarin.csv", words, units=units, covariates=("WT", "AGE"))
    twice = [d for d in found if d.code == "PK145"]
    assert [(d.subject, d.row) for d in twice] == [("9", 152), ("9", 154), ("9", 156), ("9", 158)]
    assert twice[0].message == "cp is 8 here and 12.7 in row 151, at the same time of the same subject: both are scored."
    assert {d.code for d in found} == {"PK145", "PK134", "PK150"}  # four zeros after the dose, and the first pca behind it
