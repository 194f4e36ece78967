"""What calibration simulates and scores: rows whose values and censoring are arguments of one compiled program, cut by the assay's own limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro import handlers
from numpyro.distributions import constraints

from pkpd.errors import FitError
from pkpd.inference.cohort_model import measurement
from pkpd.inference.problem import FitProblem
from pkpd.noise import ResidualError
from pkpd.noise.measurement import TINY
from pkpd.noise.tails import log_below


class Simulated(NamedTuple):
    """The scored rows of one simulated study: values [n], and 1 where the value stands below the limit that `dv` then holds, else 0 [n]."""

    dv: Any
    cens: Any


class Limited(dist.Distribution):
    """Rows x = y or log y (where `logs`) normal(loc, scale): density of y where `cens` is 0, P(Y < y) where it is 1; `cens` may be traced.

    The same law as `Measurement` without upper limits and intervals. `limited` says which rows can be censored at all.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("loc", "scale", "cens")
    pytree_aux_fields = ("logs", "limited")

    def __init__(self, loc: Any, scale: Any, cens: Any, logs: np.ndarray, limited: np.ndarray, *, validate_args: Any = None):
        self.loc, self.scale, self.cens, self.logs, self.limited = loc, scale, cens, logs, limited
        super().__init__(batch_shape=jnp.shape(loc), validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row."""
        positive = jnp.where(self.logs, jnp.maximum(value, TINY), 1.0)
        z = (jnp.where(self.logs, jnp.log(positive), value) - self.loc) / self.scale
        exact = -0.5 * z**2 - jnp.log(self.scale) - 0.5 * np.log(2 * np.pi) - jnp.log(positive)
        if not np.any(self.limited):
            return exact
        below = self.cens == 1
        return jnp.where(below, log_below(jnp.where(below, z, 0.0)), jnp.where(below, 0.0, exact))


def limits(problem: FitProblem) -> np.ndarray:
    """The lower limit of each scored row [n], NaN where none is known: of a censored row its own value, else the file's LLOQ, else the one limit
    at which all censored rows of its observable stand, where there is one."""
    rows = problem.rows
    told = problem.cohort.observations.reset_index(drop=True).iloc[rows.index]["lloq"].to_numpy(float)
    found = np.where(rows.cens == 1, rows.dv, told)
    for i in range(len(problem.observed_names)):
        here = rows.observable == i
        known = np.unique(rows.dv[here & (rows.cens == 1)])
        if len(known) == 1:
            found[here & np.isnan(found)] = known[0]
    return found


def parameters(problem: FitProblem, weights: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Individual parameters and residual sds, every site sampled."""
    theta = problem.population.draw(problem.design, len(problem.cohort.subjects), weights)
    return theta, {o: problem.observations[o].draw(o) for o in problem.observed_names}


def replicate_model(problem: FitProblem) -> Callable[..., None]:
    """A numpyro model `model(data, weights)` of the rows in `data`, a `Simulated`; beside `cohort_model` the rows are an argument here."""
    limited = np.isfinite(limits(problem))

    def model(data: Simulated, weights: Mapping[str, Any]) -> None:
        fn: Any = measurement(problem, *parameters(problem, weights))
        numpyro.sample("dv", Limited(fn.loc, fn.scale, data.cens, fn.logs, limited), obs=data.dv)

    return model


def study(problem: FitProblem, key: Any, weights: Mapping[str, Any]) -> tuple[Simulated, dict[str, Any]]:
    """A study of the problem's design, simulated from its priors; and the sampled sites it was made from."""
    of_sites, of_rows = jax.random.split(key)
    with handlers.trace() as seen, handlers.seed(rng_seed=of_sites):
        theta, sds = parameters(problem, weights)
    y, limit = measurement(problem, theta, sds).sample(of_rows), limits(problem)
    below = y < limit
    sites = {n: s["value"] for n, s in seen.items() if s["type"] == "sample"}
    return Simulated(jnp.where(below, np.nan_to_num(limit), y), below.astype(int)), sites


def refuse(problem: FitProblem) -> None:
    """Raise `FitError` where studies of this problem cannot be simulated and scored here, with the reason."""
    rows, other = problem.rows, [o for o in problem.observed_names if type(problem.observations[o]) is not ResidualError]
    if other:
        raise FitError(
            f"{problem.name}: noise['{other[0]}'] is {problem.observations[other[0]].kind}, and calibration simulates plain residual errors. "
            "Accepted are additive_error, proportional_error, combined_error and lognormal_error."
        )
    if problem.population.mixture is not None:
        raise FitError(f"{problem.name}: calibration does not simulate subpopulations yet. Leave mixture= out.")
    if problem.summaries:
        raise FitError(f"{problem.name}: calibration does not simulate published summaries. Leave summaries= out.")
    for wrong, what in (
        (rows.cens == -1, "above its limit (CENS=-1)"),
        ((rows.cens == 1) & np.isfinite(rows.lower), "between two limits (CENS=1 with LIMIT)"),
    ):
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            row = problem.cohort.observations.reset_index(drop=True)["row"].iloc[rows.index[i]]
            raise FitError(
                f"{problem.name}: row {row} is {what}, and calibration cuts simulated values at one lower limit a row. Leave such rows out."
            )
