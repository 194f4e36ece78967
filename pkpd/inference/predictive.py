"""From draws to predictions: individual, typical and new-subject, at the measured rows and on dense curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro import handlers

from pkpd.events.intervals import Intervals
from pkpd.events.plan import build_plan
from pkpd.inference.cohort_model import measurement, sds_from
from pkpd.inference.problem import FitProblem
from pkpd.model import Predictor
from pkpd.population.mixture import drawn_kind, settled
from pkpd.population.shrink import of_subjects
from pkpd.solve.devices import Devices, over_devices


@dataclass(frozen=True, eq=False)
class Predictive:
    """Predictions of a fit problem under values of its sites; `weights` are the centring weights the values were drawn with."""

    problem: FitProblem
    weights: Mapping[str, Any]

    def individual(self, sites: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of the cohort's own subjects; with subpopulations of the kinds in `sites["subpopulation"]`."""
        return settled(self.all_kinds(sites), sites.get("subpopulation"))

    def all_kinds(self, sites: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of the cohort's own subjects; with subpopulations in every kind."""
        return self._draw(sites, jax.random.PRNGKey(0), self.problem.covariates, len(self.problem.cohort.subjects), self.weights)

    def new(self, sites: Mapping[str, Any], key: Any, covariates: Mapping[str, np.ndarray], n: int) -> dict[str, Any]:
        """Parameters of n new subjects: population values from `sites`, random effects and kinds drawn; a level that was fitted keeps its deviation."""
        fitted = {f"raw_across_{n}" for n in self.problem.population.levels}
        population = {k: v for k, v in sites.items() if not of_subjects(k) or k in fitted}
        return drawn_kind(self._draw(population, key, covariates, n, {}), jax.random.fold_in(key, 1), n)

    def typical(self, sites: Mapping[str, Any], covariates: Mapping[str, np.ndarray] | None = None) -> dict[str, Any]:
        """Parameters of a typical subject with each subject's covariates, of the subject's kind (of the first for other subjects)."""
        own = self.problem.covariates if covariates is None else covariates
        kind = sites.get("subpopulation") if covariates is None else 1
        return settled(self.problem.population.typical(sites, {**own, **self.problem.levels}), kind)

    def _draw(
        self, sites: Mapping[str, Any], key: Any, covariates: Mapping[str, np.ndarray], n: int, weights: Mapping[str, Any]
    ) -> dict[str, Any]:
        model = handlers.seed(handlers.substitute(self.problem.population.draw, data=dict(sites)), key)
        return model({**covariates, **self.problem.levels}, n, weights)

    def rows(self, sites: Mapping[str, Any], key: Any) -> dict[str, Any]:
        """`ipred`, `pred`, replicates `dv` (same subjects) and `dv_new` (new subjects), and `log_likelihood`, for each scored row."""
        problem, rows = self.problem, self.problem.rows
        keys = jax.random.split(key, 3)
        sds = sds_from(problem, sites)
        own, typical = self.individual(sites), self.typical(sites)
        new = self.new(sites, keys[0], problem.covariates, len(problem.cohort.subjects))
        here = measurement(problem, own, sds)
        whole = self.all_kinds(sites) if problem.population.mixture else None
        return {
            "ipred": problem.predictor(own)[rows.index],
            "pred": problem.predictor(typical)[rows.index],
            "dv": here.sample(keys[1]),
            "dv_new": measurement(problem, new, sds).sample(keys[2]),
            "log_likelihood": (here if whole is None else measurement(problem, whole, sds)).log_prob(jnp.asarray(rows.dv)),
        }

    @cached_property
    def curve_times(self) -> np.ndarray:
        """Dense early after each dose, sparser later (h)."""
        cohort = self.problem.cohort
        first, last = float(cohort.observations["time"].min()), float(cohort.observations["time"].max())
        steps = np.array([0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 20, 24])
        after = [t + steps * min(1.0, (last - first) / 24.0) for t in np.unique(cohort.doses["time"])[:12]]
        grid = np.concatenate([first + (last - first) * np.linspace(0, 1, 50) ** 1.5, *after, [first, last]])
        return np.unique(np.round(grid[(grid >= first) & (grid <= last)], 6))

    @cached_property
    def curves_predictor(self) -> Predictor:
        problem, times = self.problem, self.curve_times
        return grid_predictor(problem, problem.cohort.doses, times, problem.predictor.plan.intervals)

    def curves(self, sites: Mapping[str, Any]) -> tuple[Any, Any]:
        """[T, observables, N] for the cohort's subjects and for typical subjects."""
        predict = self.curves_predictor
        return predict.observables(self.individual(sites))[0], predict.observables(self.typical(sites))[0]

    def new_curves(self, sites: Mapping[str, Any], key: Any) -> Any:
        """[T, observables, N] for new subjects of the same design."""
        return self.curves_predictor.observables(self.new(sites, key, self.problem.covariates, len(self.problem.cohort.subjects)))[0]


def grid_predictor(problem: FitProblem, doses: pd.DataFrame, times: np.ndarray, intervals: Intervals) -> Predictor:
    """The model on a grid of times common to all subjects, each read after a dose at the same time."""
    n = intervals.origin.shape[1]
    looks = pd.DataFrame({"subject": np.repeat(np.arange(n), len(times)), "time": np.tile(times, n), "rank": 1e12})
    own = problem.predictor.plan
    plan = replace(build_plan(doses, looks, n, intervals=intervals, late_last=own.late > 0, by_record=own.by_record), start=own.start)
    return Predictor(
        problem.fitted_model, plan, np.zeros(len(looks), int), problem.solver, problem.predictor.free, problem.predictor.at, True
    )


def over_draws(function: Any, sites: Mapping[str, np.ndarray], keys: Any, batch: int | None = 4, devices: Devices = ()) -> Any:
    """Apply `function(sites, key)` to each draw of flattened sites [S, ...], compiled once; `batch` draws together, or (None) one after another.

    Draws are shared among `devices` (none: where JAX computes). They are padded to whole batches, as many on each device, with copies of the first: a
    remainder would be compiled a second time.
    """
    total, together = len(keys), (batch or 1) * max(1, len(devices))
    index = np.concatenate([np.arange(total), np.zeros(-total % together, int)])
    every = lambda s, k: jax.lax.map(lambda x: function(*x), (s, k), batch_size=batch)  # noqa: E731
    run = over_devices(every, devices) if devices else jax.jit(every)
    out = run({k: jnp.asarray(v)[index] for k, v in sites.items()}, keys[index])
    return jax.tree.map(lambda x: np.asarray(x)[:total], out)


def thin(shape: tuple[int, int], most: int) -> np.ndarray:
    """Indices into the flattened draws of `shape` (chains, draws), equally many and evenly spaced in each chain."""
    chains, draws = shape
    each = max(1, min(draws, most // chains))
    within = np.unique(np.linspace(0, draws - 1, each).astype(int))
    return np.concatenate([c * draws + within for c in range(chains)])
