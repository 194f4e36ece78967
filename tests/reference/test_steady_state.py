"""Doses at steady state where no formula helps: saturable elimination, by the root of the one-period map, against many doses written out."""

import jax
import numpy as np
import pandas as pd
import pytest

from pkpd import Component, Dose, Observable, Param, SolveError, Solver, State, compose, flow, loss, predict, read_cohort, simulate, total
from pkpd.solve import native
from tests.oracle import Given, nonlinear, walk

UNITS = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
WHY = "assumption: a test"
VMAX, KM, V = 20.0, 2.0, 30.0

saturable = Component(
    "central",
    states=State("central", "mg", "drug"),
    params=(
        Param("Vmax", VMAX, "mg/h", "largest elimination", WHY),
        Param("Km", KM, "mg/L", "half of it", WHY),
        Param("V", V, "L", "volume", WHY),
    ),
    rates=lambda t, y, p, s: total(loss("central", p.Vmax * y.central / (p.Km * p.V + y.central))),
    doses=Dose("iv", into="central"),
)
model = compose("saturable", saturable, observables=[Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma")])
METHOD = "kvaerno5" if native.available(model.rhs, (1, 3, 0), "rodas4") else "native_rodas4"  # machine code where there is a compiler
PRECISE = Solver(method=METHOD, rtol=1e-10, atol=1e-12)
TIMES = (0.5, 5.0, 11.9)


def table(amount: float, rate: float, ii: float) -> pd.DataFrame:
    rows = [(1, 0.0, 1, amount, rate, 1, ii)] + [(1, t, 0, 0.0, 0.0, 0, 0.0) for t in TIMES]
    return pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "RATE", "SS", "II"]).assign(CMT="iv", DV=1.0)


def test_the_state_is_that_of_a_long_run_in():
    """A bolus, an infusion, and one that overlaps the next: three subjects in one run."""
    cases = [(100.0, 0.0), (100.0, 4.0), (100.0, 18.0)]
    records = pd.concat([table(a, a / d if d else 0.0, 12.0).assign(ID=i) for i, (a, d) in enumerate(cases)])
    found = simulate(model, records, {}, units=UNITS, solver=PRECISE)["cp"].to_numpy().reshape(3, -1)[:, 1:]
    for row, case in zip(found, cases, strict=True):
        np.testing.assert_allclose(row, run_in(*case), rtol=1e-7)


def run_in(amount, duration):
    runs = 30  # what is left of the start after 30 periods is below 1e-12: the slowest rate here is 20 / (2 * 30 + 140) = 0.1 / h
    doses = [Given(12.0 * k, amount, "iv", duration) for k in range(runs + 1)]
    move = nonlinear(lambda t, y: -VMAX * y / (KM * V + y))
    return walk(move, [0.0], {"iv": [1.0]}, doses, [(12.0 * runs + t, 1.0) for t in TIMES])[:, 0] / V


def test_gradients_go_through_the_root():
    cohort = read_cohort(table(100.0, 25.0, 12.0), model, units=UNITS)

    def value(x):
        return predict(model, {"Vmax": VMAX * x[0], "Km": KM * x[1], "V": V * x[2]}, cohort, PRECISE)[1]

    slope, value = jax.jit(jax.grad(value)), jax.jit(value)
    one = np.ones(3)
    found = np.asarray(slope(one))
    for i in range(3):
        step = np.eye(3)[i]
        central = [(value(one + h * step) - value(one - h * step)) / (2 * h) for h in (4e-3, 2e-3)]
        assert found[i] == pytest.approx(float(4 * central[1] - central[0]) / 3, rel=1e-5)


def test_a_dose_faster_than_all_elimination_has_no_steady_state():
    with pytest.raises(SolveError, match="no steady state under that dosing"):
        simulate(model, table(600.0, 50.0, 12.0), {}, units=UNITS, solver=PRECISE)


def test_a_state_that_only_grows_is_named():
    pool = Component(
        "pool",
        states=(State("central", "mg", "drug"), State("lost", "mg", "eliminated so far")),
        params=Param("k", 0.1, "1/h", "elimination", WHY),
        rates=lambda t, y, p, s: total(flow("central", "lost", p.k * y.central)),
        doses=Dose("iv", into="central"),
    )
    grows = compose("grows", pool, observables=[Observable("cp", "mg", lambda y, p, s: y.central, "drug")])
    with pytest.raises(
        SolveError, match=r"nothing to bring it down: lost; write the earlier doses out \(ADDL, II\), or leave it out of the model"
    ):
        simulate(grows, table(100.0, 0.0, 12.0), {}, units={"TIME": "h", "AMT": "mg"})
