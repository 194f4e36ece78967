"""Arms of a model without a fit: parameters that are given, and a stated variability between subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.model import Model
from pkpd.model.predict import raise_failures
from pkpd.simulate.grid import design
from pkpd.simulate.overrides import by_arm, changed, check_made, product_share, with_product
from pkpd.simulate.parameters import subject_parameters
from pkpd.simulate.virtual import check_count
from pkpd.solve import Solver


def simulate_arms(
    model: Model,
    arms: Mapping[str, Regimen],
    parameters: Mapping[str, float] | None = None,
    *,
    times: Any,
    between: Mapping[str, float] | None = None,
    n_subjects: int | None = None,
    covariates: Any = None,
    key: Any = None,
    overrides: Mapping[str, Any] | None = None,
    product: str | Sequence[str] = (),
    solver: Solver | None = None,
) -> xr.Dataset:
    """Every observable under each regimen for subjects of stated parameters: the Dataset of `what_if` with one draw.

    Parameters not named stay typical. `between` maps parameters to the standard deviation of a subject's deviation, on the log scale of positive
    parameters, the logit scale of those in (0, 1), as they are otherwise; its random numbers come from `key` and are the same in every arm.
    `covariates` is a DataFrame with a row a subject; `n_subjects` is its length, or 1 without `between`, else 100. `overrides` and `product` are those
    of `what_if`. The subjects' parameters are in variables `theta_<name>` (arm, draw, subject). Raises `FitError`, `ModelError`, `SolveError`.

    >>> from pkpd import oral
    >>> from pkpd.models.classic import one_compartment_oral
    >>> runs = simulate_arms(one_compartment_oral, {"once": oral((320, "mg"))}, {"CL": 2.5}, times=[0.0, 2.0, 24.0])
    >>> dict(runs.sizes)
    {'arm': 1, 'draw': 1, 'subject': 1, 'time': 3}
    """
    if not arms:
        raise FitError("simulate_arms needs at least one arm, as in {'once': oral((320, 'mg'))}.")
    table = _subjects(covariates, n_subjects, bool(between))
    theta = _parameters(model, parameters or {}, between or {}, len(table), key)
    changes = by_arm(model, overrides, arms)
    share = product_share(table, product)
    values, kept = [], []
    for name, regimen in arms.items():
        own = {n: _applied(n, changes[name], x) for n, x in theta.items()}
        check_made(model, name, changes[name], own)
        bound = with_product(design(model, regimen, times, table, name, solver=solver).predictor, share)
        _ = bound.chosen  # picked with plain numbers, outside of the traced function
        seen, solution = jax.jit(bound.observables)({n: jnp.asarray(x) for n, x in own.items()})
        raise_failures(bound, solution, tuple(str(i + 1) for i in range(len(table))))
        values.append(np.asarray(seen))
        kept.append(own)
    return _label(model, arms, np.stack(values), kept, np.asarray(times, float), table)


def _subjects(covariates: Any, n: int | None, varies: bool) -> pd.DataFrame:
    check_count(n)
    if covariates is None:
        return pd.DataFrame(index=range(n or (100 if varies else 1)))
    try:
        table = pd.DataFrame(covariates).reset_index(drop=True)
    except (ValueError, TypeError) as error:
        raise FitError(f"covariates are a DataFrame with a row a subject, or columns as in {{'WT': [70.0, 80.0]}} ({error}).") from None
    if n is not None and n != len(table):
        raise FitError(f"n_subjects={n} and {len(table)} rows of covariates: leave n_subjects out, or give as many rows.")
    return table


def _parameters(model: Model, given: Mapping[str, float], between: Mapping[str, float], n: int, key: Any) -> dict[str, np.ndarray]:
    unknown = [name for name in between if name not in model.param_names]
    if unknown:
        raise FitError(f"between names '{unknown[0]}', which is no parameter of {model.name}. {choices(unknown[0], model.param_names)}")
    for name, sd in between.items():
        if isinstance(sd, bool) or not isinstance(sd, int | float | np.number) or not 0 <= sd < np.inf:
            raise FitError(f"between sets '{name}' to {sd!r}; a standard deviation is a finite number, not below 0.")
    if between and key is None:
        raise FitError("between draws random numbers: give a key, as in key=jax.random.key(1).")
    middle = {name: float(model.typical[name]) for name in model.param_names} | dict(given)
    made = subject_parameters(model, middle, tuple(str(i + 1) for i in range(n)))
    for i, (name, sd) in enumerate(between.items()):
        z = np.asarray(jax.random.normal(jax.random.fold_in(key, i), (n,))) * sd
        x, support = made[name], model.param(name).support
        if support == "unit":
            made[name] = 1 / (1 + (1 - x) / x * np.exp(-z))
        else:
            made[name] = x + z if support == "real" else x * np.exp(z)
    return made


def _applied(name: str, changes: Mapping[str, Any], value: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(changed(name, changes[name], value)), value.shape) if name in changes else value


def _label(
    model: Model, arms: Mapping[str, Regimen], values: np.ndarray, kept: list[Any], times: np.ndarray, table: pd.DataFrame
) -> xr.Dataset:
    dims = ("arm", "draw", "subject", "time")
    data = {o.name: (dims, np.moveaxis(values[:, :, i], 1, 2)[:, None], {"unit": o.unit}) for i, o in enumerate(model.observables)}
    theta = {f"theta_{n}": (dims[:3], np.stack([x[n] for x in kept])[:, None], {"unit": model.param(n).unit}) for n in kept[0]}
    coords: dict[str, Any] = {"arm": list(arms), "draw": [0], "subject": np.arange(len(table)), "time": times}
    coords |= {c: ("subject", table[c].to_numpy(float)) for c in table}
    coords["solved"] = (dims[:3], ~np.isnan(values).any((1, 2))[:, None])
    attrs = {"regimens": [f"{n}: {r!r}" for n, r in arms.items()], "time_unit": "h", "source": "parameters", "simulated": 0, "converged": 1}
    return xr.Dataset(data | theta, coords=coords, attrs=attrs | {"extrapolation": []})
