"""Residual spread that differs: one standard deviation for each assay or study, or one for each subject.

Both multiply what an inner residual error calls sigma, row by row, so they go around any residual that reads sigma by row (`need_scaled`),
and around each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from pkpd.errors import FitError, choices
from pkpd.noise import told
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.wrapped import Around, missing, need_prior, need_scaled

RAW = "raw_sigma"


@dataclass(frozen=True, eq=False)
class GroupedError(Around):
    """A residual error with its own standard deviations in each group of rows; see `by_group`. `bound` gives it its levels."""

    error: Observation
    column: str
    priors: tuple[tuple[str, Any], ...] = ()
    levels: tuple[float, ...] = ()
    scaled: bool = True

    @property
    def kind(self) -> str:
        return f"{self.error.kind} by {self.column}"

    @property
    def equation(self) -> str:
        return f"{self.error.equation}, sigma by {self.column}"

    def bound(self, rows: ObservedRows) -> GroupedError:
        """With one prior `sigma_<column>_<level>` for each level in the rows. Raises `FitError` where the column is not known."""
        if self.column not in rows.columns:
            known = [c for c in rows.columns if ":" not in c]
            raise FitError(f"by_group: '{self.column}' is no column of the rows of '{rows.observable}'. {choices(self.column, known)}")
        values = rows.columns[self.column]
        levels = tuple(float(v) for v in np.unique(values[np.isfinite(values)]))
        if len({f"{v:g}" for v in levels}) < len(levels):
            raise FitError(f"by_group: levels of {self.column} agree in their first six digits; number the groups 1, 2, 3.")
        error = self.error.bound(rows)
        return replace(self, error=error, levels=levels, priors=tuple(p for prior in error.priors for p in self._split(*prior, levels)))

    def _split(self, prefix: str, prior: Any, levels: tuple[float, ...]) -> list[tuple[str, Any]]:
        return [(f"{prefix}_{self.column}_{v:g}", prior) for v in levels] if _is_sd(prefix) else [(prefix, prior)]

    def sites(self, observable: str) -> list[str]:
        return _without_raw(super().sites(observable), observable)

    def check(self, rows: ObservedRows) -> list[str]:
        empty = missing(rows, self.column, "by_group", "Fill it in, or use one standard deviation for all rows.")
        return [*self.error.check(rows), *empty]

    def told(self, rows: ObservedRows) -> list[str]:
        column = rows.columns[self.column]
        return [*self.error.told(rows), *(_level(rows, self.column, v, column == v) for v in self.levels)]

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Any:
        level = np.searchsorted(np.asarray(self.levels), rows.columns[self.column])
        given, by_row = iter(values), []
        for prefix, _ in self.error.priors:
            by_row.append(_pick([next(given) for _ in self.levels], level) if _is_sd(prefix) else next(given))
        return self.error.law(f, by_row, rows, also)


def _pick(values: list[Any], level: np.ndarray) -> Any:
    """By row [n] the value of its level; each value a number, or one by row already."""
    n = len(level)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(v, float), (n,)) for v in values])[level, np.arange(n)]


def _level(rows: ObservedRows, column: str, level: float, here: np.ndarray) -> str:
    limits = told.listed(rows.dv[here & (rows.cens == 1)])
    return f"{column} {level:g}: {told.many(here.sum())}; censored below {limits or 'none'}."


def _is_sd(prefix: str) -> bool:
    return prefix.startswith("sigma")


def _without_raw(sites: list[str], observable: str) -> list[str]:
    return [s for s in sites if s != f"{RAW}_{observable}"]


def by_group(error: Observation, column: str) -> GroupedError:
    """One residual standard deviation for each level of a column: y_ij = f_ij + e_ij with sd sigma_g, g the assay or study of the row.

    `error`: any residual error, or student_error, limits_by, autoregressive, correlated or by_subject of one; each level takes the prior of its
    sigma, independently (a power, df, tau or rho is shared). `column`: a covariate of numbers, by name.
    Sites: `sigma_<column>_<level>_<observable>` (and `sigma_add_...` of a combined error). Raises `FitError`.
    Source: Mould & Upton 2013 (pooled studies and assays).

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error, student_error
    >>> by_group(student_error(lognormal_error(dist.HalfNormal(0.5)), 4.0), "ASSAY").kind
    'Student t, lognormal by ASSAY'
    """
    need_scaled("by_group", error)
    return GroupedError(error, column)


@dataclass(frozen=True, eq=False)
class SubjectError(Around):
    """A residual error whose standard deviation varies between subjects; see `by_subject`. `bound` gives it its subjects."""

    error: Observation
    spread: Any
    priors: tuple[tuple[str, Any], ...]
    scaled: bool = True

    @property
    def kind(self) -> str:
        return f"{self.error.kind} by subject"

    @property
    def equation(self) -> str:
        return f"{self.error.equation}, sd_i = sd exp(omega_sigma z_i), z_i ~ N(0, 1)"

    def bound(self, rows: ObservedRows) -> SubjectError:
        """With the standard normal vector raw_sigma [N], one for each subject, as the last prior."""
        raw = dist.Normal(0.0, 1.0).expand([len(rows.subjects)]).to_event(1)
        error = self.error.bound(rows)
        return replace(self, error=error, priors=(*error.priors, ("omega_sigma", self.spread), (RAW, raw)))

    def sites(self, observable: str) -> list[str]:
        return _without_raw(super().sites(observable), observable)

    def told(self, rows: ObservedRows) -> list[str]:
        return self.error.told(rows)

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Any:
        times = jnp.exp(values[-2] * values[-1][rows.subject])
        by_row = [v * times if _is_sd(prefix) else v for (prefix, _), v in zip(self.error.priors, values[:-2], strict=True)]
        return self.error.law(f, by_row, rows, also)


def by_subject(error: Observation, spread: Any) -> SubjectError:
    """A residual standard deviation of each subject: sd_i = sd exp(omega_sigma z_i), z_i ~ N(0, 1).

    `error`: any residual error, or student_error, limits_by, autoregressive, correlated or by_group of one; its sd is that of the typical subject.
    `spread`: prior of omega_sigma (sd of log sd_i), or a number above 0.
    Prefixes: those of `error`, omega_sigma, and the vector raw_sigma [subjects] of the z_i. Raises `FitError`.
    Source: Karlsson et al. 1998, J Pharmacokinet Biopharm 26:207 (eta on epsilon).

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal_error
    >>> by_subject(lognormal_error(0.3), dist.HalfNormal(0.5)).sites("cp")
    ['omega_sigma_cp']
    """
    need_scaled("by_subject", error)
    if any(prefix == "omega_sigma" for prefix, _ in error.priors) or _varies(error):
        raise FitError("by_subject(by_subject(...)): the standard deviation varies between subjects already; take one of the two.")
    need_prior("by_subject", "spread", spread)
    return SubjectError(error, spread, (*error.priors, ("omega_sigma", spread)))


def _varies(error: Observation) -> bool:
    return isinstance(error, SubjectError) or (isinstance(error, GroupedError) and _varies(error.error))


def inside(error: Any, make: Any) -> Any:
    """`make` applied to the residual error inside by_group and by_subject: limits and tails go inside, spreads outside; the law is the same."""
    if isinstance(error, GroupedError):
        return replace(error, error=inside(error.error, make))
    if isinstance(error, SubjectError):
        error_inside = inside(error.error, make)
        return replace(error, error=error_inside, priors=(*error_inside.priors, ("omega_sigma", error.spread)))
    return make(error)
