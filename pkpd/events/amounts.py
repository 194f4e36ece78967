"""Amounts and days as people write them: a number with its unit, a count of cells, a day of the trial."""

from __future__ import annotations

import math
from typing import Any

from pkpd import units
from pkpd.errors import DoseError, UnitError
from pkpd.events.body import by_size, split_size

CELLS = "1e9 cells"


def cells(count: Any, viability: Any = 1.0, car_fraction: Any = 1.0) -> tuple[float, str]:
    """The amount of a dose of cells, as what acts: infused cells x viability x CAR-positive fraction, in 1e9 cells.

    `count` is the number of cells infused (5e9); `viability` and `car_fraction` lie above 0 and at most at 1.
    Returns an amount, a `(number, "1e9 cells")` pair. Raises `DoseError` for a number that cannot be one of these.

    >>> cells(5e9, viability=0.8, car_fraction=0.5)
    (2.0, '1e9 cells')
    """
    for name, share in (("viability", viability), ("car_fraction", car_fraction)):
        if not 0 < read_number(share, f"cells(..., {name}=...)") <= 1:
            raise DoseError(f"cells(..., {name}={share!r}): a fraction lies above 0 and at most at 1. Write 0.8 for 80 %.")
    if read_number(count, "cells(...)") <= 0:
        raise DoseError(f"cells({count!r}): a dose needs a count above zero, as in cells(5e9).")
    return float(count) / 1e9 * float(viability) * float(car_fraction), CELLS


def day(number: Any) -> tuple[float, str]:
    """The time at which a day of the trial begins: day 1 starts at 0 h, day d at 24 (d - 1) h.

    `number` is at least 1 and may be a fraction (`day(1.5)` is noon of day 1). Raises `DoseError` below 1.

    >>> day(3)
    (48.0, 'h')
    """
    if read_number(number, "day(...)") < 1:
        raise DoseError(f"day({number!r}): days count from 1, where the clock stands at 0 h. For an earlier time write (-24, 'h').")
    return 24.0 * (float(number) - 1.0), units.CLOCK


def read_amount(amount: Any) -> tuple[float, str]:
    """A checked amount: a number above zero and a unit that can be read, by body size where it ends in "/kg" or "/m^2"."""
    if not (isinstance(amount, tuple) and len(amount) == 2 and isinstance(amount[1], str)):
        raise UnitError(f"The amount of a dose needs its unit: got {amount!r}. Write a pair like (100, 'mg'), or cells(5e9) for cells.")
    number, unit = read_number(amount[0], "The amount of a dose"), by_size(*split_size(amount[1]))
    units.parse(split_size(unit)[0])
    if number <= 0:
        raise DoseError(f"The amount of a dose is {number:g} {unit}; it must be above zero. For an arm without doses write sum_of(()).")
    return number, unit


def read_rate(rate: Any, unit: str | None = None) -> tuple[float, str]:
    """A checked rate above zero, and its unit per hour: `unit`'s amount where the rate fits it.

    >>> read_rate((1, "mg/kg/min"), "mg")
    (60.0, 'mg/kg')
    """
    if not (isinstance(rate, tuple) and len(rate) == 2 and isinstance(rate[1], str)):
        raise UnitError(f"The rate of an infusion needs its unit: got {rate!r}. Write a pair like (50, 'mg/h').")
    number, (plain, size) = read_number(rate[0], "The rate of an infusion"), split_size(rate[1])
    if number <= 0:
        raise DoseError(f"The rate of an infusion is {number:g} {rate[1].strip()}; it must be above zero.")
    amount = split_size(unit)[0] if unit else _numerator(plain, rate)
    return number * units.factor(plain, f"({amount})/{units.CLOCK}", "The rate of an infusion"), by_size(amount, size)


def _numerator(plain: str, rate: Any) -> str:
    amount, stroke, _ = plain.rpartition("/")
    if not stroke:
        raise UnitError(f"The rate of an infusion is {rate!r}, no amount by time. Write a pair like (50, 'mg/h').")
    return amount.strip()


def read_time(time: Any, what: str) -> float:
    """A time in hours from a `(number, "unit")` pair; a bare number is refused."""
    hours = units.quantity(time, units.CLOCK, what)
    if not math.isfinite(hours):
        raise DoseError(f"{what} is {time!r}; it must be a finite time.")
    return hours


def read_length(time: Any, what: str) -> float:
    """A length of time in hours, above zero."""
    hours = read_time(time, what)
    if hours <= 0:
        raise DoseError(f"{what} is {time!r}; it must be longer than zero.")
    return hours


def read_lag(time: Any) -> float:
    """A lag in hours, zero or more."""
    hours = read_time(time, "The lag of a dose")
    if hours < 0:
        raise DoseError(f"The lag of a dose is {time!r}; it must not be below zero. To give a dose earlier use .at(...).")
    return hours


def read_number(value: Any, what: str) -> float:
    """A finite number, or a sentence about what was given instead."""
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or not math.isfinite(float(value)):
        raise DoseError(f"{what} takes a finite number, got {value!r}.")
    return float(value)
