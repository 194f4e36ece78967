"""The typical profile of a model: one subject at typical values, given the model's example, every observable over time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pandas as pd

from pkpd.errors import ModelError, SolveError
from pkpd.events import Regimen
from pkpd.model import Example, Model
from pkpd.model.example import example_of, in_words
from pkpd.model.predict import raise_failures
from pkpd.simulate.grid import design
from pkpd.solve import Solver

QUICK = Solver(method="tsit5_batched", max_steps=2**15)  # one subject: compiling is the cost, and this method compiles fastest
UNTUNED: Any = {"xla_backend_optimization_level": 0}  # run once, so not worth tuning
LOOKS, FEWEST = 400, 8  # in all, and between two doses
JUST = 1e-9  # of the whole time: just before a dose


def typical_profile(model: Model, example: Example | None = None, *, solver: Solver | None = None) -> pd.DataFrame:
    """Every observable of a typical subject over time, without any variability: one row a time, column TIME in hours.

    The doses, the time and the covariates are those of `example`, or of the one the model declares. `.attrs` has the `units` of the columns and `says`,
    the example in words. Times crowd behind each dose; one just before each dose shows the trough. Without `solver` an explicit method is
    tried, then what "auto" picks.
    Raises `ModelError` for a model without an example, `SolveError` where it cannot be solved.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> profile = typical_profile(one_compartment_iv)
    >>> profile["cp"].iloc[0], profile.attrs["units"]["cp"]
    (np.float64(10.0), 'mg/L')
    """
    if not model.observables:
        raise ModelError(f"{model.name} observes nothing, so it has no profile. Compose it with observables=[...].")
    chosen = example_of(model, example)
    times = _times(chosen.regimen, chosen.hours)
    try:
        values = _solved(model, chosen, times, solver or QUICK)
    except SolveError:
        if solver is not None:
            raise
        values = _solved(model, chosen, times, Solver(native="off"))
    table = pd.DataFrame({"TIME": times} | dict(zip(model.observable_names, values.T, strict=True)))
    table.attrs |= {"units": {o.name: o.unit for o in model.observables}, "says": in_words(model, chosen)}
    return table


def _solved(model: Model, example: Example, times: np.ndarray, solver: Solver) -> np.ndarray:
    """[times, observables]"""
    covariates = {q.name: [example.covariates.get(q.name, q.reference)] for q in model.covariates}
    bound = design(model, example.regimen, times, pd.DataFrame(covariates, index=[0]), "a typical subject", solver=solver).predictor
    _ = bound.chosen  # picked with plain numbers
    table, solution = jax.jit(bound.observables, compiler_options=UNTUNED)({})
    raise_failures(bound, solution, ("a typical subject",))
    values = np.asarray(table)[..., 0]
    bad = [o.name for o, v in zip(model.observables, values.T, strict=True) if not np.isfinite(v).all()]
    if bad:
        raise SolveError(f"{model.name}: {', '.join(bad)} of a typical subject is not finite. Check the typical values and the example.")
    return values


def _times(regimen: Regimen, until: float) -> np.ndarray:
    """Rising hours from 0: crowded behind each dose and each end of an infusion, one just before each dose."""
    doses = [d.time for d in regimen.doses]
    turns = {0.0, until, *doses, *(d.time + d.duration for d in regimen.doses)}
    edges = sorted(t for t in turns if 0 <= t <= until)
    grid = [np.array([t - JUST * until for t in doses if t > 0] + [until])]
    for a, b in pairwise(edges):
        share = np.arange(max(FEWEST, round(LOOKS * (b - a) / until)))
        grid.append(a + (b - a) * (share / len(share)) ** 2)
    return np.unique(np.concatenate(grid))
