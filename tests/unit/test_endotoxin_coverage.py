"""Coverage of another arm of the endotoxin study: counted right on a simulated arm whose law is known, no fit needed; what cannot be read is refused."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pkpd import FitError, Population, Solver, fixed, lognormal_error
from pkpd.models.carm import endotoxin_cytokines
from tests.scripts import loaded


@pytest.fixture(scope="module")
def script(root):
    return loaded(root / "docs" / "validation" / "endotoxin_coverage.py")


@pytest.fixture(scope="module")
def module(script):
    return script.fit_file()


@pytest.fixture(scope="module")
def law(module):
    """A problem whose prior is one population: typical values, gains that vary by 50 %, residual sd 0.3."""
    table = pd.DataFrame({"id": 1, "time_h": 2.0, "analyte": list(module.NAMES), "value": 200.0, "lps_ng_per_kg": 2.0})
    problem = module.problem_of(module.records(table))
    varies = {f"gain_{c}": fixed(endotoxin_cytokines.typical[f"gain_{c}"], between=0.5, source="assumption") for c in module.PANEL}
    quick = Solver(method="tsit5_batched")  # compiles fastest
    return replace(problem, population=Population(**varies), noise=dict.fromkeys(module.PANEL, lognormal_error(0.3)), solver=quick)


TIMES = np.array([-0.5, 0.0, 1.0, 2.0, 4.0, 7.0])


@pytest.fixture(scope="module")
def given(script):
    """1 ng/kg at once and 3 ng/kg over 3 h."""
    return script.dose(1.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def drawn(script, law, given):
    """550 simulated subjects, all of one population: 40 to be an arm, 510 to predict it."""
    return script.predictive(law, given, TIMES, seed=7, draws=110, subjects=5)


@pytest.fixture(scope="module")
def arm(module, drawn):
    """A simulated arm of 40 subjects in the layout of the volunteers' file."""
    names = {v: k for k, v in module.NAMES.items()}
    rows = [(i + 1, t, names[c], y) for c, v in drawn.items() for i in range(40) for t, y in zip(TIMES, v[i], strict=True)]
    return pd.DataFrame(rows, columns=["id", "time_h", "analyte", "value"])


@pytest.fixture
def scored(script, module, law, given, drawn, tmp_path, monkeypatch):
    def of(table):
        monkeypatch.setattr(script, "predictive", lambda *_: {c: v[40:] for c, v in drawn.items()})
        table.to_csv(tmp_path / "arm.csv", index=False)
        return script.of_arm(tmp_path / "arm.csv", law, module, given)

    return of


@pytest.mark.slow
def test_a_right_law_covers_ninety_in_a_hundred_and_a_wrong_one_does_not(script, arm, scored):
    """40 subjects of 24 rows: the error is that by subject, near 0.01, and 4 of it are accepted (one false alarm in 16,000)."""
    table = script.coverage(scored(arm)).set_index("analyte")
    assert list(table.index) == ["tnf", "il6", "il8", "il10", "all"] and (table["subjects"] == 40).all() and table["rows"]["all"] == 960
    assert 0.005 < table["error"]["all"] < 0.03
    assert (np.abs(table["coverage"] - 0.9) < 4 * table["error"]).all()
    # alike without limits, but where a value lies in the gap beside a quantile: two gaps of 510, 3.8 rows of 960 expected, 12 are four sds more
    assert abs(table["coverage"]["all"] - table["by_pit"]["all"]) <= 12 / 960
    wrong = script.coverage(scored(arm.assign(value=2 * arm["value"]))).set_index("analyte")
    assert wrong["coverage"]["all"] < 0.9 - 10 * wrong["error"]["all"] and wrong["above_95"]["all"] > 0.3


@pytest.mark.slow
def test_rows_below_the_limit_are_inside_where_the_interval_reaches_it(script, arm, scored):
    """Of a right law their coverage exceeds 90 %, and the randomised PIT does not."""
    rows = scored(arm.assign(lloq=20.0, value=arm["value"].where(arm["value"] >= 20.0)))
    cut = rows[rows["below"]]
    assert 0.3 < rows["below"].mean() < 0.8 and (cut["inside"] == (cut["low"] < 20.0)).all()
    told = script.coverage(rows).set_index("analyte").loc["all"]
    assert told["coverage"] > 0.92 and abs(told["by_pit"] - 0.9) < 4 * told["by_pit_error"]


def test_the_error_is_that_of_subjects_not_of_rows(script):
    """Two subjects all inside, two all outside: half, with the error of four, 0.577/2, however many rows each has."""
    rows = pd.DataFrame(
        {"id": np.repeat([1, 2, 3, 4], 10), "analyte": "tnf", "inside": np.repeat([True, True, False, False], 10), "pit": 0.5}
    )
    told = script.coverage(rows).set_index("analyte").loc["tnf"]
    assert told["coverage"] == 0.5 and told["error"] == pytest.approx(np.std([1, 1, 0, 0], ddof=1) / 2)


@pytest.mark.slow
def test_the_command_predicts_an_arm_from_its_file(script, module, law, arm, drawn, tmp_path, monkeypatch, capsys):
    """`--arm FILE --bolus 1 --infusion 3 --hours 3` from reading to the table, with draws that are there already instead of a fit."""
    asked = []
    monkeypatch.setattr(script, "fit_file", lambda: module)
    monkeypatch.setattr(script, "fitted", lambda *_: law)
    monkeypatch.setattr(script, "predictive", lambda _, regimen, *__: asked.append(regimen) or {c: v[40:] for c, v in drawn.items()})
    monkeypatch.setenv("PKPD_DATA", str(tmp_path))
    for name in (module.FILE, "arm.csv"):
        arm.to_csv(tmp_path / name, index=False)
    given = ["--bolus", "1", "--infusion", "3", "--hours", "3"]
    monkeypatch.setattr(sys, "argv", ["endotoxin_coverage.py", "--arm", str(tmp_path / "arm.csv"), *given])
    script.main()
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert asked == [script.dose(1.0, 3.0, 3.0)] and sorted(p.name for p in tmp_path.iterdir()) == ["arm.csv", module.FILE]
    assert told[0][:4] == ["analyte", "subjects", "rows", "coverage"] and told[-1][:3] == ["all", "40", "960"]


def test_the_log_density_is_that_of_a_normal(script):
    """Draws at the quantiles of N(0, 1) of the log: with the kernel's width the density is N(0, 1 + width^2); below a limit it is the chance."""
    x = norm.ppf((np.arange(4000) + 0.5) / 4000)
    width = 1.06 * x.std() * 4000**-0.2
    y = np.exp([0.0, 1.0, -2.0])
    found = script.log_density(np.exp(np.tile(x, (3, 1))), y, np.array([False, False, True]))
    wide = norm(0.0, np.hypot(1.0, width))
    assert found == pytest.approx([*wide.logpdf([0.0, 1.0]), norm.logcdf(-2.0)], abs=0.01)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.drop(columns="value"), "lacks the column 'value'"),
        (lambda t: t.assign(analyte="IL-1"), "names the analyte 'IL-1', which is not in the model. Known are TNF, IL-6, IL-8, IL-10"),
        (lambda t: t.assign(value=np.nan), "has 2 rows without a value or a limit, the first of id 1 at 0 h"),
        (
            lambda t: t.assign(regimen="LPS 1 ng/kg bolus, then continuous"),
            "is no bolus alone. Tell the dose by --bolus, --infusion and --hours.",
        ),
        (lambda t: t.drop(columns="lps_ng_per_kg"), "has no column lps_ng_per_kg. Tell the dose by --bolus"),
    ],
)
def test_what_cannot_be_read_is_refused(script, module, tmp_path, change, text):
    table = pd.DataFrame({"id": 1, "time_h": [0.0, 1.0], "analyte": "TNF", "value": [6.0, 80.0], "lps_ng_per_kg": 2.0, "regimen": "bolus"})
    change(table).to_csv(tmp_path / "arm.csv", index=False)
    with pytest.raises(FitError, match=text):
        script.of_arm(tmp_path / "arm.csv", None, module)


def test_no_dose_is_refused(script):
    with pytest.raises(FitError, match=r"are no dose\. Give --bolus, or --infusion with --hours"):
        script.dose(0.0, 3.0, 0.0)
