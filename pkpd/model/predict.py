"""From parameters to predictions: one compiled path for a model and the schedule of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.errors import ModelError, SolveError, choices
from pkpd.events.schedule import Schedule, build_schedule
from pkpd.model.model import Model
from pkpd.solve import Chosen, Events, Solution, Solver, Status, choose


@dataclass(frozen=True, eq=False)
class Predictor:
    """A model bound to a schedule: `predictor(theta)` gives the prediction of every row of the long table.

    `covariates[j, B]` in the order of the model's covariates; `row_observable[r]` the index of the observable of row r.
    """

    model: Model
    schedule: Schedule
    covariates: np.ndarray
    row_observable: np.ndarray
    solver: Solver = Solver()

    @cached_property
    def chosen(self) -> Chosen:
        """The solver picked, with the reason."""
        m = self.model
        p = [m.typical[n] for n in m.param_names]
        q = [c.reference for c in m.covariates]
        with jax.ensure_compile_time_eval():  # the choice is made on numbers, also when asked for the first time while tracing
            return choose(self.solver, m.rhs, self.schedule, (len(m.states), len(p), len(q)), (self._scales(), p, q))

    def _scales(self) -> np.ndarray:
        """A size for each state: the largest dose that enters the model, or its initial value where that is larger."""
        given = self.schedule.amount.sum(0).max(initial=0.0)
        lengths = np.diff(self.schedule.edges, axis=0)[:, None]
        infused = (self.schedule.rate * lengths).sum(0).max(initial=0.0)
        start = np.abs(np.array([float(x) for x in self.model.initial(self.model.typical)]))
        return np.maximum(max(given, infused, 1e-6) * 1e-2, start)

    def __call__(self, theta: Mapping[str, Any]) -> Any:
        """Prediction [rows]; `theta` maps parameters to a number or one value a subject, others stay typical."""
        return self.rows(self.observables(theta)[0])

    def rows(self, table: Any) -> Any:
        s = self.schedule
        return table[s.row_time, self.row_observable, s.row_lane]

    def observables(self, theta: Mapping[str, Any]) -> tuple[Any, Solution]:
        """Every observable at every time of the rectangle [M, observables, B], and the solution."""
        solution, p, q = self.solve(theta)
        y = [solution.y[:, i] for i in range(len(self.model.states))]
        values = self.model.observe(jnp.asarray(self.schedule.times), y, p, q)
        shape = self.schedule.times.shape
        return jnp.stack([jnp.broadcast_to(v, shape) for v in values], 1), solution

    def solve(self, theta: Mapping[str, Any]) -> tuple[Solution, list[Any], list[Any]]:
        named = self._parameters(theta)
        p = [named[n] for n in self.model.param_names]
        q = [jnp.asarray(x) for x in self.covariates]
        n_segments, _, lanes = self.schedule.shape
        q_table = jnp.broadcast_to(jnp.asarray(self.covariates)[:, None], (len(q), n_segments, lanes))
        y0 = jnp.stack([jnp.broadcast_to(v, (lanes,)) for v in self.model.initial(named)])
        times = jnp.asarray(self.schedule.times)
        return self.chosen.solve(self.model.rhs, self._events(named), y0, jnp.stack(p), q_table, times), p, q

    def _parameters(self, theta: Mapping[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(theta) - set(self.model.param_names))
        if unknown:
            raise ModelError(f"{self.model.name} has no parameter '{unknown[0]}'. {choices(unknown[0], self.model.param_names)}")
        lanes = self.schedule.lanes
        merged = {**self.model.typical, **theta}
        for name, value in merged.items():
            if jnp.ndim(value) > 1 or (jnp.ndim(value) == 1 and jnp.shape(value)[0] != lanes):
                raise ModelError(
                    f"Parameter '{name}' has shape {jnp.shape(value)}; give one number, or one for each of the {lanes} subjects."
                )
        return {n: jnp.broadcast_to(jnp.asarray(v, float), (lanes,)) for n, v in merged.items()}

    def _events(self, p: Mapping[str, Any]) -> Events:
        """Doses split over the states of their route by the current parameters."""
        s, names = self.schedule, self.model.state_names
        share = [[jnp.zeros(s.lanes) for _ in s.targets] for _ in names]
        for d, target in enumerate(s.targets):
            for state, weight in self._route(target):
                i = names.index(state)
                share[i][d] = share[i][d] + self.model.share(weight, p)
        if s.targets:
            matrix = jnp.stack([jnp.stack(row) for row in share])
            jump, rate = (jnp.einsum("edb,ndb->enb", table, matrix) for table in (s.amount, s.rate))
        else:
            jump = rate = jnp.zeros((s.shape[0], len(names), s.lanes))
        return Events(jnp.asarray(s.edges), jump, rate, jnp.asarray(s.reset), jnp.asarray(s.segment))

    def _route(self, target: str) -> tuple[tuple[str, str | float], ...]:
        routes = self.model.routes
        if target not in routes:
            raise ModelError(f"{self.model.name} has no dose route '{target}'. {choices(target, routes)}")
        return routes[target]


def predictor(model: Model, cohort: Any, solver: Solver | None = None) -> Predictor:
    """A model bound to a cohort's doses, covariates and observation rows."""
    schedule = build_schedule(cohort.doses, cohort.observations, len(cohort.subjects))
    missing = [n for n in model.covariate_names if n not in cohort.covariates]
    if missing:
        raise ModelError(
            f"{model.name} reads the covariate '{missing[0]}', which {cohort.name} does not carry. {choices(missing[0], list(cohort.covariates))}"
        )
    q = np.array([cohort.covariates[n].to_numpy(float) for n in model.covariate_names]).reshape(len(model.covariates), len(cohort.subjects))
    names = cohort.observations["observable"].tolist()
    unknown = sorted(set(names) - set(model.observable_names))
    if unknown:
        raise ModelError(f"{model.name} has no observable '{unknown[0]}'. {choices(unknown[0], model.observable_names)}")
    which = np.array([model.observable_names.index(n) for n in names], int)
    return Predictor(model, schedule, q, which, solver or Solver())


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
    return predictor(model, cohort, solver)(theta)


def failed_subjects(solution: Solution, subjects: tuple[str, ...]) -> list[tuple[str, str]]:
    """(subject, reason) for each subject whose integration failed."""
    codes = np.asarray(solution.status)
    return [(subjects[i], Status(int(c)).sentence) for i, c in enumerate(codes) if c != Status.OK]


def raise_failures(solution: Solution, subjects: tuple[str, ...]) -> None:
    """Simulation outside jit throws: it names the subjects and the reasons."""
    failed = failed_subjects(solution, subjects)
    if failed:
        listed = "; ".join(f"subject {s}: {r}" for s, r in failed[:5])
        raise SolveError(
            f"{len(failed)} of {len(subjects)} subjects could not be integrated. {listed}. Check their parameters, or raise max_steps."
        )
