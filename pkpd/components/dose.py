"""A dose route: where a dose goes, how much of it arrives and when."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pkpd.components.words import check_name, check_takes, check_unit
from pkpd.errors import ModelError, choices

Value = float | str | Callable[..., Any] | None
ATTRIBUTES = ("lag", "bioavailability", "duration", "rate")
SCALES = ("duration", "rate")


@dataclass(frozen=True)
class Dose:
    """A dose route by name and where it goes: `into={"lung": "f_L", "blood": "1 - f_L"}` (a number, a parameter, or "1 - parameter").

    `lag` (h) delays each dose, `bioavailability` F scales it, `duration` (h) and `rate` (amount/h) are those of infusions whose record says that
    they are modelled (RATE -2 and -1). Each is a number, the name of a parameter of the component, or a function (p, s) of its parameters and
    covariates. Of an infusion given by its rate F scales the duration and the rate stays, as in NONMEM; `scales="rate"` keeps the duration.

    >>> Dose("oral", into="depot", lag="tlag", bioavailability=lambda p, s: p.F * s.FED).lag
    'tlag'
    """

    name: str
    into: tuple[tuple[str, str | float], ...]
    unit: str | None = None
    lag: Value = None
    bioavailability: Value = None
    duration: Value = None
    rate: Value = None
    scales: Literal["duration", "rate"] = "duration"

    def __init__(
        self, name: str, into: Mapping[str, str | float] | tuple | str, unit: str | None = None, lag: Value = None,
        bioavailability: Value = None, duration: Value = None, rate: Value = None, scales: Literal["duration", "rate"] = "duration",
    ):  # fmt: skip
        check_name(name, "A dose route")
        shares = {into: 1.0} if isinstance(into, str) else dict(into)
        if not shares:
            raise ModelError(f"Dose route '{name}' goes nowhere; name a state, as in Dose('{name}', into='central').")
        for state, share in shares.items():
            _check_share(f"Dose route '{name}': the share for '{state}'", share)
        if unit is not None:
            check_unit(unit, f"Dose route '{name}'")
        if scales not in SCALES:
            raise ModelError(
                f"Dose route '{name}': scales={scales!r}: F scales the duration of an infusion given by its rate, or its rate. {choices(str(scales), SCALES)}"
            )
        values = {"lag": lag, "bioavailability": bioavailability, "duration": duration, "rate": rate}
        for attribute, value in values.items():
            _check_value(f"Dose route '{name}': {attribute}", value, zero=attribute in ("lag", "bioavailability"))
        for field, value in {"name": name, "into": tuple(shares.items()), "unit": unit, "scales": scales, **values}.items():
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        """What identifies the route, without addresses of functions."""
        said = {a: getattr(self, a) for a in ATTRIBUTES if getattr(self, a) is not None}
        shown = "".join(f", {a}={'function' if callable(v) else repr(v)}" for a, v in said.items())
        return f"Dose(name={self.name!r}, into={self.into!r}, unit={self.unit!r}{shown}{', scales=rate' if self.scales == 'rate' else ''})"


def _check_share(what: str, share: str | float) -> None:
    good = re.fullmatch(r"(1\s*-\s*)?[^\W\d]\w*", share.strip()) is not None if isinstance(share, str) else 0 <= share < math.inf
    if not good:
        raise ModelError(f"{what} is {share!r}; give a number that is not negative, the name of a parameter, or '1 - name'.")


def _check_value(what: str, value: Value, zero: bool) -> None:
    if value is None:
        return
    if callable(value):
        return check_takes(value, ("p", "s"), what)
    if isinstance(value, str):
        if not value.isidentifier():
            raise ModelError(f"{what} is {value!r}; give a number, the name of a parameter, or a function (p, s).")
        return None
    number = float(value) if hasattr(value, "__float__") and not isinstance(value, bool) else math.nan
    if not (number >= 0 if zero else number > 0) or not math.isfinite(number):
        raise ModelError(
            f"{what} is {value!r}; give a number {'that is not negative' if zero else 'above zero'}, the name of a parameter, or a function (p, s)."
        )
    return None
