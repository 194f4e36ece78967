"""Time to an event: exact, right- or interval-censored, once or again and again, by the cumulative hazard of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from pkpd.errors import FitError
from pkpd.noise import told
from pkpd.noise.discrete import log1mexp
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY
from pkpd.noise.wrapped import previous_row, where


class EventRows(dist.Distribution):
    """Rows of event (1) or none (0) in the interval since the row before; `gap` [n] is the rise of the cumulative hazard, `hazard` [n] in 1/h."""

    arg_constraints = {"gap": constraints.nonnegative, "hazard": constraints.nonnegative}  # noqa: RUF012 (numpyro declares it so)
    support = constraints.boolean
    pytree_data_fields = ("gap", "hazard")
    pytree_aux_fields = ("cens",)

    def __init__(self, gap: Any, hazard: Any, cens: np.ndarray, *, validate_args: Any = None):
        self.gap, self.hazard, self.cens = jnp.maximum(gap, 0.0), jnp.maximum(hazard, TINY), cens
        super().__init__(batch_shape=jnp.shape(gap), validate_args=False)

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Log-likelihood of each row given no event (or none counted) before it."""
        event = jnp.where(self.cens == 1, log1mexp(self.gap), jnp.log(self.hazard) - self.gap)
        return jnp.where(jnp.asarray(value) > 0.5, event, -self.gap)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        u = jax.random.uniform(key, sample_shape + self.batch_shape)
        return (u < -jnp.expm1(-self.gap)).astype(float)


@dataclass(frozen=True, eq=False)
class TimeToEvent(Observation):
    """Rows of event or none; see `time_to_event`."""

    recurrent: bool
    reads: tuple[str, ...] = ()
    priors: tuple[tuple[str, Any], ...] = ()
    kind: str = "time to event"
    equation: str = "log h - (H_k - H_(k-1)) at an event, -(H_k - H_(k-1)) without"
    logs: bool = False

    @property
    def endpoint(self) -> str:
        return "recurrent event" if self.recurrent else "event"

    def told(self, rows: ObservedRows) -> list[str]:
        event, interval = rows.dv == 1, rows.cens == 1
        without = len(set(rows.subject.tolist()) - set(rows.subject[event].tolist()))
        return [
            f"Events: {(event & ~interval).sum()} at exact times, {interval.sum()} in the interval since the row before.",
            f"Without an event: {told.many((~event).sum())}; {told.many(without, 'subject')} had none to the last row (right-censored).",
        ]

    def check(self, rows: ObservedRows) -> list[str]:
        found = [
            f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, and time_to_event takes 1 (event) or 0 (none); mend the row."
            for i in np.flatnonzero(~np.isin(rows.dv, (0.0, 1.0)))
        ]
        found += [
            f"{where(rows, i)}: '{rows.observable}' has CENS {rows.cens[i]:g}, and time_to_event takes 0, or 1 with DV 1 (event since the row before); "
            "mark time without an event by DV 0, CENS 0."
            for i in np.flatnonzero((rows.cens != 0) & ~((rows.cens == 1) & (rows.dv == 1)))
        ]
        return found if self.recurrent else found + self._after(rows)

    def _after(self, rows: ObservedRows) -> list[str]:
        order, before = previous_row(rows)
        done, found = np.zeros(len(order), bool), []
        for i in order:
            done[i] = before[i] >= 0 and (done[before[i]] or rows.dv[before[i]] == 1)
            if done[i]:
                found.append(
                    f"{where(rows, i)}: the subject's event came before this row; drop the row, or give time_to_event(..., recurrent=True)."
                )
        return found

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> EventRows:
        _, before = previous_row(rows)
        start = jnp.where(before < 0, 0.0, f[np.maximum(before, 0)])
        return EventRows(f - start, also(self.reads[0]), rows.cens)


def time_to_event(hazard: str, recurrent: bool = False) -> TimeToEvent:
    """The observable is the cumulative hazard H(t), 0 at time 0; `hazard` names the observable h(t) = dH/dt in 1/h.

    Row k of a subject covers (t_(k-1), t_k]. DV 0: no event, -(H_k - H_(k-1)). DV 1: event at t_k, log h(t_k) - (H_k - H_(k-1)).
    DV 1 with CENS 1: at least one event in the interval, log(1 - exp(-(H_k - H_(k-1)))). Rows after an event need `recurrent`.
    Competing risks: one observable a cause, censored (DV 0) at the event of another; right for exact times. Replicates are drawn row by row.
    Raises `FitError`. Source: Holford 2013, CPT Pharmacometrics Syst Pharmacol 2:e43.

    >>> time_to_event("h_death").reads
    ('h_death',)
    """
    if not isinstance(hazard, str) or not hazard:
        raise FitError(f"time_to_event(hazard={hazard!r}): accepted is the name of the observable that is the hazard.")
    return TimeToEvent(recurrent, (hazard,))
