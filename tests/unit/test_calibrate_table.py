"""The table of a calibration on disk, its verdict in words, its figure, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pkpd import Calibration, FitError, Solver, calibrate, fixed, load_calibration, read_cohort
from pkpd.inference.calibrate_limits import limits
from pkpd.inference.calibrate_program import Replicates
from pkpd.inference.calibrate_table import RankTable, facts, read_ranks
from pkpd.models.classic import one_compartment_iv
from pkpd.plots import plot_calibration, png_bytes
from tests import small


def table(n: int = 100, low: int = 0, ess: float = 120.0, divergences: int = 0) -> pd.DataFrame:
    """Ranks 0 to 99; those of V start at `low`."""
    rng = np.random.default_rng(1)
    cl, v = rng.permutation(np.arange(n) % 100), rng.integers(low, 100, n)
    lines = {"replicate": np.arange(n), "ess": ess, "draws": 200, "divergences": divergences, "steps": 2000, "censored": 3, "redrawn": 0}
    return pd.DataFrame({**lines, "seconds": 1.0, "cpu_seconds": 0.5, "rank_CL": cl, "rank_V": v})


def test_the_verdict_is_a_sentence():
    good = Calibration(table(), 99)
    assert good.calibrated and good.names == ("CL", "V")
    assert good.verdict.startswith("calibrated: ranks of 2 quantities over 100 replicates are uniform (smallest p = ")
    assert good.verdict.endswith("false alarms in 1 % of right programs).")
    bad = Calibration(table(low=40), 99)
    assert not bad.calibrated and bad.p_value < 1e-3
    assert bad.verdict == (
        "NOT calibrated: V ranks are too high (posterior too low), p = 5e-05 (100 replicates, 2 quantities, overall p = 0.0001, "
        "false alarms in 1 % of right programs)."
    )


def test_a_chain_that_never_moved_is_no_evidence():
    lines = table()
    lines.loc[[7, 30], "divergences"] = 200
    found = Calibration(lines, 99)
    assert found.stuck == [7, 30] and not found.calibrated
    assert found.verdict.startswith(
        "NOT calibrated: in 2 of 100 replicates the chain never left the truth (7, 30), and those ranks say nothing; by ranks alone it would be (overall p = "
    )


def test_what_weakens_the_verdict_is_said():
    found = Calibration(table(n=20, ess=12.0, divergences=2), 99).notes
    assert found == [
        "20 replicates find gross errors only.",
        "20 of 20 replicates have fewer than 99 effective draws (least: 12).",
        "1 % of draws diverged.",
    ]


def test_the_table_goes_on_and_stays_whole(tmp_path):
    lines, place = table(5).to_dict("records"), tmp_path / "sbc"
    first = RankTable(place, {"name": "a", "settings": {"ranks": 99}})
    for line in (lines[3], lines[0]):
        first.add(line)
    again = RankTable(place, {"name": "a", "settings": {"ranks": 99}})
    assert again.missing(5) == [1, 2, 4] and sorted(p.name for p in place.iterdir()) == ["facts.json", "ranks.csv"]
    for i in again.missing(5):
        again.add(lines[i])
    pd.testing.assert_frame_equal(read_ranks(place), table(5), check_dtype=False)
    assert load_calibration(place).thinned == 99 and load_calibration(place, 0.05).false_alarm == 0.05


def test_another_calibration_and_other_things_are_refused(tmp_path):
    RankTable(tmp_path / "a", {"name": "a", "settings": {"ranks": 99}})
    with pytest.raises(FitError) as error:
        RankTable(tmp_path / "a", {"name": "a", "settings": {"ranks": 49}})
    assert str(error.value) == (
        f"{tmp_path / 'a'} holds another calibration (settings ranks 99, now 49). Name another folder for this one, or remove that one."
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(
        FitError, match=r"b holds other things and no calibration \(facts.json\); they are left alone. Name another folder."
    ):
        RankTable(tmp_path / "b", {})
    with pytest.raises(FitError, match=r"holds no replicate of a calibration. Make them with 'pkpd calibrate FITFILE --out "):
        load_calibration(tmp_path / "b")


def test_limits_are_those_of_the_row_the_file_or_the_observable():
    table = small.records(2).assign(LLOQ=np.nan, ULOQ=np.nan)
    seen = np.flatnonzero(table["EVID"] == 0)
    table["DV"] = np.where(table["EVID"] == 0, 3.0, np.nan)
    table["CENS"] = 0
    table.loc[seen[0], ["DV", "CENS"]] = [0.5, 1]
    table.loc[seen[1], ["DV", "LLOQ"]] = [3.0, 0.7]
    table.loc[seen[2], ["DV", "CENS"]] = [9.0, -1]
    table.loc[seen[3], "ULOQ"] = 8.0
    problem = replace(small.problem(), cohort=read_cohort(table, model=one_compartment_iv, units=small.UNITS))
    _, lower, upper = limits(problem)
    assert lower.tolist() == [0.5, 0.7, *[0.5] * 10] and upper.tolist() == [9.0, 9.0, 9.0, 8.0, *[9.0] * 8]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(FitError, match=r"calibrate\(ranks=3\): at least 9 is needed."):
        Replicates(ranks=3)
    with pytest.raises(FitError, match=r"calibrate\(most=50\): at least 99 is needed."):
        Replicates(most=50)
    with pytest.raises(FitError, match=r"calibrate\(n=0\): at least 1 replicate is needed; 200 find an error that matters."):
        calibrate(small.problem(), n=0)
    with pytest.raises(FitError, match=r"calibrate\(workers=2\) needs make=, a function that can be pickled"):
        calibrate(small.problem(), workers=2)


def test_the_figure_has_a_panel_a_quantity_and_says_what_is_wrong():
    good, bad = plot_calibration(Calibration(table(), 99)), plot_calibration(Calibration(table(low=40), 99))
    assert [a.get_title(loc="left").split()[0] for a in good.axes] == ["CL", "V"] and png_bytes(good)[:4] == b"\x89PNG"
    words = [t.get_text() for t in bad.texts]
    assert "NOT CALIBRATED" in words and "NOT CALIBRATED" not in [t.get_text() for t in good.texts]
    with pytest.raises(FitError, match=r"This calibration has not ranked 'KA'\."):
        plot_calibration(Calibration(table(), 99), names=("KA",))


def test_the_facts_are_json(tmp_path):
    RankTable(tmp_path / "a", {"name": "a", "settings": {"ranks": 99}})
    assert json.loads((tmp_path / "a" / "facts.json").read_text(encoding="utf-8"))["name"] == "a"


def test_a_folder_knows_what_is_held_fixed_and_how_finely_it_was_solved(tmp_path):
    """Neither is in a list of priors, and both change what is simulated."""
    told = lambda problem: facts(problem, problem, Replicates().as_dict())  # noqa: E731
    before = told(small.problem(population=small.population(V=fixed(20.0, source="a test"))))
    RankTable(tmp_path / "a", before)
    for other, word in (
        (small.problem(population=small.population(V=fixed(25.0, source="a test"))), "population V log; fixed at 20, now log; fixed at 25"),
        (
            small.problem(population=small.population(V=fixed(20.0, source="a test")), solver=Solver(rtol=1e-4)),
            "solver rtol 1e-06, now 0.0001",
        ),
    ):
        with pytest.raises(FitError) as error:
            RankTable(tmp_path / "a", told(other))
        assert word in str(error.value)
