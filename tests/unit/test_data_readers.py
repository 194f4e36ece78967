"""Other people's files: comment signs, names of Monolix and CDISC, units in cells, SAS transport files."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from pkpd.data import Field, Vocabulary, check_records, read_cohort
from pkpd.data.unscored import read_unscored
from pkpd.errors import PkpdError

WORDS = Vocabulary(
    doses=(Field("oral", "mg", into="depot"), Field("iv", "mg", into="central")),
    states=(Field("central", "mg"), Field("depot", "mg")),
    observables=(Field("cp", "mg/L"), Field("pca", "percent")),
    covariates=(),
)
UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "pca": "percent"}}


def write(folder, text: str, name: str = "study.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


SIGNS = [
    (None, "# a\n@ b\nID,TIME,DVID,DV\n1,0,cp,3\n#1,1,cp,4\n", [4], "3 comment lines (starting with # or @) were skipped."),
    ("#", "ID,TIME,DVID,DV\n1,0,cp,3\n#1,1,cp,4\n", [2], "1 comment lines (starting with #) were skipped."),
    ("C", "C,ID,TIME,DVID,DV\n.,1,0,cp,3\nC,1,1,cp,4\n", [2], "1 comment lines (starting with C) were skipped."),
    (
        "@",
        "@made\nID,TIME,DVID,DV\n1,0,cp,3\n excluded,1,cp,4\n @1,2,cp,4\n2,0,cp,5\n",
        [3, 6],
        "3 comment lines (whose first character is a letter or @) were skipped.",
    ),
]


@pytest.mark.parametrize(("sign", "text", "rows", "note"), SIGNS)
def test_comment_signs_of_nonmem(tmp_path, sign, text, rows, note):
    cohort = read_cohort(write(tmp_path, text), WORDS, units=UNITS, ignore=sign)
    assert cohort.observations["row"].tolist() == rows and cohort.notes[0] == note


def test_a_sign_that_was_not_asked_for_is_a_cell(tmp_path):
    path = write(tmp_path, "ID,TIME,DVID,DV\n@1,0,cp,3\n")
    assert read_cohort(path, WORDS, units=UNITS, ignore="#").subjects == ("@1",)


def test_rows_of_a_frame_are_comments_by_their_first_cell():
    table = pd.DataFrame({"C": [".", "C"], "ID": 1, "TIME": [0, 1], "DVID": "cp", "DV": [3, 4]})
    assert read_cohort(table, WORDS, units=UNITS, ignore="C").observations["row"].tolist() == [1]
    assert len(read_cohort(table, WORDS, units=UNITS).observations) == 2


def test_records_for_prediction_keep_the_lines_of_the_file(tmp_path):
    path = write(tmp_path, "# a\nID,TIME,AMT,CMT\n1,0,5,iv\n\n1,1,0,.\n")
    cohort = read_unscored(path, WORDS, units=UNITS).cohort
    assert (cohort.doses["row"].tolist(), cohort.observations["row"].tolist(), cohort.records["row"].tolist()) == ([3], [5], [3, 5])


def test_an_unknown_comment_sign_is_refused():
    with pytest.raises(PkpdError) as error:
        read_cohort("study.csv", WORDS, ignore="%")
    assert str(error.value) == "ignore='%' is no comment sign. Known: '#', '@', 'C'; None skips lines that begin with # or @."


def test_names_of_monolix():
    old = pd.DataFrame({"ID": 1, "TIME": [0, 1], "AMT": [100, 0], "ADM": [1, 1], "TINF": [2, 0], "Y": [0, 4.0], "YTYPE": [2, 1]})
    names = {
        "ID": "SUBJECT ID",
        "AMT": "Amount",
        "ADM": "administration id",
        "TINF": "INFUSION_DURATION",
        "Y": "Observation",
        "YTYPE": "OBSERVATION ID",
    }
    new = old.rename(columns=names)
    one, two = (read_cohort(table, WORDS, units=UNITS) for table in (old, new))
    for cohort in (one, two):
        (dose,) = cohort.doses.itertuples()
        assert (dose.target, dose.shape, dose.duration) == ("oral", "duration", 2)  # ADM 1 is the first dose route, not compartment 1
        assert cohort.observations[["observable", "dv"]].values.tolist() == [["cp", 4.0]]
    assert one.notes[:4] == (
        "Column Y is read as DV.",
        "Column YTYPE is read as DVID.",
        "Column ADM is read as CMT.",
        "Column TINF is read as DUR.",
    )
    assert two.notes[0] == "Column SUBJECT ID is read as ID."


def test_other_words_of_monolix():
    names = {"STEADY STATE": [1, 0], "INTERDOSE INTERVAL": [12, 0], "ADDITIONAL_DOSES": [1, 0], "INFUSION RATE": [50, 0]}
    more = {"EVENT ID": [1, 0], "CENSORING": [0, 1], "IGNORED OBSERVATION": [1, 0], "OCCASION": [1, 2]}
    table = pd.DataFrame({"ID": 1, "TIME": [0, 1], "AMT": [100, 0], "CMT": "iv", "DVID": "cp", "DV": [0, 4.0]} | names | more)
    cohort = read_cohort(table, WORDS, units=UNITS, covariates=["OCC"])
    assert cohort.doses[["ss", "ii", "rate"]].values.tolist() == [[1, 12, 50], [0, 12, 50]]
    assert cohort.observations["cens"].tolist() == [1]
    assert cohort.covariate_records["OCC"].tolist() == [1, 2]
    assert "Column OCCASION is read as OCC." in cohort.notes


def test_numbers_of_administrations_count_dose_routes():
    table = pd.DataFrame({"ID": 1, "TIME": [0.0], "AMT": 100, "ADM": 3})
    (found,) = check_records(table, WORDS, units=UNITS)
    assert str(found) == (
        "PK055 row 1, subject 1, column CMT: CMT 3 is no dose route: the model has 2 dose routes. "
        "Count from 1, or use names. Known: central, depot, iv, oral."
    )


def test_an_alias_gives_way_to_the_standard_name_and_to_a_covariate():
    table = pd.DataFrame({"ID": 1, "TIME": [0.0], "DVID": "cp", "DV": 3.0, "Y": 7.0, "BIO": 1.0})
    cohort = read_cohort(table, WORDS, units=UNITS, covariates=["BIO"])
    assert cohort.observations["dv"].tolist() == [3.0] and cohort.covariates["BIO"].tolist() == [1.0]
    assert "Columns not used: Y." in cohort.notes


ADPPK = {
    "USUBJID": ["S-01", "S-01"],
    "AFRLT": [0.0, 2.5],
    "NFRLT": [0.0, 2.0],
    "EVID": [1, 0],
    "AMT": [54.0, None],
    "CMT": [2, 1],
    "PARAMCD": ["DOSE", "cp"],
    "AVAL": [None, 300.0],
    "AVALU": [None, "ng/mL"],
    "ALLOQ": [None, 10.0],
    "BLQFL": ["", "N"],
}


def test_names_of_cdisc_with_the_actual_time_and_the_units_of_the_cells():
    cohort = read_cohort(pd.DataFrame(ADPPK), WORDS, units={"TIME": "h", "AMT": "mg"})
    assert cohort.subjects == ("S-01",)
    assert cohort.observations[["time", "observable", "dv", "lloq"]].values.tolist() == [[2.5, "cp", 0.3, 0.01]]
    assert cohort.doses[["amount", "target"]].values.tolist() == [[54.0, "depot"]]
    for name, own in (("ID", "USUBJID"), ("TIME", "AFRLT"), ("DV", "AVAL"), ("DVID", "PARAMCD"), ("LLOQ", "ALLOQ")):
        assert f"Column {own} is read as {name}." in cohort.notes
    assert "cp is in ng/mL, as column AVALU says." in cohort.notes
    assert any(n.startswith("Columns not used: NFRLT, BLQFL") for n in cohort.notes)


def test_a_declared_unit_counts_before_the_units_of_the_cells():
    cohort = read_cohort(pd.DataFrame(ADPPK), WORDS, units=UNITS)
    assert cohort.observations["dv"].tolist() == [300.0] and not any("AVALU says" in n for n in cohort.notes)


@pytest.fixture
def transport(tmp_path, monkeypatch):
    """A path that ends in .xpt, and a stand-in for pyreadstat whose reader can be replaced."""
    reader = SimpleNamespace(read_xport=lambda path: (pd.DataFrame(ADPPK), None))
    monkeypatch.setitem(sys.modules, "pyreadstat", reader)
    return write(tmp_path, "HEADER RECORD", "adppk.xpt"), reader


def test_a_transport_file_is_read_as_its_table(transport):
    cohort = read_cohort(transport[0], WORDS, units={"TIME": "h", "AMT": "mg"})
    assert (cohort.name, cohort.source, len(cohort.sha256)) == ("adppk", "adppk.xpt", 64)
    assert cohort.observations["dv"].tolist() == [0.3]
    assert cohort.notes[0] == "Rows of a SAS transport file count from 1."


def test_a_transport_file_without_a_reader_says_what_to_install(transport, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    (found,) = check_records(transport[0], WORDS)
    assert str(found) == (
        f"PK110 '{transport[0]}' is a SAS transport file, which is read with the package pyreadstat, and that is not installed. "
        "Install it by pip install 'pkpd-jax[xpt]', or export the table as csv."
    )


def test_a_broken_transport_file_says_why(transport):
    def read_xport(path):
        raise ValueError("Invalid file, or file has unsupported features.")

    transport[1].read_xport = read_xport
    (found,) = check_records(transport[0], WORDS)
    assert (found.code, found.message) == (
        "PK111",
        f"'{transport[0]}' cannot be read as a SAS transport file (Invalid file, or file has unsupported features).",
    )
