"""The CAR-T fit: data that say they are simulated, priors that are those of the generator, every row read."""

import json

import pandas as pd
import pytest

from pkpd.cli.fitfile import load_problem


def test_the_problem_of_the_simulated_study(root):
    folder = root / "data" / "cart_stein_simulated"
    table, truth = pd.read_csv(folder / "records.csv"), json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    problem = load_problem(root / "fits" / "cart_stein.py")(quick=True)
    assert problem.simulated and "simulated" in problem.title and set(table["LABEL"]) == {"simulated"} and "SIMULATED" in truth["label"]
    assert set(problem.population_sites) == set(truth["values"])
    assert len(problem.rows.dv) == (table["EVID"] == 0).sum() == 384 and (problem.rows.cens == 1).sum() == (table["CENS"] == 1).sum() == 26
    assert problem.cohort.observations["time"].max() == 365 * 24.0


def test_the_omegas_and_sigma_are_set_at_the_centres_of_their_priors_and_it_is_said(root):
    """Transcribed values (SCIENCE.md, M6). The median of half-normal(s) is 0.6745 s, its mean s sqrt(2/pi)."""
    problem = load_problem(root / "fits" / "cart_stein.py")(quick=True)
    truth = json.loads((root / "data" / "cart_stein_simulated" / "truth.json").read_text(encoding="utf-8"))["values"]
    spread = {"foldx": 2.4, "Tmax": 0.38, "Cmax": 0.65, "alpha": 0.91, "FB": 0.80}
    assert {n: truth[f"omega_{n}"] for n in spread} == spread and truth["sigma_car_dna"] == 0.56
    for name, omega in spread.items():
        assert problem.population.parameters[name].between.icdf(0.5) == pytest.approx(1.01 * omega, rel=0.01)
    assert float(problem.noise["car_dna"].priors[0][1].mean) == pytest.approx(0.56, rel=1e-6)
    assert any("the centres of their priors: not drawn" in a for a in problem.assumptions)
    readme = (root / "data" / "cart_stein_simulated" / "README.md").read_text(encoding="utf-8")
    assert "**set, not drawn**" in readme and "were **set**" in (root / "docs" / "fits" / "cart_stein.md").read_text(encoding="utf-8")
