"""`pkpd check-data`: what it prints, its JSON, its exit code, and the page it writes."""

from __future__ import annotations

import hashlib
import json
import re

import pandas as pd
import pytest

from pkpd.data import Field, Vocabulary, examine, read_cohort
from pkpd.errors import DataError, Defect, FitError
from pkpd.plots import plot_spaghetti
from pkpd.report import render_data_summary
from pkpd.report.defects import counted
from tests.cli import RECORDS, UNITS, told
from tests.unit.test_report_html import Page, section

WORDS = Vocabulary((Field("depot", "mg"),), ("depot",), (Field("cp", "mg/L"), Field("pca", "percent")))
DOUBTFUL = RECORDS.replace("1,8,0,.,.,5", "1,8,0,.,.,0") + "3,0,1,320,iv,.\n"
TABLE = {
    "ID": ["a<b", *["a<b"] * 5, "c", "c"],
    "TIME": [-1, 0, 1, 1, 200, 200, 0, 2],
    "AMT": [0, 320, 0, 0, 0, 0, 320, 0],
    "CMT": ["", "depot", "", "", "", "", "depot", ""],
    "DVID": ["pca", "", "cp", "pca", "cp", "pca", "", "cp"],
    "DV": [90, None, 8.5, 0.0, 0.5, 40.0, None, 7.25],
    "CENS": [0, 0, 0, 0, 1, 0, 0, 0],
    "WT": [70.0] * 6 + [500.0] * 2,
    "LABEL": "simulated",
}


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Coarse pictures: these tests read the page, not the pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pkpd.plots.files.DPI", 30)
        yield


@pytest.fixture(scope="module")
def seen():
    return examine(pd.DataFrame(TABLE), WORDS, units={"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L", "pca": "percent"}}, covariates=["WT"])


def test_clean_data_are_summarised_with_what_was_assumed(here, capsys):
    code, out, err = told(capsys, "check-data", "records.csv", "--model", "one_compartment_iv", *UNITS)
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == ["records.csv: nothing to mend.", out.splitlines()[1], "  cp: 3 observations"]
    assert "2 subjects, 2 doses" in out and "note: 3 rows without DVID hold the only observable 'cp'." in out


def test_errors_are_listed_by_row_and_end_with_1(here, capsys):
    (here / "records.csv").write_text(RECORDS.replace("8.5", "eight").replace("1,8,0", "1,1,0"), encoding="utf-8")
    code, out, _ = told(capsys, "check-data", "records.csv", *UNITS)
    assert code == 1 and out.startswith("records.csv: 2 errors.\nErrors (2)\n  PK")
    assert "row 3, subject 1, column DV:" in out and "row 4, subject 1, column TIME:" in out and "doses" not in out


def test_warnings_and_notes_are_told_apart_and_end_with_0(here, capsys):
    (here / "records.csv").write_text(DOUBTFUL, encoding="utf-8")
    code, out, _ = told(capsys, "check-data", "records.csv", "--model", "one_compartment_iv", *UNITS)
    lines = out.splitlines()
    assert (code, lines[0]) == (0, "records.csv: 1 warning, 1 note.")
    assert lines[1:4:2] == ["Warnings (1)", "Notes (1)"]
    assert lines[2].startswith("  PK134 row 4, subject 1, column DV: cp is 0 after a dose")
    assert lines[4].startswith("  PK141 row 7, subject 3, column DV: The subject has no scored observation")
    assert "3 subjects, 3 doses" in lines[5] and not any(line.startswith("  note: PK") for line in lines)


def test_json_keeps_its_keys(here, capsys):
    (here / "records.csv").write_text(DOUBTFUL, encoding="utf-8")
    code, out, err = told(capsys, "check-data", "records.csv", "--json", *UNITS)
    found = json.loads(out)
    assert (code, err) == (0, "") and list(found) == ["file", "sha256", "clean", "counts", "defects", "assumed"]
    assert found["file"] == "records.csv" and found["sha256"] == hashlib.sha256(DOUBTFUL.encode()).hexdigest()
    wanted = {"errors": 0, "warnings": 1, "notes": 1, "subjects": 3, "doses": 3, "observations": 3, "censored": 0}
    assert found["clean"] is True and found["counts"] == wanted
    assert list(found["defects"][0]) == ["code", "severity", "row", "subject", "column", "message", "cure"]
    assert [(d["code"], d["severity"], d["row"], d["subject"], d["column"]) for d in found["defects"]] == [
        ("PK134", "warning", 4, "1", "DV"),
        ("PK141", "note", 7, "3", "DV"),
    ]
    assert found["assumed"] and not any(line.startswith("PK") for line in found["assumed"])


def test_json_of_a_file_with_errors_has_no_counts_of_what_it_holds(here, capsys):
    (here / "records.csv").write_text(RECORDS.replace("8.5", "eight"), encoding="utf-8")
    code, out, _ = told(capsys, "check-data", "records.csv", "--json", *UNITS)
    found = json.loads(out)
    nothing = dict.fromkeys(("subjects", "doses", "observations", "censored"))
    assert code == 1 and found["clean"] is False and found["counts"] == {"errors": 1, "warnings": 0, "notes": 0} | nothing
    code, out, _ = told(capsys, "check-data", "record.csv", "--json")
    assert code == 1 and json.loads(out)["sha256"] == "" and json.loads(out)["defects"][0]["code"] == "PK001"


def test_the_page_is_written_beside_the_text(here, capsys):
    (here / "records.csv").write_text(DOUBTFUL, encoding="utf-8")
    code, out, err = told(capsys, "check-data", "records.csv", "--html", "out/page.html", "--json", *UNITS)
    assert code == 0 and json.loads(out)["clean"] and err == "Data summary: out/page.html\n"
    assert Page((here / "out/page.html").read_text("utf-8")).words[0] == "1 warning, 1 note."
    (here / "taken").write_text("")
    code, _, err = told(capsys, "check-data", "records.csv", "--html", "taken/page.html", *UNITS)
    assert code == 1 and err == "taken/page.html cannot be written (File exists).\n"


def test_severities_are_counted_in_words():
    kinds = ["note", "error", "note", "warning"]
    assert counted(tuple(Defect("PK000", "", "", severity=kind) for kind in kinds)) == "1 error, 1 warning, 2 notes"
    assert counted(()) == "nothing to mend"


def test_the_page_of_a_readable_file(seen):
    page = render_data_summary(seen)
    words = Page(page).words
    assert words[0] == "1 warning." and "simulated data" in words and 'class="banner warn"' in page
    assert "<a<b" not in page and "a&lt;b" in page and "<script" not in page
    assert all(source.startswith(("data:image/", "#")) for source in Page(page).sources)
    assert "WT is 500 kg; a person's is above 0 and at most 400 kg." in section(page, "warnings").replace("&#x27;", "'")
    data = section(page, "data")
    assert "2 subjects, 2 doses, 6 scored observations." in data and "1 (33 %)" in data and "7.25 to 8.5" in data
    assert "70: 1 subject, 500: 1 subject" in data
    assert cells_of("a&lt;b", section(page, "subjects")) == ["a&lt;b", "-1", "200", "1", "320", "0", "0", "3", "2 (1 &lt;)", ""]
    assert page.count("data:image/png") == 2 and 'id="measured_cp"' in page


def cells_of(first: str, page: str) -> list[str]:
    """The cells of the row that begins with `first`."""
    line = next(row for row in page.split("<tr>") if row.startswith(f"<td>{first}</td>"))
    return re.findall(r"<td[^>]*>(.*?)</td>", line)


def test_the_page_of_a_file_with_errors_says_what_to_mend_and_nothing_else():
    page = render_data_summary(examine(pd.DataFrame(TABLE | {"AMT": [0, -320, *TABLE["AMT"][2:]]})))
    assert Page(page).words[0] == "2 errors. The file cannot be read."
    assert 'class="banner bad"' in page and 'id="data"' not in page and "<img" not in page and "AMT is -320, below zero." in page


def test_threads_doses_and_limits_are_drawn(seen):
    figure = plot_spaghetti(seen.cohort, "cp", "mg/L", simulated=True)
    linear, log = figure.axes
    threads = [collection for collection in linear.collections if len(collection.get_segments()) == 2]
    assert [segment.tolist() for segment in threads[0].get_segments()] == [[[1 / 24, 8.5], [200 / 24, 0.5]], [[2 / 24, 7.25]]]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in log.lines}
    assert drawn["below the limit"] == [[200 / 24, 0.5]] and len(drawn["measured"]) == 2
    rug = next(c for c in linear.collections if c.get_label() == "dose")
    assert [segment[0][0] for segment in rug.get_segments()] == [0.0] and log.get_yscale() == "log"


def test_zeros_are_left_out_of_the_log_scale_and_told(seen):
    figure = plot_spaghetti(seen.cohort, "pca")
    assert figure.axes[1].get_title(loc="left") == "log scale  (1 at or below zero left out)"
    assert figure.axes[0].get_xlim()[0] < -1 / 24


def test_an_unknown_observable_names_the_nearest(seen):
    with pytest.raises(FitError, match=r"The cohort has no observations of 'pcb'. Did you mean 'pca'\? Known: cp, pca."):
        plot_spaghetti(seen.cohort, "pcb")


def test_read_cohort_raises_errors_only():
    bad = pd.DataFrame(TABLE | {"AMT": [0, -320, *TABLE["AMT"][2:]]})
    with pytest.raises(DataError) as error:
        read_cohort(bad, None)
    assert {d.severity for d in error.value.defects} == {"error"}
