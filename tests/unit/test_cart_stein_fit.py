"""The CAR-T fit: data that say they are simulated, priors that are those of the generator, every row read."""

import json

import pandas as pd

from pkpd.cli.fitfile import load_problem


def test_the_problem_of_the_simulated_study(root):
    folder = root / "data" / "cart_stein_simulated"
    table, truth = pd.read_csv(folder / "records.csv"), json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    problem = load_problem(root / "fits" / "cart_stein.py")(quick=True)
    assert problem.simulated and "simulated" in problem.title and set(table["LABEL"]) == {"simulated"} and "SIMULATED" in truth["label"]
    assert set(problem.population_sites) == set(truth["values"])
    assert len(problem.rows.dv) == (table["EVID"] == 0).sum() == 384 and (problem.rows.cens == 1).sum() == (table["CENS"] == 1).sum() == 26
    assert problem.cohort.observations["time"].max() == 365 * 24.0
