"""The words of a model: State, Param, Dose, Signal, Covariate. Small frozen values, checked when they are made."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pkpd import units
from pkpd.errors import ModelError

Support = Literal["positive", "nonnegative", "unit", "real"]
SUPPORTS = ("positive", "nonnegative", "unit", "real")


def check_name(name: str, what: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ModelError(f"{what} is named {name!r}; a name is a word of letters, digits and underscores that does not begin with a digit, like 'k_LB'.")


@dataclass(frozen=True)
class State:
    """An amount or concentration that changes in time: its name, unit, meaning, and value before the first dose (a number or a parameter's name)."""

    name: str
    unit: str
    meaning: str
    initial: float | str = 0.0

    def __post_init__(self) -> None:
        check_name(self.name, "A state")
        units.parse(self.unit)


@dataclass(frozen=True)
class Param:
    """A parameter: name, typical value, unit, meaning, source (a paper, a data set, or "assumption: why") and support.

    Support is "positive", "nonnegative", "unit" (between 0 and 1) or "real". A parameter without a source is refused.
    """

    name: str
    value: float
    unit: str
    meaning: str
    source: str = ""
    support: Support = "positive"

    def __post_init__(self) -> None:
        check_name(self.name, "A parameter")
        units.parse(self.unit)
        if not self.source.strip():
            raise ModelError(
                f"Parameter '{self.name}' has no source. Say where {self.value:g} {self.unit} comes from: a paper, a data set, or 'assumption: ...'."
            )
        if self.support not in SUPPORTS:
            raise ModelError(f"Parameter '{self.name}' has support {self.support!r}; accepted: {', '.join(SUPPORTS)}.")
        if not in_support(self.value, self.support):
            raise ModelError(f"Parameter '{self.name}' has typical value {self.value:g}, which lies outside its support '{self.support}'.")


def in_support(value: float, support: Support) -> bool:
    """Whether a number lies in a support."""
    if support == "positive":
        return value > 0
    if support == "nonnegative":
        return value >= 0
    return 0 < value < 1 if support == "unit" else value == value


@dataclass(frozen=True)
class Dose:
    """A dose route by name and where it goes: `into={"lung": "f_L", "blood": "1 - f_L"}` (a number, a parameter, or "1 - parameter")."""

    name: str
    into: tuple[tuple[str, str | float], ...]
    unit: str | None = None

    def __init__(self, name: str, into: Mapping[str, str | float] | tuple | str, unit: str | None = None):
        check_name(name, "A dose route")
        if isinstance(into, str):
            into = {into: 1.0}
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "into", tuple(dict(into).items()))
        object.__setattr__(self, "unit", unit)


@dataclass(frozen=True)
class Signal:
    """A quantity a component works out and others may read (a driver, a perfusion): name, unit, meaning."""

    name: str
    unit: str
    meaning: str

    def __post_init__(self) -> None:
        check_name(self.name, "A signal")
        units.parse(self.unit)


@dataclass(frozen=True)
class Covariate:
    """A column of the data that a component reads: name, unit, meaning, and the reference value used for a typical subject."""

    name: str
    unit: str
    meaning: str
    reference: float

    def __post_init__(self) -> None:
        check_name(self.name, "A covariate")
        units.parse(self.unit)
