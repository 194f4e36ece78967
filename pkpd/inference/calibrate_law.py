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
    """The scored rows of one simulated study: values [n], and `cens` [n]: 1 below the limit that `dv` then holds, -1 above it, else 0."""

    dv: Any
    cens: Any


class Limited(dist.Distribution):
    """Rows x = y or log y (where `logs`) normal(loc, scale): density of y where `cens` is 0, P(Y < y) where it is 1, P(Y > y) where -1; it may be traced.

    The same law as `Measurement` without intervals. `limited` says which rows can be censored at all.
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
        inside = self.cens == 0
        tail = log_below(jnp.where(inside, 0.0, jnp.where(self.cens == -1, -z, z)))
        return jnp.where(inside, exact, tail)


def limits(problem: FitProblem) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper limit of each scored row [n], NaN where none is known: of a censored row its own value, else the file's LLOQ or ULOQ, else the
    one limit at which all censored rows of its observable stand, where there is one."""
    rows = problem.rows
    table = problem.cohort.observations.reset_index(drop=True).iloc[rows.index]
    lower, upper = (np.where(rows.cens == side, rows.dv, table[word].to_numpy(float)) for side, word in ((1, "lloq"), (-1, "uloq")))
    for found, side in ((lower, 1), (upper, -1)):
        for i in range(len(problem.observed_names)):
            here = rows.observable == i
            known = np.unique(rows.dv[here & (rows.cens == side)])
            if len(known) == 1:
                found[here & np.isnan(found)] = known[0]
    return lower, upper


def parameters(problem: FitProblem, weights: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Individual parameters and residual sds, every site sampled."""
    theta = problem.population.draw(problem.design, len(problem.cohort.subjects), weights)
    return theta, {o: problem.observations[o].draw(o) for o in problem.observed_names}


def replicate_model(problem: FitProblem) -> Callable[..., None]:
    """A numpyro model `model(data, weights)` of the rows in `data`, a `Simulated`; beside `cohort_model` the rows are an argument here."""
    limited = np.isfinite(limits(problem)).any(axis=0)

    def model(data: Simulated, weights: Mapping[str, Any]) -> None:
        fn: Any = measurement(problem, *parameters(problem, weights))
        numpyro.sample("dv", Limited(fn.loc, fn.scale, data.cens, fn.logs, limited), obs=data.dv)

    return model


def study(problem: FitProblem, key: Any, weights: Mapping[str, Any]) -> tuple[Simulated, dict[str, Any]]:
    """A study of the problem's design, simulated from its priors; and the sampled sites it was made from."""
    of_sites, of_rows = jax.random.split(key)
    with handlers.trace() as seen, handlers.seed(rng_seed=of_sites):
        theta, sds = parameters(problem, weights)
    y, (lower, upper) = measurement(problem, theta, sds).sample(of_rows), limits(problem)
    below, above = y < lower, y > upper
    dv = jnp.where(below, np.nan_to_num(lower), jnp.where(above, np.nan_to_num(upper), y))
    sites = {n: s["value"] for n, s in seen.items() if s["type"] == "sample"}
    return Simulated(dv, below.astype(int) - above.astype(int)), sites


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
    between = np.flatnonzero((rows.cens == 1) & np.isfinite(rows.lower))
    if between.size:
        row = problem.cohort.observations.reset_index(drop=True)["row"].iloc[rows.index[between[0]]]
        raise FitError(
            f"{problem.name}: row {row} lies between two limits (CENS=1 with LIMIT), and calibration cuts simulated values at one lower and one upper limit "
            "a row. Leave LIMIT out, or such rows."
        )
