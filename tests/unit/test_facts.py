"""Published facts of CT-0508: the table says what was published, with its status, and nothing that was not; the reader refuses rows that cannot stand."""

import pytest

from pkpd import FitError, read_facts
from pkpd.data.facts import COLUMNS, exact_interval

COUNTS = {  # k, n, status, sources: written down a second time, from the texts
    "sd_all": (4, 14, "PUB2", "B"), "sd_her2_3plus": (4, 9, "PUB", "A"), "sd_her2_2plus": (0, 5, "PUB2", "B"),
    "sd_earlier_interim": (4, 7, "PUB", "BD"),
    "crs_grade_ge3": (0, 14, "PUB", "A"), "icans_any": (0, 14, "PUB", "AB"), "female": (10, 14, "DER", ""), "ecog0": (9, 14, "DER", ""),
}  # fmt: skip
NUMBERS = {
    "planned_n": (18, "PUB"), "planned_group1": (9, "PUB2"), "planned_group2": (9, "PUB2"), "analysed_n": (14, "PUB"), "analysed_group2": (5, "ASM"),
    "her2_3plus": (9, "PUB"), "her2_2plus": (5, "PUB"), "age_median": (58, "PUB2"), "female_percent": (71.4, "PUB2"), "ecog0_percent": (64.3, "PUB2"),
    "prior_lines_median": (3, "PUB2"), "prior_anti_her2_percent": (85.7, "PUB2"), "related_sae": (5, "PUB2"), "grade3_lymphocyte_decrease": (3, "PUB2"),
    "grade3_cough": (1, "PUB2"), "grade3_neutrophil_decrease": (1, "PUB2"), "biopsies_pre": (1, "PUB2"), "biopsies_post": (2, "PUB2"),
    "objective_responses": (0, "PUB2"), "dlt": (0, "PUB"),
}  # fmt: skip
TEXTS = {
    "trial", "product", "design", "primary_objectives", "secondary_endpoints", "secondary_efficacy_endpoints", "eligibility",
    "tumour_types", "manufacturing", "product_quality", "crs_grade_1_2", "common_aes", "ae_course", "tumour_car_signal",
    "blood_kinetics", "cytokines", "t_cells", "tme", "pembrolizumab_substudy", "status", "fast_track",
}  # fmt: skip
INTERVALS = {"sd_her2_3plus_ci95", "sd_her2_2plus_ci95", "crs_grade_ge3_ci95"}


@pytest.fixture(scope="module")
def facts(root):
    return read_facts(root / "data" / "ct0508" / "published.csv")


def test_the_counts_and_numbers_are_those_published(facts):
    assert {f.name: (f.count, f.n, f.status, "".join(f.source)) for f in facts.values() if f.kind == "count"} == COUNTS
    assert {f.name: (f.value, f.status) for f in facts.values() if f.kind == "number"} == NUMBERS
    assert (facts["age_median"].low, facts["age_median"].high) == (45, 81)
    assert (facts["prior_lines_median"].low, facts["prior_lines_median"].high) == (2, 11)
    assert {f.name for f in facts.values() if f.kind == "text"} == TEXTS
    assert facts["product"].reference == "CT204" and facts["secondary_endpoints"].reference == "951"


def test_no_denominator_and_no_unit_that_is_not_in_the_source(facts):
    """A published number has an n only where the text gives one (SCIENCE.md (a)); what was counted is left open where it is not said."""
    assert {f.name: f.n for f in facts.values() if f.kind == "number" and f.n} == {
        "her2_3plus": 14,
        "her2_2plus": 14,
        "prior_anti_her2_percent": 7,
    }
    open_ = ("related_sae", "grade3_lymphocyte_decrease", "grade3_cough", "grade3_neutrophil_decrease")
    assert all(facts[name].unit == "" and "patients or events: not said" in facts[name].note for name in open_)
    assert all("not said" in facts[f"biopsies_{w}"].note for w in ("pre", "post"))
    with pytest.raises(FitError, match="is of kind number, not count"):
        facts["dlt"].interval95()


def test_the_page_shows_no_unit_where_none_is_given(facts, root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "docs"))
    from fact_pages import told

    shown = {name: told(facts[name]) for name in ("dlt", "related_sae", "objective_responses", "age_median", "prior_anti_her2_percent")}
    assert list(shown.values()) == ["0", "5", "0 patients", "58 years (45 to 81)", "85.7 percent of 7"]


def test_derived_numbers_are_derived_again(facts):
    assert {f.name for f in facts.values() if f.kind == "interval"} == INTERVALS
    for f in (facts[name] for name in INTERVALS):
        printed = 2 if f.status == "PUB" else 3
        assert facts[str(f.value)].interval95() == pytest.approx((f.low, f.high), abs=0.5 * 10**-printed)
    for name in ("female", "ecog0"):
        assert round(100 * facts[name].count / facts[name].n, 1) == facts[f"{name}_percent"].value
    assert exact_interval(0, 14)[1] == pytest.approx(1 - 0.025 ** (1 / 14), rel=1e-12)  # P(none) = (1 - p)^14
    assert exact_interval(5, 5)[0] == pytest.approx(0.025 ** (1 / 5), rel=1e-12)
    assert facts["her2_3plus"].value + facts["her2_2plus"].value == facts["analysed_n"].value == facts["sd_all"].n
    assert facts["sd_her2_3plus"].count + facts["sd_her2_2plus"].count == facts["sd_all"].count


def test_what_is_unknown_is_listed_and_nothing_unread_is_in_the_file(facts, root):
    assert len(facts.unknown) == 33 and facts.unknown["blood_half_life"] == "half-life in blood"
    assert all(f.value is None and f.status == "" for f in facts.values() if not f.known)
    text = (root / "data" / "ct0508" / "published.csv").read_text(encoding="utf-8")
    for recollection in ("Ad5f35", "0.5 / 1.5", "RNAscope", "9/14", "5e9", "62 days", "UNV"):
        assert recollection not in text


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("x,cuont,4,,,9,patients,PUB,A,,", "kind='cuont'. Did you mean 'count'? Known: count, interval, number, text, unknown."),
        ("x,count,10,,,9,patients,PUB,A,,", "a count of 10 of n=9; give whole numbers with 0 <= count <= n."),
        ("x,number,many,,,,,PUB,A,,", "value='many'; give a finite number."),
        ("x,text,none,,,,,UNV,A,,", "status='UNV'; it is PUB: published; the sentence, table or file was read; PUB2: published, read only in a "
         "secondary compilation; DER: derived from published numbers; ASM: an assumption."),
        ("x,text,none,,,,,PUB,,,", "a published fact needs its source."),
        ("x,unknown,4,,,,,,,,peak", "what is unknown has no value and a note that says what it is."),
        ("x,interval,y,2,1,,,DER,,,", "an interval needs low < high; got low=2.0, high=1.0."),
    ],
)  # fmt: skip
def test_rows_that_cannot_stand(tmp_path, row, says):
    (tmp_path / "facts.csv").write_text(",".join(COLUMNS) + "\n" + row + "\n", encoding="utf-8")
    with pytest.raises(FitError) as caught:
        read_facts(tmp_path / "facts.csv")
    assert str(caught.value) == f"facts.csv, row 2 ('x'): {says}"


def test_other_refusals(facts, tmp_path):
    with pytest.raises(FitError, match=r"has no fact 'sd_her2_3pls'\. Did you mean 'sd_her2_3plus'"):
        facts["sd_her2_3pls"]
    with pytest.raises(FitError) as caught:
        facts["trial"].count  # noqa: B018
    assert str(caught.value) == "The fact 'trial' is of kind text, not count; read `value`, `low`, `high` or `note` of it."
    (tmp_path / "facts.csv").write_text("fact,kind\n", encoding="utf-8")
    with pytest.raises(FitError, match=r"facts.csv has no column 'value'; facts need the columns fact, kind"):
        read_facts(tmp_path / "facts.csv")
    head, lone = ",".join(COLUMNS), "x,interval,y,1,2,,,DER,,,"
    (tmp_path / "facts.csv").write_text(f"{head}\n{lone}\n", encoding="utf-8")
    with pytest.raises(FitError, match=r"facts.csv: the interval 'x' belongs to 'y', which is no count of this file."):
        read_facts(tmp_path / "facts.csv")
