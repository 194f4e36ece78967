"""Rows below the limit of quantification (BLQ) the ways of Beal 2001: M1 to M7 by name. M3 is what a plain residual error does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri

from pkpd.errors import FitError, choices
from pkpd.noise import told
from pkpd.noise.grouped import GroupedError, SubjectError, inside
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import Measurement
from pkpd.noise.tails import log_below
from pkpd.noise.wrapped import ErrorWith, missing, need_error, plain, previous_row, residual_scale, where

METHODS = {
    "M1": "BLQ rows are left out (for comparison only)",
    "M2": "BLQ rows are left out, the others are conditional on y > LLOQ",
    "M3": "P(y < LLOQ) for BLQ rows",
    "M4": "P(y < LLOQ | y > 0) for BLQ rows, the others are conditional on y > 0",
    "M5": "BLQ rows are set to LLOQ/2 (for comparison only)",
    "M6": "the first BLQ row of a run is set to LLOQ/2, the later ones are left out (for comparison only)",
    "M7": "BLQ rows are set to 0 (for comparison only)",
}
_FACTOR = {"M5": 0.5, "M6": 0.5, "M7": 0.0}


class LimitedMeasurement(Measurement):
    """Rows some of which are left out, replaced, or conditional on y > `above`.

    `keep` [n] bool: rows with a term; `factor` [n]: what multiplies the measured value (0.5 for LLOQ/2); `above` [n]: -inf where the row is
    not conditional. Replicates are conditional on y > 0 where `positive`, else unconditional.
    """

    pytree_aux_fields = ("keep", "factor", "above", "positive")

    def __init__(self, loc_scale: tuple[Any, Any], limits: tuple, keep: np.ndarray, factor: np.ndarray, above: np.ndarray, positive: bool):
        super().__init__(*loc_scale, *limits)
        self.keep, self.factor, self.above, self.positive = keep, factor, above, positive

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row, 0 for those left out."""
        result = super().log_prob(value * self.factor)
        conditional = self.keep & np.isfinite(self.above)
        if np.any(conditional):
            low, _ = residual_scale(jnp.asarray(np.where(conditional, self.above, 1.0)), bool(np.all(self.logs)))
            z = jnp.where(conditional, (self.loc - low) / self.scale, 0.0)
            result = result - jnp.where(conditional, log_below(z), 0.0)
        return jnp.where(self.keep, result, 0.0)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        if not self.positive:
            return super().sample(key, sample_shape)
        u = jax.random.uniform(key, sample_shape + self.batch_shape, minval=1e-16)
        z = -ndtri(jnp.maximum(u * ndtr(self.loc / self.scale), 1e-300))
        return jnp.maximum(plain(self.loc + self.scale * z, False), 0.0)


@dataclass(frozen=True, eq=False)
class LimitedError(ErrorWith):
    """A residual error with its BLQ rows treated by a named method; see `limits_by`."""

    method: str = ""
    by_design = False

    def check(self, rows: ObservedRows) -> list[str]:
        return [*self.error.check(rows), *self._check_method(rows)]

    def _check_method(self, rows: ObservedRows) -> list[str]:
        if self.method == "M2":
            return self._check_limits(rows)
        if self.method == "M4" and not self.logs:
            return [
                f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, and M4 takes values above 0 only; use M3, which lets y be negative."
                for i in np.flatnonzero(~(rows.dv > 0))
            ]
        bounded = (rows.cens == 1) & (rows.lower > 0) if self.method in _FACTOR else np.zeros(len(rows.dv), bool)
        return [
            f"{where(rows, i)}: '{rows.observable}' is between {rows.lower[i]:g} and {rows.dv[i]:g}, and {self.method} takes rows below a limit only; "
            "use M3, which takes intervals."
            for i in np.flatnonzero(bounded)
        ]

    def _check_limits(self, rows: ObservedRows) -> list[str]:
        absent = missing(rows, "lloq", "M2", "Give LLOQ in the data, or use M3, which needs it in BLQ rows only.")
        if "lloq" not in rows.columns:
            return absent
        low = (rows.cens == 0) & (rows.dv < rows.columns["lloq"])
        return absent + [
            f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, below its LLOQ {rows.columns['lloq'][i]:g}, and not marked as censored; set CENS 1."
            for i in np.flatnonzero(low)
        ]

    def told(self, rows: ObservedRows) -> list[str]:
        return [*told.exact(rows), *self._told_below(rows), *told.above(rows), *told.given_limits(rows)]

    def _told_below(self, rows: ObservedRows) -> list[str]:
        blq, kept = rows.cens == 1, self._kept(rows)
        dropped, replaced = told.many((blq & ~kept).sum()), told.many((blq & kept).sum())
        if self.method == "M4":
            why = "" if self.logs else " given y > 0; the exact rows are conditional on y > 0 too"
            return told.below(rows, f"P(y < limit){why} (M4)") if blq.any() else []
        limits = f"; limits {told.listed(rows.dv[blq])}" if blq.any() else ""
        text = {
            "M1": f"Below the limit: {dropped} left out (M1){limits}.",
            "M2": f"Below the limit: {dropped} left out, the others conditional on y > LLOQ (M2){limits}.",
            "M5": f"Below the limit: {replaced} replaced by LLOQ/2 (M5){limits}.",
            "M6": f"Below the limit: {replaced}, the first of a run, replaced by LLOQ/2; {dropped} later in a run left out (M6){limits}.",
            "M7": f"Below the limit: {replaced} replaced by 0 (M7){limits}.",
        }
        return [text[self.method]]

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> LimitedMeasurement:
        blq, n = rows.cens == 1, len(rows.dv)
        replaced = blq & (self.method in _FACTOR)
        positive = self.method == "M4" and not self.logs
        lower = np.where(blq & positive, np.fmax(rows.lower, 0.0), rows.lower)
        limits = np.full(n, self.logs), np.where(replaced, 0, rows.cens), lower
        factor = np.where(replaced, _FACTOR.get(self.method, 1.0), 1.0)
        above = rows.columns["lloq"] if self.method == "M2" else np.full(n, 0.0 if positive else -np.inf)
        return LimitedMeasurement(self.error.mean_sd(f, values), limits, self._kept(rows), factor, above, positive)

    def _kept(self, rows: ObservedRows) -> np.ndarray:
        blq = rows.cens == 1
        if self.method == "M6":
            _, before = previous_row(rows)
            return ~(blq & (before >= 0) & blq[np.maximum(before, 0)])
        return ~blq if self.method in ("M1", "M2") else np.ones(len(blq), bool)


def limits_by(error: Observation, method: str = "M3") -> Any:
    """How rows below the limit of quantification (cens 1) count; Phi the normal distribution function, L the LLOQ, s the residual sd.

    M1: left out. M2: left out, other rows phi((y - f)/s) / s / Phi((f - L)/s). M3: Phi((L - f)/s), what `error` does by itself (returned unchanged).
    M4: [Phi((L - f)/s) - Phi(-f/s)] / Phi(f/s), other rows divided by Phi(f/s); equals M3 under lognormal_error. M5: y = L/2.
    M6: y = L/2 for the first of a run of BLQ rows of a subject, the later left out. M7: y = 0. M1 and M5 to M7 are biased, for comparison only.
    `error`: any plain residual error, or by_group or by_subject of one. Rows above a limit (cens -1) keep P(y > limit). M2 needs the column lloq in
    every row. Replicates are those of `error`; under M4 given y > 0.
    Raises `FitError`.
    Source: Beal 2001, J Pharmacokinet Pharmacodyn 28:481; Ahn et al. 2008, J Pharmacokinet Pharmacodyn 35:401; Bergstrand & Karlsson 2009, AAPS J 11:371.

    >>> from pkpd import additive_error
    >>> limits_by(additive_error(0.3), "M4").kind
    'additive, M4'
    """
    if isinstance(error, (GroupedError, SubjectError)):
        return inside(error, lambda e: limits_by(e, method))
    error = need_error("limits_by", error)
    if method not in METHODS:
        raise FitError(f"limits_by(method={method!r}): no such method. {choices(str(method), METHODS)}")
    if method == "M7" and error.logs:
        raise FitError(
            "limits_by(lognormal_error(...), method='M7'): a BLQ value of 0 has no logarithm; use M3, or an additive or combined error."
        )
    if method == "M3":
        return error
    equation = f"{error.equation}; {METHODS[method]}"
    return LimitedError(error, error.priors, f"{error.kind}, {method}", equation, method=method)
