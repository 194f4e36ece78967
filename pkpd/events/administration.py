"""One dose of a regimen: how much, when, in which shape, and into what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from pkpd.data.vocabulary import Vocabulary
from pkpd.errors import DoseError, choices
from pkpd.events.body import fit_unit, split_size

Shape = Literal["bolus", "duration", "rate", "modelled_duration", "modelled_rate"]


@dataclass(frozen=True)
class Administration:
    """One dose: `amount` in `unit`, given at `time` (h) into the dose route or state `target`; None means the model's only route.

    `shape` is "bolus", "duration" (an infusion lasting `duration` h; bioavailability scales its rate), "rate" (at `rate`, in `rate_unit` per h;
    bioavailability scales its duration), "modelled_duration" or "modelled_rate". `steady_state` 1 puts the system at the steady state of this
    dose every `interval` h, 2 adds that state. `lag` (h) and `bioavailability` are the model's where None. A unit like "mg/kg" counts by
    body size, `at_most` (without the size) caps what it comes to. Amount 0 is a constant infusion at steady state.
    Raises `DoseError` for what no program gives.
    """

    amount: float
    unit: str
    time: float = 0.0
    duration: float = 0.0
    target: str | None = None
    shape: Shape = "bolus"
    rate: float = 0.0
    rate_unit: str = ""
    steady_state: int = 0
    interval: float = 0.0
    lag: float | None = None
    bioavailability: float | None = None
    at_most: float | None = None
    by_model: bool = field(default=False, compare=False, repr=False)  # its unit is a model's own, with the size in it

    def __post_init__(self) -> None:
        if self.constant and not self._says_only_its_rate:
            raise DoseError(
                "A constant infusion at steady state has a rate and nothing else: no amount, end, lag, bioavailability or repetition. "
                "Add the doses that follow it with +."
            )
        if self.steady_state and self.lag is not None and self.lag > self.interval and not self.constant:
            raise DoseError(
                f"A dose at steady state every {self.interval:g} h has a lag of {self.lag:g} h, longer than the interval: programs disagree "
                "on what that means. Give a lag of at most the interval, or write the doses out with every(...)."
            )

    @property
    def constant(self) -> bool:
        """Whether this is a constant infusion at steady state."""
        return self.amount == 0

    @property
    def _says_only_its_rate(self) -> bool:
        plain = self.lag is None and self.bioavailability is None and self.at_most is None
        return plain and (self.shape, self.steady_state, self.interval) == ("rate", 1, 0.0)

    @property
    def order(self) -> tuple:
        """Doses of a regimen stand by time, then by all else, so that `a + b` equals `b + a`; what replaces the state comes first."""
        optional = [(-1.0 if x is None else x) for x in (self.lag, self.bioavailability, self.at_most)]
        shape = (self.shape, self.duration, self.rate, self.rate_unit)
        return (
            self.time,
            self.steady_state != 1,
            self.target or "",
            *shape,
            self.unit,
            self.amount,
            self.interval,
            self.steady_state,
            *optional,
        )

    @property
    def sizes(self) -> frozenset[str]:
        """The body sizes that the dose counts by: "kg", "m^2", or none."""
        return frozenset({self._split(self.unit)[1], self._split(self.rate_unit)[1]} - {""})

    @property
    def record_unit(self) -> str:
        """The unit of the amount once the body is known."""
        return self._split(self.unit)[0]

    def _split(self, unit: str) -> tuple[str, str]:
        return (unit, "") if self.by_model else split_size(unit)

    def for_model(self, words: Vocabulary) -> Administration:
        """The same dose, its target named and its amount in the model's unit; raises `DoseError` or `UnitError` when that fails."""
        target = self.target or _only_route(words)
        wanted = words.dose_unit(target)
        if target not in words.targets:
            raise DoseError(f"A dose goes into '{target}', which is no dose route or state of this model. {choices(target, words.targets)}")
        if wanted is None:
            raise DoseError(f"A dose goes into '{target}', whose unit the vocabulary does not tell. Give the state as Field(name, unit).")
        return replace(self, target=target, **self._in(wanted, f"A dose into '{target}'"))

    def _in(self, wanted: str, what: str) -> dict[str, Any]:
        scale, unit = fit_unit(self.unit, wanted, what)
        speed, rate_unit = fit_unit(self.rate_unit, wanted, f"The rate of {what[0].lower()}{what[1:]}") if self.rate_unit else (1.0, "")
        if self.at_most is not None and unit == wanted:  # the model itself counts by size, and would never know the cap
            raise DoseError(
                f"{what} is capped at {self.at_most:g} {split_size(self.unit)[0]}, and the model counts in '{wanted}'. Leave the cap out."
            )
        cap = None if self.at_most is None else self.at_most * scale
        return {"amount": self.amount * scale, "unit": unit, "rate": self.rate * speed, "rate_unit": rate_unit, "at_most": cap,
                "by_model": bool(split_size(wanted)[1])}  # fmt: skip

    def given(self, sizes: Mapping[str, Any]) -> tuple[Any, Any]:
        """Amount and rate for bodies of these sizes (numbers or arrays by "kg" and "m^2"), the cap applied."""
        amount = self.amount * sizes.get(self._split(self.unit)[1], 1.0)
        capped = amount if self.at_most is None else np.minimum(amount, self.at_most)
        return capped, self.rate * sizes.get(self._split(self.rate_unit)[1], 1.0)

    def for_body(self, sizes: Mapping[str, float]) -> Administration:
        """The same dose for one body: its amount and rate no longer count by size."""
        amount, rate = map(float, self.given(sizes))
        unit, rate_unit = self._split(self.unit)[0], self._split(self.rate_unit)[0]
        return replace(self, amount=amount, unit=unit, rate=rate, rate_unit=rate_unit, at_most=None)


def _only_route(words: Vocabulary) -> str:
    if len(words.doses) == 1:
        return words.doses[0].name
    names = [d.name for d in words.doses] or list(words.targets)
    example = f"Write into='{names[0]}' or another. " if names else ""
    raise DoseError(f"A dose does not say where it goes, and the model has {len(names)} dose routes. {example}{choices('', names)}")
