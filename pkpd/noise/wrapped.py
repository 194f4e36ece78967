"""What the observation models built around a residual error share: its checks, and the measured value on the scale of the residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.noise.law import Observation, ObservedRows, on_logs, reads_of
from pkpd.noise.measurement import TINY
from pkpd.noise.residual import ResidualError


class Around(Observation):
    """An observation whose law is built around that of another one, its field `error`: scale, checks and what it reads are those."""

    if TYPE_CHECKING:  # a field of the frozen subclasses

        @property
        def error(self) -> Any: ...

    @property
    def logs(self) -> bool:
        return on_logs(self.error)

    @property
    def reads(self) -> tuple[str, ...]:
        return reads_of(self.error)

    @property
    def by_design(self) -> bool:
        return self.error.by_design

    @property
    def tails(self) -> bool:
        return self.error.tails

    def check(self, rows: ObservedRows) -> list[str]:
        return self.error.check(rows)


@dataclass(frozen=True, eq=False)
class ErrorWith(Around):
    """Fields of an observation that changes the law of one plain residual error."""

    error: ResidualError
    priors: tuple[tuple[str, Any], ...]
    kind: str
    equation: str
    scaled: bool = True


def need_error(word: str, error: Any, name: str = "error") -> ResidualError:
    """`error` itself; raises `FitError` unless it is one of the plain residual errors."""
    if not isinstance(error, ResidualError):
        more = ", or by_group or by_subject of one" if name == "error" else ""
        raise FitError(
            f"{word}({name}=...) takes additive_error, proportional_error, combined_error, lognormal_error or power_error{more}; "
            f"got {type(error).__name__}."
        )
    return error


def need_scaled(word: str, error: Any) -> None:
    """Raise `FitError` unless `error` is an observation whose sigma may differ from row to row (`scaled`)."""
    if not getattr(error, "scaled", False):
        raise FitError(
            f"{word}(error=...) takes additive_error, proportional_error, combined_error, lognormal_error or power_error, or student_error, limits_by, "
            f"autoregressive, correlated, by_group or by_subject of one; got {type(error).__name__}."
        )


def need_prior(word: str, name: str, prior: Any, low: float = 0.0, high: float = np.inf, example: str = "dist.HalfNormal(0.5)") -> None:
    """Raise `FitError` unless `prior` is a prior inside (low, high), or a number in it."""
    span = f"above {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
    if isinstance(prior, Distribution):
        support: Any = prior.support
        if any(bool(support(jnp.asarray(x))) for x in (low - 1e-9, low - 1.0, high + 1e-9) if np.isfinite(x)):
            raise FitError(
                f"{word}({name}={type(prior).__name__}(...)): this prior reaches values that are not {span}; take {example}, for example."
            )
    elif isinstance(prior, bool) or not isinstance(prior, (int, float)) or not low < prior < high:
        raise FitError(f"{word}({name}={prior!r}): accepted is a prior such as {example}, or a number {span} to hold it fixed.")


def residual_scale(value: Any, logs: bool) -> tuple[Any, Any]:
    """x = y or log y, and log |dy/dx| (0 or log y)."""
    if not logs:
        return value, jnp.zeros_like(value)
    x = jnp.log(jnp.maximum(value, TINY))
    return x, x


def plain(value: Any, logs: bool) -> Any:
    """y of x, the way back of `residual_scale`"""
    return jnp.exp(value) if logs else value


def where(rows: ObservedRows, i: Any) -> str:
    """ "Row 12, subject 3": the place of a scored row in the data file."""
    return f"Row {int(rows.row[i])}, subject {rows.subjects[int(rows.subject[i])]}"


def previous_row(rows: ObservedRows) -> tuple[np.ndarray, np.ndarray]:
    """Order by subject and time [n], and for each row the index of its subject's row before (-1 for the first) [n]."""
    order = np.lexsort((np.arange(len(rows.time)), rows.time, rows.subject))
    before = np.full(len(order), -1)
    same = rows.subject[order][1:] == rows.subject[order][:-1]
    before[order[1:][same]] = order[:-1][same]
    return order, before


def missing(rows: ObservedRows, column: str, word: str, cure: str) -> list[str]:
    """Sentences on a column by row that is absent or empty in places."""
    values = rows.columns.get(column)
    if values is None:
        return [f"{word} needs the column {column} of every row of '{rows.observable}'; the data have none. {cure}"]
    return [f"{where(rows, i)}: {word} needs a value in {column}, and it is empty. {cure}" for i in np.flatnonzero(~np.isfinite(values))]


def refuse_censored(rows: ObservedRows, word: str) -> list[str]:
    """Sentences on censored rows of an endpoint that has no limits."""
    return [
        f"{where(rows, i)}: '{rows.observable}' is marked as censored, and {word} takes CENS 0 only; mend the row."
        for i in np.flatnonzero(rows.cens != 0)
    ]
