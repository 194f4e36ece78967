"""Coverage of another arm of the endotoxin study: counted right on a simulated arm whose law is known, no fit needed; what cannot be read is refused."""

import importlib.util
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pkpd import FitError, Population, fixed, lognormal_error
from pkpd.models.carm import endotoxin_cytokines


@pytest.fixture(scope="module")
def script(root):
    spec = importlib.util.spec_from_file_location("endotoxin_coverage", root / "docs" / "validation" / "endotoxin_coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def module(script):
    return script.fit_file()


@pytest.fixture(scope="module")
def law(module):
    """A problem whose prior is one population: typical values, gains that vary by 50 %, residual sd 0.3."""
    table = pd.DataFrame({"id": 1, "time_h": 2.0, "analyte": list(module.NAMES), "value": 200.0, "lps_ng_per_kg": 2.0})
    problem = module.problem_of(module.records(table))
    varies = {f"gain_{c}": fixed(endotoxin_cytokines.typical[f"gain_{c}"], between=0.5, source="assumption") for c in module.PANEL}
    return replace(problem, population=Population(**varies), noise=dict.fromkeys(module.PANEL, lognormal_error(0.3)))


def simulated(script, module, law, path, subjects=40, lloq=None, scale=1.0):
    """A simulated arm: 1 ng/kg at once and 3 ng/kg over 3 h, in the layout of the volunteers' file."""
    times = np.array([-0.5, 0.0, 1.0, 2.0, 4.0, 7.0])
    drawn = script.predictive(law, script.dose(1.0, 3.0, 3.0), times, seed=7, draws=subjects, subjects=1)
    analyte = {v: k for k, v in module.NAMES.items()}
    rows = [
        (i + 1, t, analyte[c], scale * y)
        for c, values in drawn.items()
        for i in range(subjects)
        for t, y in zip(times, values[i], strict=True)
    ]
    table = pd.DataFrame(rows, columns=["id", "time_h", "analyte", "value"])
    if lloq is not None:
        table = table.assign(lloq=lloq, value=table["value"].where(table["value"] >= lloq))
    table.to_csv(path, index=False)
    return path


def test_a_right_law_covers_ninety_in_a_hundred_and_a_wrong_one_does_not(script, module, law, tmp_path):
    """40 subjects of 24 rows: the error is that by subject, near 0.01, and 4 of it are accepted (one false alarm in 16,000)."""
    given = script.dose(1.0, 3.0, 3.0)
    table = script.coverage(script.of_arm(simulated(script, module, law, tmp_path / "arm.csv"), law, module, given)).set_index("analyte")
    assert list(table.index) == ["tnf", "il6", "il8", "il10", "all"] and (table["subjects"] == 40).all() and table["rows"]["all"] == 960
    assert 0.005 < table["error"]["all"] < 0.03
    assert (np.abs(table["coverage"] - 0.9) < 4 * table["error"]).all()
    assert (table["coverage"] == table["by_pit"]).all()  # no row below a limit: up to ties at a quantile, of which there are none
    wrong = script.coverage(script.of_arm(simulated(script, module, law, tmp_path / "wrong.csv", scale=2.0), law, module, given)).set_index(
        "analyte"
    )
    assert wrong["coverage"]["all"] < 0.9 - 10 * wrong["error"]["all"] and wrong["above_95"]["all"] > 0.3


def test_rows_below_the_limit_are_inside_where_the_interval_reaches_it(script, module, law, tmp_path):
    """Of a right law their coverage exceeds 90 %, and the randomised PIT does not."""
    path = simulated(script, module, law, tmp_path / "cut.csv", lloq=20.0)
    rows = script.of_arm(path, law, module, script.dose(1.0, 3.0, 3.0))
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
