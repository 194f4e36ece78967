"""Residual spread that differs: one standard deviation for each assay or study, or one for each subject."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from pkpd.errors import FitError, choices
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import Measurement
from pkpd.noise.residual import ResidualError
from pkpd.noise.wrapped import missing, need_error, need_prior

RAW = "raw_sigma"


@dataclass(frozen=True, eq=False)
class GroupedError(Observation):
    """A residual error with its own standard deviations in each group of rows; see `by_group`. `bound` gives it its levels."""

    error: ResidualError
    column: str
    kind: str
    equation: str
    logs: bool
    priors: tuple[tuple[str, Any], ...] = ()
    levels: tuple[float, ...] = ()

    def bound(self, rows: ObservedRows) -> GroupedError:
        """With one prior `sigma_<column>_<level>` for each level in the rows. Raises `FitError` where the column is not known."""
        if self.column not in rows.columns:
            known = [c for c in rows.columns if ":" not in c]
            raise FitError(f"by_group: '{self.column}' is no column of the rows of '{rows.observable}'. {choices(self.column, known)}")
        values = rows.columns[self.column]
        levels = tuple(float(v) for v in np.unique(values[np.isfinite(values)]))
        if len({f"{v:g}" for v in levels}) < len(levels):
            raise FitError(f"by_group: levels of {self.column} agree in their first six digits; number the groups 1, 2, 3.")
        return replace(self, levels=levels, priors=tuple(p for prior in self.error.priors for p in self._split(*prior, levels)))

    def _split(self, prefix: str, prior: Any, levels: tuple[float, ...]) -> list[tuple[str, Any]]:
        return [(f"{prefix}_{self.column}_{v:g}", prior) for v in levels] if _is_sd(prefix) else [(prefix, prior)]

    def check(self, rows: ObservedRows) -> list[str]:
        return missing(rows, self.column, "by_group", "Fill it in, or use one standard deviation for all rows.")

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Measurement:
        level = np.searchsorted(np.asarray(self.levels), rows.columns[self.column])
        given, by_row = iter(values), []
        for prefix, _ in self.error.priors:
            by_row.append(jnp.stack([jnp.asarray(next(given)) for _ in self.levels])[level] if _is_sd(prefix) else next(given))
        mean, sd = self.error.mean_sd(f, by_row)
        return Measurement(mean, sd, np.full(len(rows.dv), self.logs), rows.cens, rows.lower)


def _is_sd(prefix: str) -> bool:
    return prefix.startswith("sigma")


def by_group(error: ResidualError, column: str) -> GroupedError:
    """One residual standard deviation for each level of a column: y_ij = f_ij + e_ij with sd sigma_g, g the assay or study of the row.

    `error`: any plain residual error; each level takes its prior, independently (a power is shared). `column`: a covariate of numbers, by name.
    Sites: sigma_<column>_<level>_<observable> (and sigma_add_... of a combined error). Raises `FitError`.
    Source: Mould & Upton 2013 (pooled studies and assays).

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error
    >>> by_group(lognormal_error(dist.HalfNormal(0.5)), "ASSAY").column
    'ASSAY'
    """
    need_error("by_group", error)
    return GroupedError(error, column, f"{error.kind} by {column}", f"{error.equation}, sigma by {column}", error.logs)


@dataclass(frozen=True, eq=False)
class SubjectError(Observation):
    """A residual error whose standard deviation varies between subjects; see `by_subject`. `bound` gives it its subjects."""

    error: ResidualError
    priors: tuple[tuple[str, Any], ...]
    kind: str
    equation: str
    logs: bool

    def bound(self, rows: ObservedRows) -> SubjectError:
        """With the standard normal vector raw_sigma [N], one for each subject, as the last prior."""
        raw = dist.Normal(0.0, 1.0).expand([len(rows.subjects)]).to_event(1)
        return replace(self, priors=(*(p for p in self.priors if p[0] != RAW), (RAW, raw)))

    def sites(self, observable: str) -> list[str]:
        return [s for s in super().sites(observable) if s != f"{RAW}_{observable}"]

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Measurement:
        mean, sd = self.error.mean_sd(f, values[:-2])
        sd = sd * jnp.exp(values[-2] * values[-1][rows.subject])
        return Measurement(mean, sd, np.full(len(rows.dv), self.logs), rows.cens, rows.lower)


def by_subject(error: ResidualError, spread: Any) -> SubjectError:
    """A residual standard deviation of each subject: sd_i = sd exp(omega_sigma z_i), z_i ~ N(0, 1).

    `error`: any plain residual error, whose sd is that of the typical subject. `spread`: prior of omega_sigma (sd of log sd_i), or a number above 0.
    Prefixes: those of `error`, omega_sigma, and the vector raw_sigma [subjects] of the z_i. Raises `FitError`.
    Source: Karlsson et al. 1998 (eta on epsilon).

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error
    >>> by_subject(lognormal_error(0.3), dist.HalfNormal(0.5)).sites("cp")
    ['omega_sigma_cp']
    """
    need_error("by_subject", error)
    need_prior("by_subject", "spread", spread)
    priors = (*error.priors, ("omega_sigma", spread))
    equation = f"{error.equation}, sd_i = sd exp(omega_sigma z_i), z_i ~ N(0, 1)"
    return SubjectError(error, priors, f"{error.kind} by subject", equation, error.logs)
