"""The words of a model: State, Param, Signal, Covariate (Dose has a file of its own). Small frozen values, checked when they are made."""

from __future__ import annotations

import inspect
import keyword
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pkpd import units
from pkpd.errors import ModelError, UnitError, nearest

Support = Literal["positive", "nonnegative", "unit", "real"]
MEANS = {"positive": "above 0", "nonnegative": "0 or above", "unit": "between 0 and 1, both excluded", "real": "any finite number"}
SUPPORTS = tuple(MEANS)


def check_name(name: str, what: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ModelError(
            f"{what} is named {name!r}; a name is made of letters, digits and underscores, begins with no digit "
            "and is no word of Python, like 'k_LB'."
        )


def check_unit(unit: str, what: str) -> None:
    try:
        units.parse(unit)
    except UnitError as error:
        raise UnitError(f"{what}: {error}") from None


def check_takes(function: Callable[..., Any] | None, arguments: tuple[str, ...], what: str) -> None:
    """A function of the wrong number of arguments is refused where it is declared, not where it is first called."""
    if function is None:
        return
    wanted = f"({', '.join(arguments)})"
    if not callable(function):
        raise ModelError(f"{what} must be a function of {wanted}, not {function!r}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some built-in functions do not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ModelError(f"{what} must be a function of {wanted}; the one given takes {signature}.") from None


@dataclass(frozen=True)
class State:
    """An amount or concentration that changes in time: name, unit, meaning, and value before the first dose (a number or a parameter)."""

    name: str
    unit: str
    meaning: str
    initial: float | str = 0.0

    def __post_init__(self) -> None:
        check_name(self.name, "A state")
        check_unit(self.unit, f"State '{self.name}'")
        if not isinstance(self.initial, str) and not math.isfinite(self.initial):
            raise ModelError(f"State '{self.name}' starts at {self.initial}; give a finite number, or the name of a parameter.")


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
        check_unit(self.unit, f"Parameter '{self.name}'")
        if isinstance(self.value, str) or not hasattr(self.value, "__float__"):
            raise ModelError(f"Parameter '{self.name}' has typical value {self.value!r}; give a number.")
        if not self.source.strip():
            raise ModelError(
                f"Parameter '{self.name}' has no source. Say where {self.value:g} [{self.unit}] comes from: "
                "a paper, a data set, or 'assumption: ...'."
            )
        if self.support not in SUPPORTS:
            near = nearest(str(self.support), SUPPORTS)
            hint = f" Did you mean '{near}'?" if near else ""
            raise ModelError(f"Parameter '{self.name}' has support {self.support!r}; accepted: {', '.join(SUPPORTS)}.{hint}")
        if not in_support(self.value, self.support):
            raise ModelError(
                f"Parameter '{self.name}' has typical value {self.value:g}, which lies outside its support "
                f"'{self.support}' ({MEANS[self.support]}). Mend the value or the support."
            )


def in_support(value: float, support: Support) -> bool:
    """Whether a number lies in a support."""
    inside = {"positive": value > 0, "nonnegative": value >= 0, "unit": 0 < value < 1, "real": True}[support]
    return bool(inside) and math.isfinite(value)


@dataclass(frozen=True)
class Signal:
    """A quantity a component works out and others may read (a driver, a perfusion): name, unit, meaning."""

    name: str
    unit: str
    meaning: str

    def __post_init__(self) -> None:
        check_name(self.name, "A signal")
        check_unit(self.unit, f"Signal '{self.name}'")


@dataclass(frozen=True)
class Covariate:
    """A column of the data that a component reads: name, unit, meaning, and the reference value used for a typical subject."""

    name: str
    unit: str
    meaning: str
    reference: float

    def __post_init__(self) -> None:
        check_name(self.name, "A covariate")
        check_unit(self.unit, f"Covariate '{self.name}'")
