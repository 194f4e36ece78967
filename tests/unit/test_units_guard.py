"""Units from a data file are read or refused at once: no text makes the reader of units work out a huge power."""

from __future__ import annotations

import math
import time

import pytest

from pkpd.errors import UnitError
from pkpd.units import HOW, factor, parse

POWER = "a power is a number of at most three digits, and no power of a power"
TOWERS = [
    "9**9**9**9",
    "9^9^9^9",
    "9**(9)**9",
    "9**-9**9**9",
    "2**(99999999*999999)",
    "9**(9**9**9)",
    "10**100000000",
    "9··9··9··9",
    "9⁹⁹⁹⁹⁹⁹⁹",
]


@pytest.mark.parametrize("text", TOWERS)
def test_a_tower_of_powers_is_refused_before_it_is_worked_out(text):
    parse("mg")  # the table of units is read once
    began = time.perf_counter()
    with pytest.raises(UnitError) as error:
        parse(text)
    assert str(error.value) == f"'{text}' is not a unit I can read ({POWER}). {HOW}"
    assert time.perf_counter() - began < 1.0  # microseconds; working one of them out takes years


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("((9**20)**20)**20", "its powers are too large"),
        ("m" * 100, "it has 100 characters"),
        ("0 mg", "its size is 0"),
        ("-1 mg", "its size is -1e-06"),
        ("1e999 mg", "its size is inf"),
        ("nan mg", "its size is nan"),
    ],
)
def test_what_is_no_size_is_no_unit(text, reason):
    with pytest.raises(UnitError) as error:
        parse(text)
    shown = text if len(text) <= 40 else text[:37] + "..."
    assert str(error.value) == f"'{shown}' is not a unit I can read ({reason}). {HOW}"


@pytest.mark.parametrize("text", ["mg/m**2", "mg/m^2", "mg/m²", "mg·m⁻²", "mg m**(-2)", "mg/(m**2)"])
def test_powers_that_people_write_are_read(text):
    assert parse(text).same(parse("mg/m/m"))


def test_broken_powers_of_allometry_are_read():
    assert dict(parse("L/h/kg**0.75").dims)["kilogram"] == -0.75
    assert parse("m**(1/2)") ** 2.0 == parse("m")


def test_units_too_far_apart_are_told():
    with pytest.raises(UnitError, match="AMT is given in '1e300 g', which cannot become '1e-300 g': the number between them is inf"):
        factor("1e300 g", "1e-300 g", "AMT")
    assert math.isfinite(factor("1e100 g", "1e-100 g"))
