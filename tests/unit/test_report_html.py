"""The report: what comes first, what is withheld, what is escaped, what is inside."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from pkpd.report import render_report, write_report
from pkpd.report.estimates import population_lines
from pkpd.report.facts import gather, parameter_facts
from pkpd.report.tags import element, number, table, text
from tests.fakes import fake_fit, fake_what_if


class Page(HTMLParser):
    """Visible text in order, open tags checked for balance, addresses collected."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title") and data.strip():
            self.words.append(data.strip())


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Coarse pictures: these tests read the page, not the pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pkpd.plots.files.DPI", 30)
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return write_report(fake_fit(), folder, what_if=fake_what_if(draws=4, subjects=5))


@pytest.fixture(scope="module")
def page(written):
    return written.read_text("utf-8")


@pytest.fixture(scope="module")
def failed():
    fit = fake_fit(converged=False)
    del fit.tree["posterior_predictive"]  # fewer pictures to wait for
    return render_report(fit, what_if=fake_what_if(draws=4, subjects=5))


def section(page: str, identity: str) -> str:
    return re.search(rf'<section id="{identity}">.*?</section>', page, re.S).group(0)


def test_the_verdict_is_the_first_text_of_the_page(page, failed):
    assert Page(page).words[0] == "Converged."
    assert Page(failed).words[0] == "NOT CONVERGED: 3 of 10 parameters."
    assert "<title>NOT CONVERGED · CAR-M first fit" in failed and 'class="banner bad"' in failed


def test_a_headline_that_hides_the_failure_is_made_to_say_it():
    fit = fake_fit(converged=False)
    fit.verdict.headline = "3 parameters are off."
    from pkpd.report.sections import banner

    assert "NOT CONVERGED. 3 parameters are off." in banner(gather(fit))


def test_estimates_are_withheld_without_convergence(failed):
    words = section(failed, "estimates")
    assert "Withheld: this fit has not converged" in words and "<th>rhat</th>" in words
    assert "<th>mean</th>" not in words and "<th>q50</th>" not in words
    for place in ("shrinkage", "what-if"):
        assert "Withheld" in section(failed, place) and "<table>" not in section(failed, place)
    assert failed.index('id="trace_1"') < failed.index('id="individual_fits_car_dna_1"')


def test_estimates_carry_truth_ratio_and_coverage(page):
    words = section(page, "estimates")
    fit = fake_fit()
    mean = fit.summary.set_index("name").loc["k_Bexit", "mean"]
    row = re.search(r"<tr><td>k_Bexit</td>.*?</tr>", words).group(0)
    assert f">{mean:.4g}</td>" in row and ">1/h</td>" in row and ">0.06</td>" in row and ">yes</span>" in row
    assert ">1.003</td>" in row
    assert "0.93 prior-driven" in words
    assert "9 of 9 true values lie inside their 90 % interval; about 8 are expected to." in words


def test_sections_come_in_the_order_of_reading(page):
    found = re.findall(r'<section id="([a-z-]+)">', page)
    assert found == [
        "data",
        "model",
        "prior",
        "estimates",
        "shrinkage",
        "sensitivity",
        "influence",
        "what-if",
        "figures",
        "solver",
        "assumptions",
        "provenance",
    ]
    Page(page)  # tags balance


def test_a_fit_without_a_prior_check_says_so_and_one_with_it_shows_it(page):
    from pkpd import PriorCheck
    from pkpd.inference.prior_findings import COLUMNS
    from pkpd.report.prior import prior_section

    assert "Not checked: this fit was saved without a prior check." in section(page, "prior")
    line = ("cp", "mg/L", "values", 30, 0.5, 6.4, 0.1, 2.0, 9.0, 0.125, 0.0, float("nan"), 3.0, 48.0, float("inf"))
    check = PriorCheck(400, 0.25, 24.0, pd.DataFrame([line], columns=COLUMNS), ("Prior check: CL < V.",))
    fit = fake_fit()
    fit.tree.attrs["prior_check"] = check.to_json()
    words = prior_section(fit)
    assert "<li>Prior check: CL &lt; V.</li>" in words and ">12 %</td>" in words and ">2 days</td>" in words and ">0.5 to 6.4</td>" in words
    assert "25.0 % of the subjects' solves failed" in words.replace("&#x27;", "'")


def test_data_section_counts_censored_rows(page):
    words = section(page, "data")
    assert ">21 (28 %)</td>" in words and "2: 2 subjects, 3: 4 subjects" in words


def test_all_text_is_escaped_and_nothing_comes_from_the_network(page):
    assert "CAR-M first fit &lt;made up&gt;" in page and "<made up>" not in page
    assert all(source.startswith(("data:image/", "#")) for source in Page(page).sources)
    assert "<script" not in page and "http" not in re.sub(r'"data:image/[^"]*"', "", page)


def test_a_script_in_a_diagram_stays_inside_a_picture():
    fit = fake_fit()
    told = json.loads(fit.tree.attrs["report"]) | {"diagram": "<svg><script>alert(1)</script></svg>"}
    fit.tree.attrs["report"] = json.dumps(told)
    from pkpd.report.sections import model_section

    words = model_section(gather(fit))
    assert "<script" not in words and 'src="data:image/svg+xml;base64,' in words


def test_simulated_assumptions_failures_fixed_and_provenance_are_told(page):
    words = " ".join(Page(page).words)
    for told in ("simulated data", "kL > kB, the order of the two exits, is assumed.", "steps exhausted (37)", "k_Ld", "ab" * 32):
        assert told in words
    assert "D1 double: 10e9 cells lies above the largest dose studied (5e9)." in words


def test_files_beside_the_page_have_stable_names_and_nothing_half_written(written):
    names = sorted(p.name for p in (written.parent / "plots").iterdir())
    assert names == sorted(
        [
            "individual_fits_car_dna_1.png",
            "individual_fits_il6_1.png",
            "observed_predicted.png",
            "prior_posterior_1.png",
            "random_effects.png",
            "residuals_individual.png",
            "residuals_population.png",
            "trace_1.png",
            "trace_2.png",
            "vpc_car_dna.png",
            "vpc_il6.png",
            "what_if.png",
        ]
    )
    assert sorted(p.name for p in written.parent.iterdir()) == ["plots", "report.html"]


def test_summary_may_carry_names_in_its_index():
    fit = fake_fit()
    lines = population_lines(fit, gather(fit))
    fit.summary = fit.summary.set_index("name")
    assert population_lines(fit, gather(fit)) == lines


def test_priors_attribute_may_be_text_or_mapping():
    fit = fake_fit()
    fit.tree.attrs["priors"] = json.dumps({"S": "from elsewhere", "sigma_il6": {"prior": "HalfNormal(0.5)", "source": "assumption"}})
    found = parameter_facts(fit)
    assert found["S"]["prior"] == "LogNormal(6, 0.9)"  # report["parameters"] is more specific
    assert found["sigma_il6"]["prior"] == "HalfNormal(0.5)"


def test_tags_escape_and_shorten():
    assert element("a", "x & y", href='"q"') == '<a href="&quot;q&quot;">x &amp; y</a>'
    assert text(pd.NA) == "&lt;NA&gt;"
    assert [number(v) for v in (0.00001234, 12345.678, float("inf"), 0.0)] == ["1.234e-5", "12346", "∞", "0"]
    assert '<td class="number">0.5</td>' in table(("a",), [(0.5,)])
