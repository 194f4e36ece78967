"""Agreement with NONMEM's event semantics: scenarios of `mrgsolve/nmtests` (see USERS.md section 4), found through PKPD_DATA.

Lag, F, modelled duration and rate there belong to doses into compartment 2 only. They come in twice: as columns, and as parameters of the route.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd import Component, Dose, Observable, Param, State, compose, flow, loss, simulate, total
from pkpd.solve import Solver
from tests.oracle import Record, System, follow, run_in, solved

SCENARIOS = (1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29)
PARAMETERS = {"CL": 1.1, "V": 20.0, "ka": 1.5}
UNITS = {"TIME": "h", "AMT": "mg"}
COLUMNS = {"ALAG2": "LAGT", "F2": "BIOAV", "D2": "DUR2", "R2": "RAT2"}
WORDS = {"tlag": "LAGT", "bio": "BIOAV", "long": "DUR2", "fast": "RAT2"}
NAMES = {"lag": "tlag", "bioavailability": "bio", "duration": "long", "rate": "fast"}


def oral(**words):
    """One compartment with a depot; `words` say which parameters the doses into the central compartment read."""
    units = {"tlag": "h", "bio": "1", "long": "h", "fast": "mg/h"}
    route = [Param(n, 1.0, units[n], n, source="assumption: test", support="nonnegative") for n in words.values()]
    central = Component(
        "central",
        states=State("central", "mg", "in the central compartment"),
        params=[Param("CL", 1.1, "L/h", "clearance", source="nmtests"), Param("V", 20.0, "L", "volume", source="nmtests"), *route],
        rates=lambda t, y, p, s: total(loss("central", p.CL / p.V * y.central)),
        doses=Dose("central", into="central", **words),
    )
    depot = Component(
        "depot",
        states=State("depot", "mg", "in the depot"),
        params=Param("ka", 1.5, "1/h", "absorption", source="nmtests"),
        reads="central",
        rates=lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot)),
        doses=Dose("depot", into="depot"),
    )
    return compose("nmtests", depot, central, observables=Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma"))


@pytest.fixture(scope="module")
def scenarios(reference_data) -> pd.DataFrame:
    folder = reference_data / "nonmem_events"
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not in the folder PKPD_DATA names")
    records, expected = (pd.read_csv(folder / name) for name in ("records.csv", "expected.csv"))
    return records.merge(expected[["ID", "rec", "cp_nonmem", "use"]], on=["ID", "rec"], validate="one_to_one")


def by_oracle(table: pd.DataFrame, steady) -> np.ndarray:
    """cp of one scenario by matrix exponentials."""
    ka, k = PARAMETERS["ka"], PARAMETERS["CL"] / PARAMETERS["V"]
    given = table.assign(central=table["cmt"] == 2)
    records = [
        Record(r.time, r.evid, r.amt, r.rate, 0.0, r.addl, r.ii, r.ss, r.cmt - 1, lag=r.LAGT * r.central, f=r.BIOAV if r.central else 1.0,
               duration=r.DUR2, speed=r.RAT2)
        for r in given.itertuples()
    ]  # fmt: skip
    return 1000 * follow(records, System([[-ka, 0.0], [ka, -k]]), steady)[:, 1] / PARAMETERS["V"]


def by_columns(table: pd.DataFrame, solver: Solver | None = None) -> np.ndarray:
    records = table.drop(columns=["cp_nonmem", "use", "rec", "MODE"])
    return simulate(oral(), records, PARAMETERS, units=UNITS, columns=COLUMNS, solver=solver)["cp"].to_numpy() * 1000


def by_parameters(table: pd.DataFrame, solver: Solver | None = None) -> np.ndarray:
    records = table.drop(columns=["cp_nonmem", "use", "rec", "MODE", *COLUMNS.values()])
    theta = pd.DataFrame([{"ID": number, **PARAMETERS, **_words(own)} for number, own in table.groupby("ID")])
    return simulate(oral(**NAMES), records, theta, units=UNITS, solver=solver)["cp"].to_numpy() * 1000


def _words(own: pd.DataFrame) -> dict[str, float]:
    """The columns on the scenario's doses into the central compartment, which must be one value each; plain ones without such a dose."""
    doses = own[own["evid"].isin([1, 4]) & (own["cmt"] == 2)]
    if doses.empty:
        return {"tlag": 0.0, "bio": 1.0, "long": 1.0, "fast": 1.0}
    assert (doses[list(WORDS.values())].nunique() == 1).all()
    return {name: float(doses[column].iloc[0]) for name, column in WORDS.items()}


@pytest.fixture(scope="module", params=["columns", "parameters"])
def found(request, scenarios) -> pd.Series:
    """Every scenario as one subject of one cohort."""
    run = {"columns": by_columns, "parameters": by_parameters}[request.param]
    return pd.Series(run(scenarios), index=scenarios.index)


def agrees(found: np.ndarray, table: pd.DataFrame) -> None:
    """NONMEM printed 5 digits: 1e-4 relative, and 1e-3 of the largest value absolute where little is left. Rows that are no observation
    (use = 0) are compared too: they say that a prediction on such a row is the one after it has acted."""
    wanted = table["cp_nonmem"].to_numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3 * wanted.max())
    high = wanted > 0.02 * wanted.max()
    np.testing.assert_allclose(found[high], wanted[high], rtol=1e-4)


def test_these_are_all(scenarios):
    assert tuple(sorted(scenarios["ID"].unique())) == SCENARIOS


@pytest.mark.parametrize("number", SCENARIOS)
def test_predictions_agree_with_nonmem(scenarios, found, number):
    mine = scenarios["ID"] == number
    agrees(found[mine].to_numpy(), scenarios[mine])


@pytest.mark.parametrize("number", SCENARIOS)
def test_predictions_agree_with_the_oracle(scenarios, found, number):
    """To rounding, far below what NONMEM printed."""
    mine = scenarios["ID"] == number
    exact = by_oracle(scenarios[mine], solved)
    np.testing.assert_allclose(found[mine].to_numpy(), exact, rtol=0, atol=1e-10 * exact.max())


@pytest.mark.parametrize("steady", [solved, pytest.param(run_in, marks=pytest.mark.slow)])
def test_the_oracle_agrees_with_nonmem(scenarios, steady):
    """4.8e-5 is half a unit of NONMEM's fifth digit at its worst."""
    for _, table in scenarios.groupby("ID"):
        exact, wanted = by_oracle(table, steady), table["cp_nonmem"].to_numpy()
        agrees(exact, table)
        assert (np.abs(exact - wanted) <= 5e-5 * wanted).all()


@pytest.mark.parametrize("number", [3, 27])
def test_a_reset_or_a_row_before_any_dose_shows_the_initial_state(scenarios, found, number):
    mine = scenarios[scenarios["ID"] == number]
    empty = (mine["cp_nonmem"] == 0).to_numpy()
    assert empty.any() and (found[mine.index].to_numpy()[empty] == 0).all()


def test_lag_and_f_of_a_depot_dose_change_nothing(scenarios):
    """Scenario 27 carries a lag of 10 and an F of 0.61 that belong to compartment 2, which it never doses."""
    one = scenarios[scenarios["ID"] == 27]
    plain = one.drop(columns=["cp_nonmem", "use", "rec", "MODE", *COLUMNS.values()])
    bare = simulate(oral(), plain, PARAMETERS, units=UNITS)["cp"].to_numpy() * 1000
    np.testing.assert_allclose(by_columns(one), bare, rtol=1e-14, atol=0)
