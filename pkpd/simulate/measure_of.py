"""A measure of exposure as a function of parameters: what local and global sensitivities are taken of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.errors import FitError, SolveError, choices
from pkpd.events import Regimen
from pkpd.model import Model
from pkpd.simulate.exposure import exposure
from pkpd.simulate.grid import design
from pkpd.solve import Solver, Status
from pkpd.solve.choose import waiting

CHUNK = 256
Measure = Callable[[Mapping[str, Any]], np.ndarray]


def exposure_of(
    model: Model,
    regimen: Regimen,
    observable: str,
    measure: str,
    *,
    times: Any,
    covariates: Mapping[str, float] | None = None,
    parameters: Mapping[str, float] | None = None,
    chunk: int = CHUNK,
    solver: Solver | None = None,
    **options: Any,
) -> Measure:
    """A function of parameters {name: [K]} that gives a measure [K] of an observable's profile under a regimen.

    `measure` is one of `exposure` (cmax, auc, time_above, ...), `options` are its arguments; `times` (h) rise. `parameters` are held at these values where
    the function is not given them, others at the model's typical ones; `covariates` are numbers. `chunk` parameter sets are solved together by one
    compiled program. The function raises `SolveError` for sets that cannot be solved, `FitError` for unknown names.

    >>> from pkpd import bolus
    >>> from pkpd.models.classic import one_compartment_iv
    >>> area = exposure_of(one_compartment_iv, bolus((100, "mg")), "cp", "auc", times=[0.0, 50.0, 100.0], chunk=2)
    >>> area({"CL": [2.0, 4.0], "V": [20.0, 20.0]}).round(2)
    array([50., 25.])
    """
    if observable not in model.observable_names:
        raise FitError(f"{model.name} has no observable '{observable}'. {choices(observable, model.observable_names)}")
    held = dict(parameters or {})
    _known(model, held)
    table = pd.DataFrame({c: np.full(chunk, float(v)) for c, v in (covariates or {}).items()}, index=range(chunk))
    quick = waiting(solver or Solver(threads=0))
    bound = design(model, regimen, times, table, "sensitivity", solver=quick).predictor
    _ = bound.chosen  # picked with plain numbers, outside of the traced function
    at = model.observable_names.index(observable)
    step = jax.jit(lambda theta: (lambda found: (found[0][:, at], found[1].status))(bound.observables(theta)))

    def found(theta: Mapping[str, Any]) -> np.ndarray:
        _known(model, theta)
        wide = {n: np.atleast_1d(np.asarray(v, float)) for n, v in theta.items()}
        k = max((len(v) for v in wide.values()), default=1)
        every = {n: np.broadcast_to(v, (k,)) for n, v in ({n: np.asarray(v, float) for n, v in held.items()} | wide).items()}
        profiles = np.concatenate([_chunk(step, every, i, chunk) for i in range(0, k, chunk)], axis=1)[:, :k]
        made = exposure((np.asarray(times, float), profiles.T), **options)
        if measure not in made:
            raise FitError(f"exposure gives no measure '{measure}' with these options. {choices(measure, map(str, made.data_vars))}")
        return np.asarray(made[measure].values)

    return found


def _known(model: Model, names: Mapping[str, Any]) -> None:
    for name in names:
        if name not in model.param_names:
            raise FitError(f"{model.name} has no parameter '{name}'. {choices(str(name), model.param_names)}")


def _chunk(step: Any, theta: Mapping[str, np.ndarray], first: int, size: int) -> np.ndarray:
    """Profiles [T, size] of some sets; the last chunk is filled up with copies of its last set."""
    index = np.minimum(np.arange(first, first + size), len(next(iter(theta.values()), np.zeros(1))) - 1)
    values, status = step({n: jnp.asarray(v[index]) for n, v in theta.items()})
    bad = np.flatnonzero((np.asarray(status) != Status.OK) | ~np.isfinite(np.asarray(values)).all(0))
    if len(bad):
        which = ", ".join(f"{n} = {v[index[bad[0]]]:.3g}" for n, v in theta.items())
        raise SolveError(f"{len(set(index[bad]))} sets of parameters cannot be solved, the first with {which}. Narrow the ranges.")
    return np.asarray(values)
