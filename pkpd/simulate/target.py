"""What a dose is to reach: a level at a time, a peak, a trough or an area under the curve, between two limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np

from pkpd import units
from pkpd.errors import FitError, choices
from pkpd.events.amounts import read_time
from pkpd.model import Model

KINDS = ("level", "trough", "peak", "auc")
BEFORE, AFTER = -1e12, 1e12
FINE = (12, (0.0, 1.0 / 64, 1.0 / 16, 0.25, 1.0))
"""Gauss-Legendre nodes a panel, and how the time between two events is divided into panels, fine behind the first."""
COARSE = (6, (0.0, 0.125, 1.0))
"""The same for the steps of an optimisation, whose end is looked at again finely."""


@dataclass(frozen=True)
class Target:
    """An observable's level or trough at `end` (h), or its peak or AUC from `start` to `end`, wanted from `low` to `high` (in the model's unit; AUC x h).

    `trough` is read before a dose given at `end`, `level` after it.
    """

    kind: str
    observable: str
    low: float
    high: float
    start: float
    end: float
    unit: str

    @property
    def words(self) -> str:
        """What is meant, as in "trough of cp at 24 h"."""
        when = f"at {self.end:g} h" if self.kind in ("level", "trough") else f"from {self.start:g} to {self.end:g} h"
        return f"{self.kind} of {self.observable} {when}"

    @property
    def goal(self) -> float:
        """The middle of the limits, on the log scale where both are positive and finite; else the finite one."""
        if not np.isfinite(self.high):
            return self.low
        if not np.isfinite(self.low):
            return self.high
        return float(np.sqrt(self.low * self.high)) if self.low > 0 else 0.5 * (self.low + self.high)

    @cached_property
    def point(self) -> bool:
        return self.kind in ("level", "trough")

    def looks(self, events: Any, nodes: tuple[int, tuple[float, ...]] = FINE) -> tuple[Any, Any, Any]:
        """Times, ranks and weights [T] of the looks it needs; `events` [E] (h) are where doses begin or end, which may be traced."""
        if self.point:
            return jnp.full(1, self.end), jnp.full(1, BEFORE if self.kind == "trough" else AFTER), jnp.ones(1)
        x, w = np.polynomial.legendre.leggauss(nodes[0])
        edges = jnp.sort(jnp.clip(jnp.concatenate([jnp.asarray(events, float), jnp.array([self.start, self.end])]), self.start, self.end))
        length = jnp.diff(edges)[:, None]
        cuts = edges[:-1, None] + length * jnp.asarray(nodes[1])
        middle, half = 0.5 * (cuts[:, 1:] + cuts[:, :-1]), 0.5 * jnp.diff(cuts, axis=1)
        times = (middle[..., None] + half[..., None] * x).ravel()
        weights = (half[..., None] * w).ravel()
        every = jnp.concatenate([times, edges])
        ranks = jnp.where(every < self.end, AFTER, BEFORE)  # a dose at the end of the window belongs to the next one
        return every, ranks, jnp.concatenate([weights, jnp.zeros(edges.size)])

    def value(self, weights: Any, y: Any) -> Any:
        """Of each lane [L], from the observable at the looks y [T, L]."""
        if self.point:
            return y[0]
        return jnp.max(y, 0) if self.kind == "peak" else jnp.einsum("t,tl->l", weights, y)

    def met(self, value: Any) -> Any:
        """Whether each value lies between the limits."""
        return (value >= self.low) & (value <= self.high)


def target(
    kind: str,
    observable: str,
    between: tuple[float, float],
    *,
    at: Any = None,
    window: tuple[Any, Any] | None = None,
    unit: str,
    model: Model,
) -> Target:
    """A `Target` of a model: `kind` "level" or "trough" with `at=(24, "h")`, "peak" or "auc" with `window=((0, "h"), (24, "h"))`.

    `between` are the limits in `unit` (a limit may be infinite); those of an AUC are in the observable's unit times a time ("mg*h/L"). Raises `FitError` for
    a kind or observable that is not known and limits that are none, `UnitError` for a unit of another kind.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> target("trough", "cp", (10.0, 15.0), at=(24, "h"), unit="ug/mL", model=one_compartment_iv).words
    'trough of cp at 24 h'
    """
    if kind not in KINDS:
        raise FitError(f"target('{kind}', ...): there is no such target. {choices(kind, KINDS)}")
    if observable not in model.observable_names:
        raise FitError(f"{model.name} has no observable '{observable}'. {choices(observable, model.observable_names)}")
    own = next(o.unit for o in model.observables if o.name == observable)
    own = f"({own})*h" if kind == "auc" else own
    factor = units.factor(unit, own, f"The limits of {kind}")
    low, high = (float(x) * factor for x in between)
    if not low < high:
        raise FitError(
            f"target('{kind}', '{observable}', {tuple(between)}): the lower limit is below the upper one; either may be infinite."
        )
    start, end = _when(kind, at, window)
    return Target(kind, observable, low, high, start, end, own)


def _when(kind: str, at: Any, window: Any) -> tuple[float, float]:
    point = kind in ("level", "trough")
    if point != (at is not None) or point == (window is not None):
        wanted = "at=(24, 'h')" if point else "window=((0, 'h'), (24, 'h'))"
        raise FitError(f"target('{kind}', ...) is read {'at a time' if point else 'over a time'}: give {wanted}.")
    if point:
        end = read_time(at, "The time of a target")
        return end, end
    start, end = (read_time(x, "The window of a target") for x in window)
    if not start < end:
        raise FitError(f"target('{kind}', ..., window={window}): the window ends after it begins.")
    return start, end
