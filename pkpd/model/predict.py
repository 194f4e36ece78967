"""From parameters to predictions: one compiled path for a model and the schedule of a cohort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from pkpd.errors import ModelError, SolveError, choices
from pkpd.events.buckets import buckets, lane_sizes, part_of
from pkpd.events.intervals import Intervals, build_intervals
from pkpd.events.layout import Layout
from pkpd.events.plan import Plan, build_plan
from pkpd.events.schedule import Schedule
from pkpd.model.administer import Administered, on_records
from pkpd.model.model import Model
from pkpd.model.steady import FAULTS, growing_states, line_rhs, place_steady, refuse_steady, segment_covariates, steady_states
from pkpd.model.varying import check_cohort
from pkpd.solve import Chosen, Events, Solution, Solver, Status, choose
from pkpd.solve.general import finish_from
from pkpd.solve.stiffness import Stiffness, measure

LATE_LAST = "observations_first"


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model bound to a plan: `predictor(theta)` gives the prediction of every row of the long table.

    `row_observable[r]` is the index of the observable of row r; `free` names the parameters that may differ from the values in `at`, or else their
    typical ones (None: all). What depends on no free parameter is laid out once.
    """

    model: Model
    plan: Plan
    row_observable: np.ndarray
    solver: Solver = Solver()
    free: frozenset[str] | None = None
    at: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False

    @cached_property
    def doses(self) -> Administered:
        """The plan's doses under the model's routes."""
        return Administered(
            self.model, self.plan, frozenset(self.model.param_names) if self.free is None else self.free, self.at, self.strict
        )

    @cached_property
    def schedule(self) -> Schedule:
        """The segments at typical values."""
        return self.doses.schedule

    @cached_property
    def chosen(self) -> Chosen:
        """The solver picked, with the reason (of the largest subjects, where they are taken in groups)."""
        if self.parts:
            return self.parts[-1][1].chosen
        m = self.model
        p, q = [m.typical[n] for n in m.param_names], [c.reference for c in m.covariates]
        q += [0.0, 0.0] * sum(self.plan.intervals.linear)
        with jax.ensure_compile_time_eval():  # the choice is made on numbers, also when asked for the first time while tracing
            sizes = (len(m.states), len(p), len(q))
            chosen = choose(self.solver, self.rhs, self.schedule, sizes, (self.scales(), p, q), lambda: self._stiffness(p, q))
            refuse_steady(m, self.schedule, chosen)
            return chosen

    def _stiffness(self, p: Sequence[float], q: Sequence[float]) -> Stiffness:
        """Measured at typical values along the course of the subject who is followed longest; a steady state before it is left out."""
        s, m = self.schedule, self.model
        lane = int(np.argmax(s.edges[-1] - s.edges[0]))
        into = np.zeros((len(m.states), len(self.plan.targets)))
        for d, target in enumerate(self.plan.targets):
            for state, weight in m.routes[target]:
                into[m.state_names.index(state), d] += float(m.share(weight, m.typical))
        jump, rate = (table[:, :, lane] @ into.T for table in (s.amount, s.rate))
        return measure(self.rhs, s.edges[:, lane], jump, rate, [float(x) for x in m.initial(m.typical)], p, q)

    @property
    def rhs(self) -> Any:
        """The model's rates; where a covariate is a straight line in time, with its slope and origin as further covariates."""
        return line_rhs(self.model, self.plan.intervals.linear) if any(self.plan.intervals.linear) else self.model.rhs

    def scales(self) -> np.ndarray:
        """A size for each state: the largest dose that enters the model, or its initial value where that is larger."""
        given = self.schedule.amount.sum(0).max(initial=0.0)
        lengths = np.diff(self.schedule.edges, axis=0)[:, None]
        infused = (self.schedule.rate * lengths).sum(0).max(initial=0.0)
        steady = self.schedule.steady
        again = 0.0 if steady is None else max(np.max(steady.jump), np.max(steady.rate * steady.period))
        start = np.abs(np.array([float(x) for x in self.model.initial(self.model.typical)]))
        return np.maximum(max(given, infused, again, 1e-6) * 1e-2, start)

    def __call__(self, theta: Mapping[str, Any]) -> Any:
        """Prediction [rows]; `theta` maps parameters to a number or one value a subject, others stay typical."""
        return self.rows(self.observables(theta)[0])

    def rows(self, table: Any) -> Any:
        return table[self.plan.row_time, self.row_observable, self.plan.row_lane]

    @cached_property
    def look_covariates(self) -> Any:
        """Covariates at each look [j, M, B]: those of its own record, else those of its time."""
        return on_records(self.plan, self.plan.look_time, self.plan.look_place)

    def observables(self, theta: Mapping[str, Any]) -> tuple[Any, Solution]:
        """Every observable at every time of the rectangle [M, observables, B], and the solution."""
        solution, p = self.solve(theta)
        y = [solution.y[:, i] for i in range(len(self.model.states))]
        values = self.model.observe(jnp.asarray(self.plan.look_time), y, p, list(jnp.asarray(self.look_covariates)))
        shape = self.plan.look_time.shape
        return jnp.stack([jnp.broadcast_to(v, shape) for v in values], 1), solution

    @cached_property
    def parts(self) -> tuple[tuple[np.ndarray, Predictor], ...]:
        """Subjects of like size together (lanes, and a predictor of them), so that one long subject does not make all others as long."""
        groups = buckets(lane_sizes(self.plan))
        if len(groups) == 1:
            return ()
        own = lambda lanes: {n: np.asarray(v)[lanes] if np.ndim(v) else v for n, v in self.at.items()}  # noqa: E731
        return tuple(
            (lanes, replace(self, plan=part_of(self.plan, lanes), row_observable=self.row_observable[:0], at=own(lanes)))
            for lanes in groups
        )

    def solve(self, theta: Mapping[str, Any]) -> tuple[Solution, list[Any]]:
        """The solution at every look, and the parameters [k, B]."""
        named = self.named(theta)
        p = [named[n] for n in self.model.param_names]
        if not self.parts:
            return self._solve(named), p
        solutions = [part._solve({n: v[lanes] for n, v in named.items()}) for lanes, part in self.parts]
        return gathered(solutions, [lanes for lanes, _ in self.parts], len(self.plan.look_time)), p

    def _solve(self, named: dict[str, Any]) -> Solution:
        p = jnp.stack([named[n] for n in self.model.param_names]) if named else jnp.zeros((0, self.plan.lanes))
        layout, lanes = self.doses.layout(named), self.plan.lanes
        q = segment_covariates(self.plan.intervals, layout)
        events, status = self._events(layout, named, p)
        y0 = jnp.stack([jnp.broadcast_to(v, (lanes,)) for v in self.model.initial(named)])
        solution = self.chosen.solve(self.rhs, events, y0, p, q, jnp.asarray(self.plan.look_time))
        worse = jnp.where(status > 0, status, solution.status)
        return finish_from((p,), solution.y, worse, solution.steps)

    def named(self, theta: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter [B]: those of `theta`, the others typical."""
        unknown = sorted(set(theta) - set(self.model.param_names))
        if unknown:
            raise ModelError(f"{self.model.name} has no parameter '{unknown[0]}'. {choices(unknown[0], self.model.param_names)}")
        lanes = self.plan.lanes
        merged = {**self.model.typical, **theta}
        for name, value in merged.items():
            if jnp.ndim(value) > 1 or (jnp.ndim(value) == 1 and jnp.shape(value)[0] != lanes):
                raise ModelError(
                    f"Parameter '{name}' has shape {jnp.shape(value)}; give one number, or one for each of the {lanes} subjects."
                )
        return {n: jnp.broadcast_to(jnp.asarray(v, float), (lanes,)) for n, v in merged.items()}

    def _shares(self, p: Mapping[str, Any]) -> Any:
        """What part of a target's amount each state receives [n, D, B]."""
        names, lanes = self.model.state_names, self.plan.lanes
        share = [[jnp.zeros(lanes) for _ in self.plan.targets] for _ in names]
        scale = self.doses.scale(p)
        for d, target in enumerate(self.plan.targets):
            for state, weight in self.model.routes[target]:
                i = names.index(state)
                share[i][d] = share[i][d] + self.model.share(weight, p) * scale[d]
        return jnp.stack([jnp.stack(row) for row in share])

    def _steady_covariates(self) -> Any:
        """Covariates at steady-state records; straight lines are flat there."""
        own = self.doses.at_steady
        flat = np.zeros((2 * sum(self.plan.intervals.linear), *own.shape[1:]))
        return jnp.concatenate([jnp.asarray(own), jnp.asarray(flat)])

    def _events(self, layout: Layout, named: Mapping[str, Any], p: Any) -> tuple[Events, Any]:
        """Doses split over the states of their route by the current parameters, steady states added; and what went wrong [B]."""
        n, segments = len(self.model.states), layout.reset.shape[0]
        fault = jnp.asarray(FAULTS)[jnp.maximum(layout.fault, self.doses.scale_fault(named))]
        jump = rate = jnp.zeros((segments, n, self.plan.lanes))
        if self.plan.targets:
            shares = self._shares(named)
            jump, rate = (jnp.einsum("edb,ndb->enb", jnp.asarray(table), shares) for table in (layout.amount, layout.rate))
            if layout.steady is not None:
                q = self._steady_covariates()
                added, status = steady_states(self.chosen.periodic, self.rhs, layout.steady, shares, p, q)
                jump, fault = place_steady(jump, layout.steady, added), jnp.where(fault > 0, fault, status)
        tables = (layout.edges, jump, rate, layout.reset, layout.segment, layout.clear)
        return Events(*(jnp.asarray(x) for x in tables)), fault


def predictor(
    model: Model,
    cohort: Any,
    solver: Solver | None = None,
    free: Iterable[str] | None = None,
    at: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> Predictor:
    """A model bound to a cohort's doses, covariates and observation rows; `free` are the parameters that will be varied (None: all), `at` the values
    of others (else: typical). With `strict`, a subject fails whose free lag moves a dose across a reset or steady-state record.
    """
    missing = [n for n in model.covariate_names if n not in cohort.covariates]
    if missing:
        raise ModelError(
            f"{model.name} reads the covariate '{missing[0]}', which {cohort.name} does not carry. {choices(missing[0], list(cohort.covariates))}"
        )
    empty = [n for n in model.covariate_names if cohort.covariates[n].isna().any()]
    if empty:
        first = cohort.subjects[int(np.flatnonzero(cohort.covariates[empty[0]].isna())[0])]
        raise ModelError(
            f"{model.name} reads the covariate '{empty[0]}', which is missing in subject {first}. Fill it in, or leave the subject out."
        )
    check_cohort(model, cohort)
    names = cohort.observations["observable"].tolist()
    unknown = sorted(set(names) - set(model.observable_names))
    if unknown:
        raise ModelError(f"{model.name} has no observable '{unknown[0]}'. {choices(unknown[0], model.observable_names)}")
    which = np.array([model.observable_names.index(n) for n in names], int)
    intervals, by_record = cohort_covariates(model, cohort)
    plan = build_plan(
        cohort.doses,
        cohort.observations,
        len(cohort.subjects),
        intervals=intervals,
        late_last=cohort.ties == LATE_LAST,
        by_record=by_record,
    )
    plan = replace(plan, start=np.minimum(plan.start, first_times(cohort)))
    return Predictor(model, plan, which, solver or Solver(), None if free is None else frozenset(free), at or {}, strict)


def first_times(cohort: Any) -> np.ndarray:
    """When each subject's clock starts (h): its first record, whatever that does."""
    if not hasattr(cohort, "records"):
        return np.full(len(cohort.subjects), np.inf)
    return cohort.records.groupby("subject")["TIME"].min().reindex(range(len(cohort.subjects))).fillna(np.inf).to_numpy(float)


def cohort_covariates(model: Model, cohort: Any) -> tuple[Intervals, np.ndarray | None]:
    """The covariates a model reads, over time (by the cohort's rules of interpolation), and on each record [j, records] where any changes."""
    names, records = model.covariate_names, cohort.covariate_records
    q = np.array([cohort.covariates[n].to_numpy(float) for n in names]).reshape(len(names), len(cohort.subjects))
    intervals = build_intervals(q, records, names, cohort.interpolation)
    if records is None or not any(n in records.columns for n in names):
        return intervals, None
    subject = records["subject"].to_numpy(int)
    return intervals, np.stack([records[n].to_numpy(float) if n in records.columns else q[j, subject] for j, n in enumerate(names)])


def gathered(solutions: Sequence[Solution], lanes: Sequence[np.ndarray], looks: int) -> Solution:
    """Solutions of groups of subjects as one, in the order of the subjects; a group with fewer looks repeats its last."""
    back = np.argsort(np.concatenate(lanes))
    full = [s.y[np.minimum(np.arange(looks), s.y.shape[0] - 1)] for s in solutions]
    join = lambda parts: jnp.concatenate(parts, -1)[..., back]  # noqa: E731
    return Solution(join(full), join([s.status for s in solutions]), join([s.steps for s in solutions]))


def predict(model: Model, theta: Mapping[str, Any], cohort: Any, solver: Solver | None = None) -> Any:
    """The model's prediction for every row of `cohort.observations`, in the unit of each row's observable.

    `theta` maps parameter names to one number or one value a subject [N]; parameters not named stay at the model's typical value.
    Differentiable and jit-able in `theta`; a subject whose integration fails is NaN in value and gradient.
    Raises `ModelError` for a name or a shape that does not fit.

    >>> import pandas as pd
    >>> from pkpd.data import read_cohort
    >>> from pkpd.models.classic import one_compartment_iv
    >>> rows = pd.DataFrame({"ID": 1, "TIME [h]": [0, 10], "AMT [mg]": [320, 0], "DV [mg/L]": [None, 4.0]})
    >>> concentrations = predict(one_compartment_iv, {"CL": 3.2}, read_cohort(rows, one_compartment_iv))  # 10 exp(-1)
    >>> [f"{c:.4f}" for c in concentrations]
    ['3.6788']
    """
    numbers = {n: v for n, v in theta.items() if not isinstance(v, Tracer)}
    return predictor(model, cohort, solver, free=theta, at=numbers)(theta)


def failed_subjects(solution: Solution, subjects: Sequence[str]) -> list[tuple[str, str]]:
    """(subject, reason) for each subject whose integration failed."""
    codes = np.asarray(solution.status)
    return [(subjects[i], Status(int(c)).sentence) for i, c in enumerate(codes) if c != Status.OK]


def raise_failures(bound: Predictor, solution: Solution, subjects: Sequence[str]) -> None:
    """Simulation outside jit throws: it names the subjects and the reasons."""
    failed = failed_subjects(solution, subjects)
    if failed:
        listed = "; ".join(f"subject {s}: {r}" for s, r in failed[:5])
        codes = set(np.asarray(solution.status).tolist())
        growing = growing_states(bound.model, bound.at, bound.scales()) if Status.NO_STEADY_STATE in codes else []
        cures = "write the earlier doses out (ADDL, II), or leave it out of the model"
        what = f" What has nothing to bring it down: {', '.join(growing)}; {cures}." if growing else ""
        dosed = codes <= {Status.OK, Status.NO_STEADY_STATE, Status.BAD_DOSE, Status.LAG_BEYOND_INTERVAL, Status.OVERLAP, Status.CROSSED}
        cure = "Check their parameters and doses." if dosed else "Check their parameters, or raise max_steps."
        raise SolveError(f"{len(failed)} of {len(subjects)} subjects could not be integrated. {listed}.{what} {cure}")
