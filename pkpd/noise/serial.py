"""Residuals that go together: with the row before of the same subject (AR(1)), and with another observable measured at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from pkpd.noise.grouped import GroupedError, SubjectError, inside
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import Measurement
from pkpd.noise.residual import ResidualError
from pkpd.noise.wrapped import ErrorWith, need_error, need_prior, plain, previous_row, residual_scale, where


class SerialMeasurement(dist.Distribution):
    """Rows whose standardised residuals z are a stationary AR(1) chain in each subject: z_k | z_(k-1) ~ N(phi_k z_(k-1), 1 - phi_k^2).

    `loc`, `scale` [n]; `decay` [n] is dt/tau from the row before; `order` [n] by subject and time, `before` [n] the index of the row before
    (-1 for the first). A term of `log_prob` is the density of a row given the one before, so that the terms of a subject add up to its joint density.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.real
    pytree_data_fields = ("loc", "scale", "decay")
    pytree_aux_fields = ("logs", "order", "before")

    def __init__(self, mean: Any, sd: Any, decay: Any, logs: bool, order: np.ndarray, before: np.ndarray, *, validate_args: Any = None):
        self.loc, self.scale, self.decay = mean, sd, decay
        self.logs, self.order, self.before = logs, order, before
        super().__init__(batch_shape=jnp.shape(mean), validate_args=False)

    def _chain(self) -> tuple[Any, Any]:
        """phi and the innovation's variance 1 - phi^2, 0 and 1 at the first row of a subject."""
        first = self.before < 0
        decay = jnp.clip(jnp.where(first, 1.0, self.decay), 1e-12, 700.0)
        return jnp.where(first, 0.0, jnp.exp(-decay)), jnp.where(first, 1.0, -jnp.expm1(-2.0 * decay))

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log density of each row given the row before of its subject."""
        x, stretch = residual_scale(value, self.logs)
        z = (x - self.loc) / self.scale
        phi, variance = self._chain()
        innovation = (z - phi * z[..., np.maximum(self.before, 0)]) / jnp.sqrt(variance)
        return -0.5 * innovation**2 - 0.5 * jnp.log(2 * np.pi * variance) - jnp.log(self.scale) - stretch

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """Whole paths, one for each subject."""
        phi, variance = self._chain()
        shock = jnp.sqrt(variance) * jax.random.normal(key, sample_shape + self.batch_shape)

        def step(z: Any, x: tuple) -> tuple[Any, Any]:
            z = x[0] * z + x[1]
            return z, z

        inputs = (phi[self.order], jnp.moveaxis(shock, -1, 0)[self.order])
        _, path = jax.lax.scan(step, jnp.zeros(sample_shape), inputs)
        z = jnp.moveaxis(path[np.argsort(self.order)], 0, -1)
        return plain(self.loc + self.scale * z, self.logs)


@dataclass(frozen=True, eq=False)
class AutoregressiveError(ErrorWith):
    """A residual error with serial correlation in a subject; see `autoregressive`."""

    tails = False

    def check(self, rows: ObservedRows) -> list[str]:
        _, before = previous_row(rows)
        tied = (before >= 0) & (rows.time == rows.time[np.maximum(before, 0)])
        return (
            self.error.check(rows)
            + [
                f"{where(rows, i)}: the row is censored ('{rows.observable}', {rows.dv[i]:g}), and autoregressive(...) takes observed values only; "
                "leave out the serial correlation, or drop the row."
                for i in np.flatnonzero(rows.cens != 0)
            ]
            + [
                f"{where(rows, i)}: '{rows.observable}' is measured twice at {rows.time[i]:g} h, and autoregressive(...) needs different times; "
                "average the replicates."
                for i in np.flatnonzero(tied)
            ]
        )

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> SerialMeasurement:
        order, before = previous_row(rows)
        gap = np.where(before < 0, 1.0, rows.time - rows.time[np.maximum(before, 0)])
        mean, sd = self.error.mean_sd(f, values[:-1])
        return SerialMeasurement(mean, sd, gap / values[-1], self.logs, order, before)


def autoregressive(error: Observation, tau: Any) -> Any:
    """Serial correlation of a subject's residuals in continuous time: corr(z_j, z_k) = exp(-abs(t_j - t_k) / tau), z = e / sd.

    `error`: any plain residual error, or by_group or by_subject of one. `tau`: prior of the correlation time in h, or a number above 0; times may be
    irregular, not equal.
    Prefixes: those of `error`, and tau. Censored rows are refused (their joint law is an integral of many dimensions). Raises `FitError`.
    Source: Karlsson, Beal & Sheiner 1995, J Pharmacokinet Biopharm 23:651.

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error
    >>> autoregressive(lognormal_error(0.3), dist.LogNormal(1.0, 1.0)).sites("cp")
    ['tau_cp']
    """
    if isinstance(error, (GroupedError, SubjectError)):
        return inside(error, lambda e: autoregressive(e, tau))
    error = need_error("autoregressive", error)
    need_prior("autoregressive", "tau", tau, example="dist.LogNormal(1.0, 1.0)")
    equation = f"{error.equation}; corr = exp(-dt / tau) within a subject"
    return AutoregressiveError(error, (*error.priors, ("tau", tau)), f"AR(1), {error.kind}", equation)


class PairedMeasurement(Measurement):
    """Rows given the residual of another observable at the same time; sampling gives the law without it.

    `own`: mean and sd of the row alone; `loc` and `scale` those given its partner.
    """

    pytree_data_fields = ("own",)

    def __init__(self, given: tuple[Any, Any], own: tuple[Any, Any], logs: Any, cens: np.ndarray, lower: np.ndarray):
        super().__init__(*given, logs, cens, lower)
        self.own = own

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return Measurement(*self.own, self.logs, self.cens, self.lower).sample(key, sample_shape)


@dataclass(frozen=True, eq=False)
class CorrelatedError(Observation):
    """A residual error correlated with that of another observable; see `correlated`."""

    error: ResidualError
    other: str
    other_error: ResidualError
    reads: tuple[str, ...]
    priors: tuple[tuple[str, Any], ...]
    kind: str
    equation: str
    logs: bool
    scaled: bool = True

    def _pairs(self, rows: ObservedRows) -> np.ndarray:
        return np.isfinite(rows.columns.get(f"dv:{self.other}", np.full(len(rows.dv), np.nan)))

    def check(self, rows: ObservedRows) -> list[str]:
        paired = self._pairs(rows)
        if not np.any(paired):
            return [
                *self.error.check(rows),
                f"No row of '{rows.observable}' has one of '{self.other}' at the same time; leave out correlated(...).",
            ]
        limited = paired & ((rows.cens != 0) | (rows.columns[f"cens:{self.other}"] != 0))
        return self.error.check(rows) + [
            f"{where(rows, i)}: '{rows.observable}' or '{self.other}' is censored at {rows.time[i]:g} h, and correlated(...) takes pairs of observed "
            "values only; leave out the correlation, or drop the row."
            for i in np.flatnonzero(limited)
        ]

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> PairedMeasurement:
        paired, rho = self._pairs(rows), values[-1]
        mean, sd = self.error.mean_sd(f, values[:-1])
        m, s = self.other_error.mean_sd(jnp.where(paired, also(self.other), 1.0), also(f"values:{self.other}"))
        x, _ = residual_scale(jnp.asarray(np.where(paired, rows.columns[f"dv:{self.other}"], 1.0)), self.other_error.logs)
        given = mean + jnp.where(paired, rho * sd * (x - m) / s, 0.0), sd * jnp.where(paired, jnp.sqrt((1.0 - rho) * (1.0 + rho)), 1.0)
        return PairedMeasurement(given, (mean, sd), np.full(len(rows.dv), self.logs), rows.cens, rows.lower)


def correlated(error: Observation, *, with_: str, other_error: ResidualError, correlation: Any) -> Any:
    """Residuals of two observables measured together: corr(e / sd, e' / sd') = rho where subject and time are the same.

    `error`: residual error of this observable, by_group or by_subject of one too; `with_`: name of the other, `other_error`: its residual error as
    in `noise[with_]` (which stays
    unconditional: the pair's density is p(y') p(y | y')); `correlation`: prior between -1 and 1, or a number. Prefixes: those of `error`, and rho.
    Rows without a partner keep the plain law; a pair with a censored member is refused. Replicates have this observable's own law.
    Raises `FitError`. Source: NONMEM's L2 data item (Beal & Sheiner, NONMEM Users Guide).

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error
    >>> correlated(lognormal_error(0.3), with_="metabolite", other_error=lognormal_error(0.2), correlation=dist.Uniform(-1, 1)).sites("cp")
    ['rho_cp']
    """
    if isinstance(error, (GroupedError, SubjectError)):
        return inside(error, lambda e: correlated(e, with_=with_, other_error=other_error, correlation=correlation))
    error, other_error = need_error("correlated", error), need_error("correlated", other_error, "other_error")
    need_prior("correlated", "correlation", correlation, -1.0, 1.0, "dist.Uniform(-1, 1)")
    priors = (*error.priors, ("rho", correlation))
    equation = f"{error.equation}; corr = rho with the residual of {with_}"
    return CorrelatedError(error, with_, other_error, (with_,), priors, f"correlated, {error.kind}", equation, error.logs)
