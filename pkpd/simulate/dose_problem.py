"""What a dose is worth: measures of the course, a utility of them, and what must not happen too often; as values, and evaluated exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.patient import ROWS, room_for
from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.events.plan import DURATION, LAST, RATE
from pkpd.model.arm_layout import lay_out
from pkpd.model.moving import MovingPredictor, Records, records_of, sizes_of
from pkpd.simulate.forecast import Forecast
from pkpd.simulate.patient_looks import course
from pkpd.simulate.people import People, as_people
from pkpd.simulate.target import FINE, Target

Utility = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class DoseProblem:
    """For `people`: `utility` of `measures` by name, in `unit`; `limits` says for some of them how often they may lie outside their own limits."""

    people: People
    measures: Mapping[str, Target]
    utility: Utility
    unit: str
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """The last time that is looked at (h)."""
        return max(t.end for t in self.measures.values())

    def failing(self, share: float) -> str:
        """How many have no finite value, in words."""
        return f"{100 * share:.3g} % of the {len(next(iter(self.people.theta.values())))} subjects could not be solved or have no finite utility"


def dose_problem(
    people: People | Forecast, measures: Mapping[str, Target], utility: Utility, *, unit: str, limits: Mapping[str, float] | None = None
) -> DoseProblem:
    """What to maximise: the expectation of `utility(values)`, where values[name] [N] is each subject's measure, in `unit`.

    `limits` are chance constraints: {"peak": 0.05} says that at most 5 % may have a peak outside the limits of measures["peak"]. For a gradient the utility is
    written in jax.numpy and smooth (a sigmoid in the place of a step). `people` may be a `Forecast`: then for one patient, whose doses so far count. Returns a
    `DoseProblem`. Raises `FitError` for limits of measures that are not there or that have none, and shares outside 0 to 1.

    >>> dose_problem(people, {"auc": auc, "peak": peak}, lambda v: jnp.log(v["auc"]), unit="ln mg h/L", limits={"peak": 0.05})   # doctest: +SKIP
    """
    if not measures:
        raise FitError("dose_problem(measures={}): at least one target is measured, as in {'auc': target('auc', ...)}.")
    for name, share in (limits or {}).items():
        if name not in measures:
            raise FitError(f"limits names '{name}', which is no measure. {choices(name, measures)}")
        if not 0 <= share < 1:
            raise FitError(f"limits={{'{name}': {share!r}}}: the share that may lie outside its limits, from 0 to below 1.")
        if not (np.isfinite(measures[name].low) or np.isfinite(measures[name].high)):
            raise FitError(f"limits names '{name}', whose target has no finite limit; give target(..., between=(low, high)).")
    who = as_people(people)
    names = who.prior.model.observable_names
    odd = next((t.observable for t in measures.values() if t.observable not in names), None)
    if odd is not None:
        raise FitError(f"{who.prior.model.name} has no observable '{odd}'. {choices(odd, names)}")
    return DoseProblem(who, dict(measures), utility, unit, dict(limits or {}))


class Given(NamedTuple):
    """A regimen bound to people: room, records, and the places of its doses in them."""

    room: MovingPredictor
    records: Records
    at: np.ndarray


class Doses(NamedTuple):
    """Of the doses that are chosen [n]: amount (model's unit), time (h), duration (h; of those given over a duration)."""

    amount: Any
    time: Any
    duration: Any


def bind(problem: DoseProblem, regimen: Regimen) -> Given:
    """Records of the regimen, behind what a patient had."""
    people = problem.people
    if people.patient is not None:
        path = course(people.patient, regimen, [problem.end], [0.0])
        return Given(path.room, path.records, np.flatnonzero(np.asarray(path.new)[:, 0]))
    prior = people.prior
    table = pd.DataFrame({c: [x] for c, x in people.covariates.items()}, index=[0])
    _, bound = lay_out(prior.model, regimen, np.array([problem.end]), table, "dose", solver=prior.solver)
    plan = replace(bound.plan, look_rank=np.full((1, 1), LAST), look_place=np.full((1, 1), -1), look_time=np.full((1, 1), problem.end))
    sizes = sizes_of(prior.model, plan, 1, ROWS)
    room = room_for(prior, sizes, plan)
    records = records_of(plan, room.targets, sizes)
    return Given(room, records, np.flatnonzero(records.doses["target"][:, 0] >= 0))


def doses_of(given: Given) -> Doses:
    """As the regimen has them."""
    d = {n: np.asarray(x)[given.at, 0] for n, x in given.records.doses.items()}
    return Doses(d["amount"], d["time"], np.where(d["shape"] == DURATION, d["value"], 0.0))


def measured(problem: DoseProblem, given: Given, doses: Doses, theta: Mapping[str, Any], nodes: Any = FINE) -> dict[str, Any]:
    """Each measure of each subject [N] by name; traceable in the doses."""
    columns, at = dict(given.records.doses), given.at
    shape = np.asarray(columns["shape"])[:, 0]
    put = lambda name, x: jnp.asarray(columns[name], float).at[at, 0].set(x)  # noqa: E731
    lasting = jnp.where(shape[at] == DURATION, doses.duration, jnp.asarray(columns["value"])[at, 0])
    columns |= {
        "amount": put("amount", doses.amount),
        "time": put("time", doses.time),
        "record": put("record", doses.time),
        "value": put("value", lasting),
    }
    events = _events(columns, shape)
    looks = [t.looks(events, nodes) for t in problem.measures.values()]
    times, ranks = (jnp.concatenate([x[i] for x in looks]) for i in (0, 1))
    covariates = jnp.repeat(jnp.asarray(given.records.at_looks)[:, :1], len(times), 1)
    records = given.records._replace(doses=columns, looks=jnp.stack([times, ranks])[..., None], at_looks=covariates)
    table, first, found = given.room.observables(theta, records), 0, {}
    for (name, t), (own, _, weights) in zip(problem.measures.items(), looks, strict=True):
        which = given.room.model.observable_names.index(t.observable)
        found[name] = t.value(weights, table[first : first + len(own), which])
        first += len(own)
    return found


def _events(columns: Mapping[str, Any], shape: np.ndarray) -> Any:
    """Where doses begin and end; those that are not there stand at 0."""
    real = np.asarray(columns["target"])[:, 0] >= 0
    begin = columns["time"][:, 0] + jnp.nan_to_num(jnp.asarray(columns["lag"]))[:, 0]
    value = jnp.asarray(columns["value"])[:, 0]
    lasts = jnp.where(
        shape == DURATION, value, jnp.where(shape == RATE, columns["amount"][:, 0] / jnp.where(shape == RATE, value, 1.0), 0.0)
    )
    return jnp.concatenate([begin[real], (begin + jnp.where((shape == DURATION) | (shape == RATE), lasts, 0.0))[real]])


class Worth(NamedTuple):
    """What doses are worth: mean utility of each draw [D] (not finite where a subject's is not), how often each limited measure lies outside its limits, and
    the share of subjects with a measure or utility that is not finite.
    """

    by_draw: Any
    outside: dict[str, Any]
    failed: Any


def worth(problem: DoseProblem, values: Mapping[str, Any], people: People, smooth: Any = None) -> Worth:
    """Of measures [N] by name; with `smooth` a step at a limit is a logistic of that width (relative to the limit)."""
    d, m = people.shape
    weights = jnp.repeat(jnp.asarray(people.weights), m) / m
    own = jnp.broadcast_to(problem.utility(values), (d * m,))
    solved = jnp.all(jnp.stack([jnp.isfinite(x) for x in (own, *values.values())]), 0)
    by_draw = jnp.mean(jnp.where(solved, own, jnp.nan).reshape(d, m), 1)
    outside = {n: jnp.sum(weights * _outside(problem.measures[n], values[n], smooth)) for n in problem.limits}
    return Worth(by_draw, outside, jnp.sum(weights * ~solved))


def _outside(target: Target, value: Any, smooth: Any) -> Any:
    if smooth is None:
        return 1.0 - target.met(value)
    step = 0.0
    for limit, way in ((target.high, 1.0), (target.low, -1.0)):
        if np.isfinite(limit):
            step = step + 1.0 / (1.0 + jnp.exp(-jnp.clip(way * _distance(value, limit) / smooth, -60.0, 60.0)))
    return step


def _distance(value: Any, limit: float) -> Any:
    """ln(value / limit) for a positive limit, else the difference."""
    return jnp.log(jnp.maximum(value, 1e-300) / limit) if limit > 0 else value - limit
