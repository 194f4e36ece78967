"""Gradients through events against differences of an exact oracle: `python docs/validation/event_gradients.py`.

Every quantity a dose has (and a rate constant, and a covariate), by every kind of event, by every solver: the gradient of a weighted sum of predictions
by `jax.grad` against central differences, extrapolated once, of matrix exponentials that share no code with pkpd (tests/oracle.py). Each kind of event is
one subject of one cohort, so one reverse pass a solver gives all its cells. Writes event_gradients.csv: relative errors, or why a cell has no meaning.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the oracle is a part of the tests

from pkpd import Component, Covariate, Dose, Observable, Param, Solver, State, compose, flow, loss, read_cohort, total  # noqa: E402
from pkpd.events.schedule import schedule_of  # noqa: E402
from pkpd.model import Predictor, predictor  # noqa: E402
from tests.oracle import Record, System, follow, slope  # noqa: E402

TIGHT = {"rtol": 1e-10, "atol": 1e-12}
SOLVERS = {
    "closed_form": Solver(method="closed_form"),
    "cascade": Solver(method="cascade", mesh_first=0.1, mesh_growth=0.1),
    "kvaerno5": Solver(method="kvaerno5", **TIGHT),
    "tsit5": Solver(method="tsit5", **TIGHT),
}
AT = {"theta": 0.3, "F": 0.7, "lag": 0.8, "rate": 2.5, "duration": 3.0, "dose amount": 6.0, "dose time": 1.0, "covariate": 60.0}
PARAMETERS = {"theta": "k", "F": "bio", "lag": "tlag", "rate": "fast", "duration": "long"}
KA, SHARE = 1.1, 0.6
LOOKS = (0.6, 2.3, 3.1, 4.7, 6.2, 8.9, 12.4)
BOLUS = "a bolus has no rate and no duration"


def _param(name: str, value: float, unit: str) -> Param:
    return Param(name, value, unit, name, source="assumption: example", support="nonnegative")


def _model():
    """Doses split between a depot and the central compartment; weight acts on elimination and on bioavailability."""
    words = [
        _param("tlag", 0.8, "h"),
        _param("bio", 0.7, "1"),
        _param("long", 3.0, "h"),
        _param("fast", 2.5, "mg/h"),
        _param("part", SHARE, "1"),
        _param("w70", 70.0, "kg"),
    ]
    body = Component(
        "body",
        states=(State("depot", "mg", "waiting"), State("central", "mg", "in the body")),
        params=(_param("ka", KA, "1/h"), _param("k", 0.3, "1/h"), *words),
        rates=lambda t, y, p, s: total(
            flow("depot", "central", p.ka * y.depot), loss("central", p.k * (s.WT / p.w70) ** -0.25 * y.central)
        ),
        covariates=Covariate("WT", "kg", "body weight", 70.0),
        doses=Dose(
            "drug",
            into={"depot": "part", "central": "1 - part"},
            lag="tlag",
            bioavailability=lambda p, s: p.bio * s.WT / p.w70,
            duration="long",
            rate="fast",
        ),
    )
    return compose("event_gradients", body, observables=Observable("amount", "mg", lambda y, p, s: y.central, "amount in the body"))


def events(x: Mapping[str, float]) -> dict[str, list[Record]]:
    """Each kind of event at the values x; the first dose is the one whose amount and time vary."""
    t, a = x["dose time"], x["dose amount"]
    common = {"lag": x["lag"], "f": x["F"] * x["covariate"] / 70.0, "duration": x["duration"], "speed": x["rate"]}
    dose = lambda time, amt, evid=1, **more: Record(time, evid, amt, **common, **more)  # noqa: E731
    return {
        "bolus": [dose(t, a), dose(3.0, 2.0)],
        "infusion": [dose(t, a, rate=-2.0), dose(2.0, 4.0, rate=-1.0), dose(4.0, 3.0, rate=1.5)],
        "ADDL": [dose(t, a, rate=-2.0, addl=2, ii=2.5), dose(2.0, 4.0, rate=-1.0, addl=3, ii=1.25)],
        "SS bolus": [dose(t, a, ss=1, ii=2.0, addl=1), dose(4.0, 2.0, ss=2, ii=3.0)],
        "SS infusion": [dose(t, a, rate=-2.0, ss=1, ii=2.0), dose(4.0, 4.0, rate=-1.0, ss=2, ii=1.75)],
        "reset": [
            dose(t, a, rate=-2.0),
            dose(2.5, 5.0, rate=-1.0),
            Record(4.0, 3),
            dose(4.5, 4.0, rate=-1.0),
            dose(7.0, 3.0, 4, rate=-2.0),
        ],
    }


KINDS = tuple(events(AT))
MEANINGLESS = {(kind, quantity): BOLUS for kind in ("bolus", "SS bolus") for quantity in ("rate", "duration")}


def rows(records: list[Record]) -> list[Record]:
    """A row at time zero, the doses and the looks, in order of time."""
    return sorted([Record(0.0, 2), *records, *(Record(t) for t in LOOKS)], key=lambda r: r.time)


def weights(kind: str) -> np.ndarray:
    return np.random.default_rng(KINDS.index(kind)).uniform(0.5, 1.5, len(LOOKS))


# The oracle


def exact(kind: str, x: Mapping[str, float]) -> float:
    """The weighted sum of predictions of one kind of event; a dose into two states is followed as two doses."""
    k = x["theta"] * (x["covariate"] / 70.0) ** -0.25
    system, table = System([[-KA, 0.0], [KA, -k]]), rows(events(x)[kind])
    parts = [follow([replace(r, into=i) for r in table], system)[:, 1] for i in (0, 1)]
    looks = [i for i, r in enumerate(table) if r.evid == 0]
    return float(weights(kind) @ (SHARE * parts[0] + (1 - SHARE) * parts[1])[looks])


def exact_slope(kind: str, quantity: str) -> float:
    return float(slope(lambda v: exact(kind, {**AT, quantity: v}), AT[quantity]))


# pkpd


def frame() -> pd.DataFrame:
    """The kinds of events as subjects of one table."""
    lines = [
        {"ID": kind, "TIME": r.time, "EVID": r.evid, "AMT": r.amt, "RATE": r.rate, "ADDL": r.addl, "II": r.ii, "SS": r.ss}
        | {"CMT": "drug" if r.evid in (1, 4) else "", "WT": AT["covariate"], "DV": 1.0 if r.evid == 0 else np.nan, "MDV": int(r.evid != 0)}
        for kind, records in events(AT).items()
        for r in rows(records)
    ]
    return pd.DataFrame(lines)


def bind(solver: Solver) -> Predictor:
    units = {"TIME": "h", "AMT": "mg", "DV": "mg"}
    model = _model()
    return predictor(model, read_cohort(frame(), model, units=units), solver)


def at(bound: Predictor, x: Mapping[str, Any]) -> Any:
    """Predictions [rows] at quantities x, each one value a subject: parameters as parameters, the others written into the plan."""
    d, plan = bound.plan.doses, bound.plan
    first = (d.target >= 0) & (d.row == np.where(d.target >= 0, d.row, np.inf).min(0))
    amount = jnp.where(first, x["dose amount"], d.amount)
    time = d.time + jnp.where(first, x["dose time"] - AT["dose time"], 0.0)
    wt = lambda shape: jnp.broadcast_to(x["covariate"], (1, *shape))  # noqa: E731
    weight = _changed(plan.intervals, value=wt(plan.intervals.value.shape[1:]))
    moved = _changed(plan, doses=_changed(d, amount=amount, time=time), intervals=weight)
    return _with_plan(bound, moved, wt)({PARAMETERS[n]: v for n, v in x.items() if n in PARAMETERS})


def _changed(thing: Any, **values: Any) -> Any:
    """A copy with other values; traced ones pass, which the declared types (plain arrays) do not allow."""
    new = copy.copy(thing)
    new.__dict__.update(values)
    return new


def _with_plan(bound: Predictor, plan: Any, wt: Any) -> Predictor:
    """The predictor with a plan that holds traced numbers; whatever is worked out from plain numbers is taken from the one it was bound to."""
    numbers = bound.doses.given({n: np.asarray(v) for n, v in bound.model.typical.items()}, np)
    schedule = schedule_of(bound.plan, type(numbers)(*(np.asarray(v) for v in numbers)), moves=True)
    known = {"reads": bound.doses.reads, "schedule": schedule, "moves": True}
    doses = _changed(bound.doses, plan=plan, at_doses=wt(bound.plan.doses.time.shape), **known)
    return _changed(bound, plan=plan, doses=doses, schedule=schedule, chosen=bound.chosen, look_covariates=wt(bound.plan.look_time.shape))


def found_slopes(solver: Solver) -> tuple[pd.DataFrame, pd.Series]:
    """Gradients, kinds by quantities, and the weighted sums themselves."""
    bound = bind(solver)
    lane = bound.schedule.row_lane
    w = np.concatenate([weights(kind) for kind in KINDS])
    sums = lambda x: jax.ops.segment_sum(w * at(bound, x), lane, len(KINDS))  # noqa: E731
    x = {n: jnp.full(len(KINDS), v) for n, v in AT.items()}
    value, slopes = jax.jit(lambda x: (sums(x), jax.grad(lambda x: sums(x).sum())(x)))(x)
    return pd.DataFrame({n: np.asarray(s) for n, s in slopes.items()}, index=list(KINDS)), pd.Series(np.asarray(value), index=list(KINDS))


def compare(name: str) -> pd.DataFrame:
    """One solver's cells: kind, quantity, gradient, difference, relative error, or why there is none."""
    slopes, values = found_slopes(SOLVERS[name])
    lines = []
    for kind in KINDS:
        wanted = exact(kind, AT)
        lines.append(
            {
                "solver": name,
                "event": kind,
                "quantity": "value",
                "found": values[kind],
                "exact": wanted,
                "error": abs(values[kind] / wanted - 1),
            }
        )
        for quantity in AT:
            line = {"solver": name, "event": kind, "quantity": quantity, "found": slopes.loc[kind, quantity], "note": ""}
            if (kind, quantity) in MEANINGLESS:
                lines.append(line | {"note": f"not applicable: {MEANINGLESS[kind, quantity]}"})
                continue
            wanted = exact_slope(kind, quantity)
            lines.append(line | {"exact": wanted, "error": abs(line["found"] - wanted) / abs(wanted)})
    return pd.DataFrame(lines)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    table = pd.concat([compare(name) for name in SOLVERS], ignore_index=True)
    table.to_csv(Path(__file__).resolve().with_suffix(".csv"), index=False, float_format="%.10g")
    shown = table.assign(cell=table["error"].map("{:.1e}".format).where(table["error"].notna(), "-"))
    sys.stdout.write(shown.pivot(index=["solver", "event"], columns="quantity", values="cell")[["value", *AT]].to_string() + "\n")
    sys.stdout.write(f"largest error: {table['error'].max():.2g}\n")


if __name__ == "__main__":
    main()
