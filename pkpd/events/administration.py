"""One dose of a regimen: how much, when, for how long, and into what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pkpd import units
from pkpd.data.vocabulary import Vocabulary
from pkpd.errors import DoseError, choices

SHOWN = 6


@dataclass(frozen=True)
class Administration:
    """One dose: `amount` in `unit`, begun at `time` (h) and lasting `duration` (h; 0 is a bolus), into the dose route or state `target`.

    Target None means the only dose route of whichever model receives it.
    """

    amount: float
    unit: str
    time: float = 0.0
    duration: float = 0.0
    target: str | None = None

    @property
    def order(self) -> tuple:
        """Doses of a regimen stand by time, then by all else, so that `a + b` equals `b + a`."""
        return (self.time, self.target or "", self.duration, self.unit, self.amount)

    def for_model(self, words: Vocabulary) -> Administration:
        """The same dose, its target named and its amount in the model's unit; raises `DoseError` or `UnitError` when that fails."""
        target = self.target or _only_route(words)
        wanted = words.dose_unit(target)
        if target not in words.targets:
            raise DoseError(f"A dose goes into '{target}', which is no dose route or state of this model. {choices(target, words.targets)}")
        if wanted is None:
            raise DoseError(f"A dose goes into '{target}', whose unit the vocabulary does not tell. Give the state as Field(name, unit).")
        amount = self.amount * units.factor(self.unit, wanted, f"A dose into '{target}'")
        return replace(self, target=target, amount=amount, unit=wanted)


def _only_route(words: Vocabulary) -> str:
    if len(words.doses) == 1:
        return words.doses[0].name
    names = [d.name for d in words.doses] or list(words.targets)
    example = f"Write into='{names[0]}' or another. " if names else ""
    raise DoseError(f"A dose does not say where it goes, and the model has {len(names)} dose routes. {example}{choices('', names)}")


def describe(doses: Iterable[Administration]) -> str:
    """Doses in words, those that differ in time only taken together.

    >>> describe([Administration(100.0, "mg", 24.0 * k, target="depot") for k in range(3)])
    '100 mg into depot at 0, 24, 48 h'
    """
    times: dict[tuple, list[float]] = {}
    for d in doses:
        times.setdefault((d.amount, d.unit, d.duration, d.target), []).append(d.time)
    return "; ".join(_line(*key, at) for key, at in times.items()) or "no doses"


def _line(amount: float, unit: str, duration: float, target: str | None, at: list[float]) -> str:
    much = f"{amount:g} x {unit}" if unit[:1].isdigit() else f"{amount:g} {unit}"
    long = f" over {duration:g} h" if duration else ""
    shown = [f"{t:g}" for t in at] if len(at) <= SHOWN else [*(f"{t:g}" for t in at[:3]), "...", f"{at[-1]:g}"]
    count = f" ({len(at)} doses)" if len(at) > SHOWN else ""
    return f"{much}{long}{f' into {target}' if target else ''} at {', '.join(shown)} h{count}"
