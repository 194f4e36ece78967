"""Residual errors beyond the four plain ones: a power of the prediction, and Student's t in place of the normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from pkpd.errors import FitError
from pkpd.noise.grouped import GroupedError, SubjectError, inside
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY
from pkpd.noise.residual import ResidualError
from pkpd.noise.student_tails import student_log_below, student_log_between, student_log_density
from pkpd.noise.wrapped import ErrorWith, need_error, need_prior, plain, residual_scale


def power_error(sd: Any, power: Any) -> ResidualError:
    """A spread that grows as a power of the prediction: ``y = f + e, e ~ N(0, sigma |f|^power)``.

    `sd`: prior of sigma in (observable's unit)^(1 - power), or a number above 0. `power`: prior above 0, or a number from 0 (additive) on;
    1 is proportional. Returns a `ResidualError` with prefixes sigma and power. Raises `FitError`. Source: Carroll & Ruppert 1988.

    >>> import numpyro.distributions as dist
    >>> power_error(dist.HalfNormal(0.5), dist.Uniform(0, 2)).sites("cp")
    ['sigma_cp', 'power_cp']
    """
    need_prior("power_error", "sd", sd)
    if power != 0 or isinstance(power, bool):
        need_prior("power_error", "power", power, example="dist.Uniform(0, 2)")
    equation = "y = f + e, e ~ N(0, sigma |f|^power)"
    return ResidualError("power", (("sigma", sd), ("power", power)), equation, lambda f, s, p: s * jnp.maximum(jnp.abs(f), TINY) ** p)


class StudentMeasurement(dist.Distribution):
    """Rows y with (x - loc)/scale a Student t of df degrees of freedom, x = y or log y; `cens` and `lower` as in `Measurement`."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("loc", "scale", "df")
    pytree_aux_fields = ("logs", "cens", "lower")

    def __init__(self, mean: Any, sd: Any, df: Any, logs: bool, cens: np.ndarray, lower: np.ndarray, *, validate_args: Any = None):
        self.loc, self.scale, self.df = mean, sd, df
        self.logs, self.cens, self.lower = logs, cens, lower
        super().__init__(batch_shape=jnp.shape(mean), validate_args=False)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return plain(self.loc + self.scale * jax.random.t(key, self.df, sample_shape + self.batch_shape), self.logs)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row."""
        z, (_, stretch) = self.standardised(value), residual_scale(value, self.logs)
        exact = student_log_density(z, self.df) - jnp.log(self.scale) - stretch
        if not np.any(self.cens):
            return exact
        return jnp.where(self.cens == 0, exact, self._limits(jnp.where(self.cens == 0, 0.0, z)))

    def standardised(self, value: Any) -> Any:
        """z = (x - loc) / scale of values y."""
        return (residual_scale(value, self.logs)[0] - self.loc) / self.scale

    def log_below(self, z: Any) -> Any:
        """log P(Z < z)."""
        return student_log_below(z, self.df)

    def log_between(self, a: Any, b: Any) -> Any:
        """log P(a < Z < b), a < b."""
        return student_log_between(a, b, self.df)

    def _limits(self, z: Any) -> Any:
        result = student_log_below(jnp.where(self.cens == -1, -z, z), self.df)
        bounded = np.isfinite(self.lower) & (self.cens == 1)
        if not np.any(bounded):
            return result
        low, _ = residual_scale(jnp.asarray(np.where(bounded, self.lower, 1.0)), self.logs)
        a = jnp.where(bounded, (low - self.loc) / self.scale, -1.0)
        return jnp.where(bounded, student_log_between(a, jnp.where(bounded, z, 1.0), self.df), result)


@dataclass(frozen=True, eq=False)
class StudentError(ErrorWith):
    """A residual error with Student's t in place of the normal; see `student_error`."""

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> StudentMeasurement:
        mean, sd = self.error.mean_sd(f, values[:-1])
        return StudentMeasurement(mean, sd, values[-1], self.logs, rows.cens, rows.lower)


def student_error(error: Observation, df: Any) -> Any:
    """Heavy tails for outliers: the standardised residual of `error` is Student's t with `df` degrees of freedom, e / sd ~ t(df).

    `error`: any plain residual error, or by_group or by_subject of one; its sd becomes the scale of t, so that the standard deviation is sd sqrt(df
    / (df - 2)).
    `df`: prior, or a number above 0 (above 2 for a finite variance); it may be estimated where rows are censored too.
    Prefixes: those of `error`, and df. Raises `FitError`.
    Source: Lange, Little & Taylor 1989, J Am Stat Assoc 84:881; Dosne, Bergstrand & Karlsson 2016, J Pharmacokinet Pharmacodyn 43:137.

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error
    >>> student_error(lognormal_error(dist.HalfNormal(0.5)), 4.0).sites("cp")
    ['sigma_cp']
    """
    if isinstance(error, (GroupedError, SubjectError)):
        return inside(error, lambda e: student_error(e, df))
    error = need_error("student_error", error)
    need_prior("student_error", "df", df, example="dist.Gamma(2, 0.1)")
    if isinstance(df, (int, float)) and df > 1e4:
        raise FitError(f"student_error(df={df:g}): at this many degrees of freedom the law is the normal; leave student_error out.")
    equation = error.equation.replace("N(0, ", "t(df, ")
    return StudentError(error, (*error.priors, ("df", df)), f"Student t, {error.kind}", equation)
