"""A patient's course from here on: what was given and what will be, at any times, for the draws of the patient's posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from pkpd.approximate.patient import ROWS, PatientPosterior, room_for
from pkpd.approximate.patient_prior import PatientPrior
from pkpd.data import Cohort, read_cohort
from pkpd.errors import DoseError, FitError
from pkpd.events import Regimen
from pkpd.events.plan import LAST, Plan, build_plan
from pkpd.model.moving import MovingPredictor, Records, Sizes, records_of, sizes_of
from pkpd.model.predict import cohort_covariates, first_times

LOOKS = 64


class Course(NamedTuple):
    """The room and the records of a course; `new` [A, 1] is 1 for doses that are still to be given."""

    room: MovingPredictor
    records: Records
    new: Any
    events: Any


def last_record(patient: PatientPosterior) -> float:
    """The time of the patient's last record (h)."""
    return float(patient.cohort.records["TIME"].max())


def refuse_early(patient: PatientPosterior, first: float, what: str, cure: str) -> None:
    """Raise `FitError` for a dose to come at `first` (h) before the last record, or among doses that the records still give."""
    last = last_record(patient)
    if first < last:
        raise FitError(f"{what} at {first:g} h, before the last record at {last:g} h; {cure}, {last:g} h at least.")
    doses = patient.cohort.doses
    still = doses.loc[(doses["k"] > 0) & (doses["time"] > last), "time"].to_numpy(float)
    if len(still) and first <= still.max():
        raise FitError(
            f"{what} at {first:g} h, and the records give additional doses (ADDL) until {still.max():g} h: both would be given. Let the records' ADDL count "
            f"the doses that are given before it alone, or {cure}, later than {still.max():g} h."
        )


def course(patient: PatientPosterior, then: Regimen | None, times: Any, ranks: Any) -> Course:
    """Records of a course, looked at at `times` [T] (h) with `ranks` [T], padded so that other courses of like size share a program."""
    cohort, prior = patient.cohort, patient.prior
    doses, count = cohort.doses, 0
    if then is not None and then.doses:
        more = _doses_to_come(patient, then)
        doses, count = pd.concat([doses.assign(new=False), more.assign(new=True)], ignore_index=True), len(more)
    plan = _plan(prior, cohort, doses.drop(columns="new", errors="ignore"), count, np.asarray(times, float), np.asarray(ranks, float))
    sizes = sizes_of(prior.model, plan, LOOKS * -(-len(times) // LOOKS), ROWS)
    room = _room(prior, sizes, _Held(plan))
    records = records_of(plan, room.targets, sizes)
    flags = doses.sort_values(["subject", "time", "rank"], kind="stable")["new"].to_numpy(bool) if count else np.zeros(0, bool)
    given = flags[(doses.sort_values(["subject", "time", "rank"], kind="stable")["kind"] != "reset").to_numpy()] if count else flags
    new = np.zeros((sizes.doses, 1))
    new[: len(given), 0] = given
    return Course(room, records, new, event_times(plan))


def event_times(plan: Plan) -> np.ndarray:
    """Where doses begin and, where the records say it, end (h)."""
    d = plan.doses
    on = d.target >= 0
    begins = d.time + np.nan_to_num(d.lag)
    with np.errstate(divide="ignore", invalid="ignore"):
        lasts = np.where(d.shape == 1, d.value, np.where(d.shape == 2, d.amount / d.value, 0.0))
    return np.unique(np.concatenate([begins[on], (begins + np.nan_to_num(lasts))[on]]))


def _doses_to_come(patient: PatientPosterior, then: Regimen) -> pd.DataFrame:
    """The regimen as dose lines after those of the records."""
    cohort, model = patient.cohort, patient.prior.model
    refuse_early(patient, then.start, "The regimen to come begins", "move it with .at((..., 'h'))")
    if then.for_model(model).sizes:
        wide = {c: [float(cohort.covariates[c].iloc[0])] for c in ("WT", "BSA") if c in cohort.covariates}
        if not wide:
            raise DoseError(
                "The regimen doses by body size, and the patient's records carry neither WT (kg) nor BSA (m^2). Read them with covariates=['WT']."
            )
        rows = then.to_records(model, subjects=pd.DataFrame(wide))
    else:
        rows = then.to_records(model)
    units = rows.attrs["units"]
    held = {c: float(cohort.covariates[c].iloc[-1]) for c in model.covariate_names}
    look = {
        "ID": rows["ID"].iloc[0],
        "TIME": float(rows["TIME"].max()),
        "EVID": 0,
        "AMT": 0.0,
        "RATE": 0.0,
        "DUR": 0.0,
        "CMT": "",
        "MDV": 1,
    }
    table = pd.concat([rows.assign(MDV=1, RATE=rows["RATE"].where(rows["DUR"] == 0, 0.0)), pd.DataFrame([look])], ignore_index=True).assign(
        **held
    )
    more = read_cohort(table, model, units=units, name="doses to come").doses
    return more.assign(rank=more["rank"] + 1e6, place=more["place"] + len(cohort.records))


def _plan(prior: PatientPrior, cohort: Cohort, doses: pd.DataFrame, new: int, times: np.ndarray, ranks: np.ndarray) -> Plan:
    intervals, by_record = cohort_covariates(prior.model, cohort)
    if by_record is not None and new:
        by_record = np.concatenate([by_record, np.repeat(by_record[:, -1:], new + 1, 1)], 1)  # doses to come have what is known last
    look = pd.DataFrame({"subject": [0], "time": [float(np.max(times))], "rank": [LAST], "place": [-1]})
    plan = build_plan(doses, look, 1, intervals=intervals, late_last=cohort.ties == "observations_first", by_record=by_record)
    end = np.maximum(plan.end, np.max(times))
    start = np.minimum(plan.start, first_times(cohort))
    wide = {"look_time": times[:, None], "look_rank": ranks[:, None], "look_place": np.full((len(times), 1), -1)}
    return replace(plan, **wide, start=start, end=end)


class _Held:
    """A plan that all keys of a cache count as one."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=32)
def _room(prior: PatientPrior, sizes: Sizes, held: _Held) -> MovingPredictor:
    return room_for(prior, sizes, held.plan)


@lru_cache(maxsize=32)
def looked(room: MovingPredictor) -> Callable[..., Any]:
    """`looked(room)(theta, records)`: every observable at every look [T, observables, N], compiled once a room."""
    _ = room.chosen
    return jax.jit(room.observables)
