"""Every malformed file gives its own sentence, word for word. The files and the sentences stand in `data_malformed.txt`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from pkpd.data import CODES, Field, Vocabulary, check_records, read_cohort
from pkpd.data.codes import defect
from pkpd.errors import DataError

WORDS = Vocabulary(
    doses=(Field("depot", "mg"), Field("cells", "1e9 cells")),
    states=("depot", "central", "gut"),
    observables=(Field("cp", "mg/L"), Field("il6", "pg/mL")),
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}


def _cases() -> list:
    blocks = re.split(r"^== ", Path(__file__).with_name("data_malformed.txt").read_text(encoding="utf-8"), flags=re.M)[1:]
    return [_case(block) for block in blocks]


def _case(block: str):
    name, *lines = block.rstrip("\n").split("\n")
    options = [json.loads(line[3:]) for line in lines if line.startswith("-- ")]
    sentences = [line[3:] for line in lines if line.startswith(">> ")]
    text = "".join(f"{line}\n" for line in lines if not line.startswith(("-- ", ">> ")))
    return pytest.param(text, {"units": UNITS} | (options[0] if options else {}), sentences, id=name)


@pytest.mark.parametrize(("text", "options", "sentences"), _cases())
def test_each_malformed_file_gives_its_own_sentence(tmp_path, text, options, sentences):
    path = tmp_path / "records.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_cohort(path, WORDS, **options)
    assert [str(d) for d in error.value.defects] == sentences


def test_a_file_that_is_not_there_names_its_neighbour(tmp_path):
    (tmp_path / "records.csv").write_text("ID\n")
    (found,) = check_records(tmp_path / "record.csv", WORDS)
    assert found.code == "PK001"
    assert found.message == f"There is no file '{tmp_path / 'record.csv'}'."
    assert found.cure == f"Did you mean '{tmp_path / 'records.csv'}'? Check the path and the folder you start from."


def test_a_folder_is_not_a_file(tmp_path):
    (found,) = check_records(tmp_path, WORDS)
    assert (found.code, found.message) == ("PK002", f"'{tmp_path}' cannot be opened (Is a directory).")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"ID,TIME\n1,\xff\n", "PK003 row 2: Byte 0xff is not UTF-8 text."),
        (b"ID,TIME\n1,\x00\n", "PK004 row 2: The line holds a NUL character, so this is not a csv file."),
    ],
)
def test_bytes_that_are_no_text(tmp_path, raw, sentence):
    path = tmp_path / "records.csv"
    path.write_bytes(raw)
    (found,) = check_records(path, WORDS)
    assert str(found).startswith(sentence)


def test_a_list_is_not_a_table():
    (found,) = check_records([1, 2], WORDS)
    assert found.message == "A cohort is read from a csv path or a pandas DataFrame, not from list."


def test_all_defects_of_a_file_come_at_once_in_row_order(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text("ID,TIME,EVID,AMT,CMT,DVID,DV\n1,0,1,-5,depot,,\n1,2,0,,,cq,3\n1,1,7,,,cp,x\n")
    with pytest.raises(DataError) as error:
        read_cohort(path, WORDS, units=UNITS)
    assert [(d.row, d.code) for d in error.value.defects] == [(2, "PK037"), (3, "PK062"), (4, "PK027"), (4, "PK033"), (4, "PK042")]
    assert str(error.value).startswith("records.csv: 5 things to mend.\n  PK037 row 2, subject 1, column AMT: AMT is -5")


def test_a_defect_of_many_rows_is_listed_a_dozen_times_and_counted():
    rows = pd.DataFrame({"ID": 1, "TIME": range(250), "EVID": 1, "AMT": -1.0, "CMT": "depot"})
    found = check_records(rows, WORDS, units=UNITS)
    assert len(found) == 12
    assert found[-1].cure == "Write the amount given, or correct the sign. (238 more rows have the same.)"


def test_every_code_has_a_test_and_a_full_sentence():
    here = Path(__file__).parent
    text = "".join(
        f.read_text(encoding="utf-8") for f in (*here.glob("test_data_*.py"), here / "data_malformed.txt", *here.glob("data_q*.txt"))
    )
    tested = set(re.findall(r"PK\d{3}", text)) | {"PK011"}
    assert tested >= set(CODES)
    assert all(d.message and d.cure for d in map(defect, CODES))
