"""A predictor whose records are arguments gives what the plain one gives: steady states, resets, lags, infusions, covariates that change; and gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from pkpd import (
    Component,
    Covariate,
    Observable,
    Param,
    Population,
    Solver,
    State,
    compose,
    fixed,
    forecast,
    infusion,
    loss,
    patient_prior,
    proportional_error,
    read_cohort,
    simulate,
    total,
)
from pkpd.components import Dose
from pkpd.model import predictor
from pkpd.model.moving import moving, records_of, sizes_of
from pkpd.models.classic import one_compartment_iv, one_compartment_oral_lag, two_compartment_iv
from tests.compiled import compiled

UNITS = {"TIME": "h", "AMT": "mg", "DV": {"cp": "mg/L"}}
scaled = compose(
    "scaled",
    Component(
        "central",
        states=State("central", "mg", "drug"),
        params=(Param("CL", 3.0, "L/h", "clearance", source="test"), Param("V", 20.0, "L", "volume", source="test")),
        covariates=Covariate("WT", "1", "weight in kg", reference=70.0),
        rates=lambda t, y, p, s: total(loss("central", p.CL * (s.WT / 70.0) / p.V * y.central)),
        doses=Dose("iv", into="central"),
    ),
    observables=[Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "concentration")],
)


def table(route: str, *events: dict, looks=(0.5, 3.0, 11.0, 13.0, 26.0, 40.0), **covariates) -> pd.DataFrame:
    """Events and looks in order of time."""
    rows = [{"EVID": 1, "AMT": 0.0, "MDV": 1, "CMT": route, "DVID": "", **e} for e in events]
    rows += [{"TIME": t, "EVID": 0, "AMT": 0.0, "MDV": 0, "CMT": "", "DVID": "cp"} for t in looks]
    found = pd.DataFrame(rows).sort_values("TIME", kind="stable", ignore_index=True)
    zero = {c: found[c].fillna(0) for c in ("SS", "II", "DUR", "RATE", "ADDL") if c in found}
    return found.assign(ID=1, DV=np.where(found["MDV"] == 0, 1.0, np.nan), **zero, **covariates)


FIRST = {"TIME": 0.0, "AMT": 100.0}
CASES = {
    "infusions": (
        two_compartment_iv,
        table("iv", FIRST, {"TIME": 12.0, "AMT": 50.0, "DUR": 2.0}, {"TIME": 20.0, "AMT": 50.0, "RATE": 10.0}),
        1e-12,
    ),
    "steady": (
        one_compartment_iv,
        table("iv", FIRST | {"SS": 1, "II": 12.0}, {"TIME": 12.0, "AMT": 80.0, "DUR": 3.0, "ADDL": 2, "II": 6.0}),
        1e-12,
    ),
    "steady infusion": (one_compartment_iv, table("iv", FIRST | {"SS": 1, "II": 8.0, "DUR": 2.0}), 1e-12),
    "reset": (one_compartment_iv, table("iv", FIRST, {"TIME": 12.0, "EVID": 3}, {"TIME": 20.0, "AMT": 60.0, "EVID": 4}), 1e-12),
    "lag": (one_compartment_oral_lag, table("oral", FIRST, {"TIME": 12.0, "AMT": 70.0, "ADDL": 1, "II": 12.0}), 1e-12),
    "covariate": (scaled, table("iv", FIRST, {"TIME": 12.0, "AMT": 70.0}, WT=[60.0, 60, 60, 60, 80, 80, 80, 95]), 1e-12),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_plain_predictor(name):
    """The same array work in JAX in the place of NumPy: rounding."""
    model, rows, within = CASES[name]
    cohort = read_cohort(rows, model, units=UNITS)
    bound = predictor(model, cohort, Solver())
    room = moving(model, bound.plan, tuple(model.routes), sizes := sizes_of(model, bound.plan, 16), Solver())
    theta = {n: v * np.array([1.0, 1.3]) for n, v in model.typical.items()}
    found = jax.jit(room.observables)(theta, records_of(bound.plan, room.targets, sizes))
    for lane in range(2):
        plain = bound.observables({n: v[lane] for n, v in theta.items()})[0][:, 0, 0]
        assert np.asarray(found[: len(plain), 0, lane]) == pytest.approx(np.asarray(plain), rel=within)


def test_other_records_run_through_the_same_program():
    """Other amounts, times, kinds of dose and looks: nothing is compiled, and the numbers are those of the plain predictor."""
    model = one_compartment_iv
    cohorts = [
        read_cohort(r, model, units=UNITS)
        for r in (table("iv", FIRST), table("iv", FIRST, {"TIME": 7.0, "AMT": 30.0, "DUR": 1.5}, looks=(1.0, 9.0)))
    ]
    plans = [predictor(model, c, Solver()).plan for c in cohorts]
    sizes = sizes_of(model, plans[0], 16)
    assert sizes_of(model, plans[1], 16) == sizes
    room = moving(model, plans[0], tuple(model.routes), sizes, Solver())
    run, theta = jax.jit(room.observables), {"CL": np.array([3.0]), "V": np.array([20.0])}
    run(theta, records_of(plans[0], room.targets, sizes)).block_until_ready()
    seen = []
    assert compiled(lambda: seen.append(run(theta, records_of(plans[1], room.targets, sizes)))) == 0
    plain = predictor(model, cohorts[1], Solver()).observables({"CL": 3.0, "V": 20.0})[0][:, 0, 0]
    assert np.asarray(seen[0][:2, 0, 0]) == pytest.approx(np.asarray(plain), rel=1e-12)


def test_a_program_is_made_for_how_covariates_change_and_late_doses_stand():
    """Sizes, by which programs are kept, tell apart what is part of a program."""
    rows = CASES["covariate"][1]
    plans = [
        predictor(scaled, read_cohort(rows, scaled, units=UNITS, **how), Solver()).plan
        for how in ({}, {"interpolation": {"WT": "locf"}}, {"interpolation": {"WT": "linear"}}, {"ties": "observations_first"})
    ]
    assert len({sizes_of(scaled, p, 16)[6:] for p in plans}) == 4


@pytest.mark.slow
def test_doses_have_gradients():
    """Amount, time and duration of the second dose against differences of fourth order: h = 1e-3, 1e-12 of the fifth derivative and rounding."""
    model, rows, _ = CASES["infusions"]
    bound = predictor(model, read_cohort(rows, model, units=UNITS), Solver())
    room = moving(model, bound.plan, tuple(model.routes), sizes := sizes_of(model, bound.plan, 16), Solver())
    records = records_of(bound.plan, room.targets, sizes)
    theta = {n: np.array([v]) for n, v in model.typical.items()}

    def seen(x, name):
        column = jnp.asarray(records.doses[name], float).at[1, 0].add(x)
        return jnp.sum(room.observables(theta, records._replace(doses=dict(records.doses) | {name: column}))[:6, 0, 0])

    h = 1e-3
    for name in ("amount", "time", "value"):
        run = jax.jit(lambda x, n=name: seen(x, n))
        told = float(jax.jit(jax.grad(run))(0.0))
        f = [float(run(k * h)) for k in (1, -1, 2, -2)]
        assert told == pytest.approx((8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h), rel=1e-7, abs=1e-9)


@pytest.mark.slow
def test_a_forecast_is_the_simulation_of_its_draws():
    """Steady state, an infusion and a covariate that changes behind it, a regimen to come: `simulate` of the whole table with three draws as subjects."""
    rows = table(
        "iv", FIRST | {"SS": 1, "II": 12.0}, {"TIME": 12.0, "AMT": 50.0, "DUR": 2.0}, looks=(3.0, 13.0), WT=[60.0, 60.0, 80.0, 80.0]
    )
    people = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2))
    prior = patient_prior(scaled, population=people, noise={"cp": proportional_error(0.5)})
    seen = forecast(prior, rows, units=UNITS)
    then = infusion((60, "mg"), over=(3, "h")).every((12, "h"), times=2).at((24, "h"))
    times = np.array([14.0, 24.0, 26.0, 30.0, 41.0])
    found = seen.predict(times, then)["cp"].to_numpy()[:3]
    zero = {"SS": 0, "II": 0.0, "DUR": 0.0, "DV": np.nan, "WT": 80.0, "ID": 1}
    more = [zero | {"TIME": t, "EVID": 1, "AMT": 60.0, "MDV": 1, "CMT": "iv", "DVID": "", "DUR": 3.0} for t in (24.0, 36.0)]
    more += [zero | {"TIME": t, "EVID": 0, "AMT": 0.0, "MDV": 1, "CMT": "", "DVID": "cp"} for t in times]
    whole = pd.concat([rows, pd.DataFrame(more)], ignore_index=True).sort_values(
        ["TIME", "EVID"], ascending=[True, False], kind="stable", ignore_index=True
    )
    for k in range(3):
        theta = {n: float(seen.patient.draws[n].iloc[k]) for n in ("CL", "V")}
        told = simulate(scaled, whole, theta, units={"TIME": "h", "AMT": "mg"})
        looks = told[(whole["EVID"] == 0).to_numpy() & np.isin(whole["TIME"], times)]["cp"].to_numpy()
        assert found[k] == pytest.approx(looks, rel=1e-10)
