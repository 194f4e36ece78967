"""From a plan's doses to a schedule: which lags, bioavailabilities, rates and durations are numbers, which are estimated and move segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.components.dose import ATTRIBUTES
from pkpd.errors import ModelError, choices
from pkpd.events.layout import Fault, Given, Layout, lay_out
from pkpd.events.plan import LAST, MODELLED_DURATION, MODELLED_RATE, RATE, Plan
from pkpd.events.schedule import Schedule, known, schedule_of
from pkpd.model.model import Model


def on_records(plan: Plan, times: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Covariates [j, ., B] of what stands on records: the record's own; without a record, those of the time."""
    by_time = plan.intervals.at(times)
    if plan.by_record is None:
        return by_time
    return np.where(places >= 0, plan.by_record[:, np.maximum(places, 0)], by_time)


@dataclass(frozen=True, eq=False)
class Administered:
    """A plan's doses under a model's routes; `free` are the parameters that may differ from the values they have in `at` (else: typical ones).

    `strict` makes it a fault of the subject when a free lag moves a dose across a reset or steady-state record.
    """

    model: Model
    plan: Plan
    free: frozenset[str]
    at: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False

    def __post_init__(self) -> None:
        for target in self.plan.targets:
            if target not in self.model.routes:
                raise ModelError(f"{self.model.name} has no dose route '{target}'. {choices(target, self.model.routes)}")
        self._refuse()

    @cached_property
    def at_doses(self) -> Any:
        """Covariates at the record of each dose [j, A, B]; an additional dose has those of the record that asked for it."""
        return on_records(self.plan, self.plan.doses.record, self.plan.doses.place)

    @cached_property
    def at_steady(self) -> Any:
        """Covariates at each steady-state record [j, S, B]."""
        return self.at_doses[:, (self.plan.doses.steady > 0).any(1)]

    @cached_property
    def reads(self) -> dict[tuple[str, str], frozenset[str]]:
        """What each route's attribute reads, for those that the model declares."""
        found = {}
        q = {c.name: jnp.asarray(float(c.reference)) for c in self.model.covariates}
        p = {n: jnp.asarray(v) for n, v in self.model.typical.items()}
        with jax.ensure_compile_time_eval():
            for target in self.plan.targets:
                for attribute in ATTRIBUTES:
                    seen: set[str] = set()
                    if self.model.dose_value(target, attribute, p, q, seen.add) is not None:
                        found[target, attribute] = frozenset(seen)
        return found

    def _is_free(self, target: str, attribute: str) -> bool:
        return bool(self.reads.get((target, attribute), frozenset()) & self.free)

    def _used(self, target: str, *shapes: int) -> np.ndarray:
        d = self.plan.doses
        return (d.target == self.plan.targets.index(target)) & np.isin(d.shape, shapes)

    def _refuse(self) -> None:
        """Records that ask the model for what it does not say, or say what the model says too."""
        d, name = self.plan.doses, self.model.name
        for i, target in enumerate(self.plan.targets):
            for attribute, shape, code in (("duration", MODELLED_DURATION, -2), ("rate", MODELLED_RATE, -1)):
                rows = d.row[self._used(target, shape)]
                if len(rows) and (target, attribute) not in self.reads:
                    raise ModelError(
                        f"Row {rows[0]} doses '{target}' with RATE {code} (a modelled {attribute}), but {name} declares none for it. "
                        f"Declare Dose('{target}', ..., {attribute}=...), or give the {attribute} in the records."
                    )
            by_rate = np.isin(d.shape, (RATE, MODELLED_RATE))
            said = {
                "lag": ~np.isnan(d.lag),
                "bioavailability": ~np.isnan(d.bioavailability),
                "duration": d.stated & ~by_rate,
                "rate": d.stated & by_rate,
            }
            for attribute, column in said.items():
                rows = d.row[(d.target == i) & column]
                if len(rows) and (target, attribute) in self.reads:
                    raise ModelError(
                        f"Row {rows[0]} gives the {attribute} of a dose into '{target}', and {name} declares one for that route as well. "
                        f"Drop the column, or the route's {attribute}."
                    )

    @cached_property
    def moves(self) -> bool:
        """Whether event times depend on free parameters."""
        for t in self.plan.targets:
            if self._is_free(t, "lag") or (self._is_free(t, "duration") and self._used(t, MODELLED_DURATION).any()):
                return True
            if self._is_free(t, "rate") and self._used(t, MODELLED_RATE).any():
                return True
            if self._is_free(t, "bioavailability") and (self._used(t, RATE, MODELLED_RATE).any() or self.plan.intervals.varies):
                return True
        return False

    def given(self, p: Mapping[str, Any], xp: Any, scaled: bool = True) -> Given:
        """Lag, bioavailability, duration and rate of each dose at parameters [B]; without `scaled` a free bioavailability is left out."""
        d, values = self.plan.doses, known(self.plan, xp)
        q = dict(zip(self.model.covariate_names, self.at_doses, strict=True))
        out = {a: xp.asarray(getattr(values, a)) for a in ATTRIBUTES}
        from_model = {"duration": d.shape == MODELLED_DURATION, "rate": d.shape == MODELLED_RATE}
        scales_rate = np.zeros(d.shape.shape, bool)
        for i, target in enumerate(self.plan.targets):
            here = d.target == i
            if target in self.model.dose_owner:
                scales_rate = scales_rate | (here & (self.model.dose_owner[target][0].scales == "rate"))
            for attribute in ATTRIBUTES:
                if (target, attribute) not in self.reads or (
                    attribute == "bioavailability" and not scaled and self._is_free(target, attribute)
                ):
                    continue
                value = xp.asarray(self.model.dose_value(target, attribute, p, q))
                out[attribute] = xp.where(here & from_model.get(attribute, True), value, out[attribute])
        return Given(out["lag"], out["bioavailability"], out["duration"], out["rate"], scales_rate)

    def _typical(self) -> dict[str, Any]:
        return {n: np.asarray(v) for n, v in {**self.model.typical, **self.at}.items()}

    @cached_property
    def schedule(self) -> Schedule:
        """Segments at typical values; where nothing moves, all there is (but for a free bioavailability, applied by `scale`)."""
        with jax.ensure_compile_time_eval():
            given = self.given(self._typical(), np, scaled=self.moves)
            return schedule_of(self.plan, Given(*(np.asarray(x) for x in given)), self.moves, self.strict)

    def scale(self, p: Mapping[str, Any]) -> list[Any]:
        """What a free bioavailability multiplies each target's amounts by, where segments do not move."""
        q = dict(zip(self.model.covariate_names, self.plan.intervals.value[:, 0], strict=True))
        free = lambda t: not self.moves and self._is_free(t, "bioavailability")  # noqa: E731
        return [self.model.dose_value(t, "bioavailability", p, q) if free(t) else 1.0 for t in self.plan.targets]

    def scale_fault(self, p: Mapping[str, Any]) -> Any:
        """`Fault.BAD_DOSE` where a bioavailability applied by `scale` is negative or no number and a dose is given by it [B]."""
        fault = jnp.zeros(self.plan.lanes, int)
        for i, share in enumerate(self.scale(p)):
            if not isinstance(share, float):
                used = (self.plan.doses.target == i).any(0)
                fault = jnp.where(used & ~((share >= 0) & (share < LAST)), int(Fault.BAD_DOSE), fault)
        return fault

    def layout(self, p: Mapping[str, Any]) -> Layout:
        """Segments at the parameters p [B]."""
        s = self.schedule
        if s.static is None:
            return Layout(s.edges, s.amount, s.rate, s.reset, s.clear, s.interval, s.segment, s.steady, s.fault)
        return lay_out(self.plan, self.given(p, jnp), s.static, jnp, jax.lax.stop_gradient)

    def before(self, p: Mapping[str, Any]) -> Any:
        """How many doses begin before each look [M, B]: where it differs between two values of p, a dose has moved across that look."""
        start = self.plan.doses.time + self.given(p, jnp).lag
        start = jnp.where((self.plan.doses.target >= 0) & (start <= self.plan.doses.until), start, jnp.inf)
        return jnp.sum(start[None] <= self.plan.look_time[:, None], 1)
