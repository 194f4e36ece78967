"""Units at the edge: read, compare and convert them when things are built; inside jit there are only numbers.

The internal clock is the hour and cells are counted in 1e9. A unit is written as text: "1/h", "mg/L", "1e9 cells", "copies/ug".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from pkpd.errors import UnitError

CLOCK = "h"
LONGEST = 80
"""More characters than this are no unit."""
POWERS = 1000.0
"""The sizes of all powers in a unit, multiplied: real units stay below a hundred, and 9**9**9 would be worked out for years."""
_NUMBER = r"[+-]?\s*(\d{1,3}(?:\.\d{1,6})?)"
_POWER = re.compile(rf"\*\*\s*(?:\(\s*{_NUMBER}(?:\s*/\s*\d{{1,3}})?\s*\)|{_NUMBER}(?![\w.]))(?!\s*\*\*)")


@cache
def _registry() -> Any:
    import pint

    registry = pint.UnitRegistry(cache_folder=None)
    for line in ("cells = [cell_count] = cell", "copies = [copy_count] = copy", "IU = [international_unit]", "percent = 0.01 = %"):
        name = line.split(" ")[0]
        if name not in registry:
            registry.define(line)
    return registry


@dataclass(frozen=True)
class Unit:
    """A unit as a scale and the powers of its base dimensions: what adding and comparing need."""

    scale: float
    dims: tuple[tuple[str, float], ...]

    def __mul__(self, other: Unit) -> Unit:
        dims = dict(self.dims)
        for key, power in other.dims:
            dims[key] = dims.get(key, 0.0) + power
        return Unit(self.scale * other.scale, _tidy(dims))

    def __pow__(self, power: float) -> Unit:
        return Unit(self.scale**power, _tidy({k: v * power for k, v in self.dims}))

    def __truediv__(self, other: Unit) -> Unit:
        return self * other**-1.0

    @property
    def dimensionless(self) -> bool:
        return not self.dims

    def same_dimension(self, other: Unit) -> bool:
        return self.dims == other.dims

    def same(self, other: Unit) -> bool:
        """Equal in dimension and scale (to rounding)."""
        return self.dims == other.dims and math.isclose(self.scale, other.scale, rel_tol=1e-9)

    def __str__(self) -> str:
        body = " ".join(f"{k.strip('[]')}^{v:g}" for k, v in self.dims) or "dimensionless"
        return body if math.isclose(self.scale, 1.0) else f"{self.scale:g} x {body}"


def _tidy(dims: dict[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((k, float(v)) for k, v in dims.items() if abs(v) > 1e-12))


ONE = Unit(1.0, ())


@lru_cache(maxsize=1024)
def parse(text: str) -> Unit:
    """Read a unit written as text; a number in front scales it ("1e9 cells").

    Raises `UnitError` naming the text when no such unit exists. Source: pint.

    >>> parse("1/h").same(parse("24/day"))
    True
    """
    if not isinstance(text, str):
        raise UnitError(f"A unit is written as text like '1/h' or 'mg/L', not {text!r}.")
    clean = text.strip()
    if clean in ("", "1", "-", "dimensionless", "ratio"):
        return ONE
    if refused := _refused(clean):
        raise UnitError(f"'{_short(text)}' is not a unit I can read ({refused}). {HOW}")
    try:
        quantity = _registry().Quantity(clean)
        if not hasattr(quantity, "to_base_units"):
            return Unit(float(quantity), ())
        base = quantity.to_base_units()
        scale = float(base.magnitude)
    except Exception as error:
        raise UnitError(f"'{text}' is not a unit I can read ({type(error).__name__}: {error}). {HOW}") from None
    if not 0 < scale < math.inf:
        raise UnitError(f"'{text}' is not a unit I can read (its size is {scale:g}). {HOW}")
    return Unit(scale, _tidy({str(k): float(v) for k, v in base.unit_items()}))


HOW = "Write units as in 'mg', 'mg/L', '1/h', '1e9 cells', 'copies/ug', 'pg/mL'."


def _refused(text: str) -> str:
    """Why a text is not handed to the reader of units, which would work out any power it holds; '' where nothing is wrong."""
    if len(text) > LONGEST:
        return f"it has {len(text)} characters"
    from pint.util import string_preprocessor

    plain = string_preprocessor(text)  # every other way to write a power (^, m², 9··9) is ** after this
    powers = [one or other for one, other in _POWER.findall(plain)]
    if len(powers) < plain.count("**"):
        return "a power is a number of at most three digits, and no power of a power"
    return "its powers are too large" if math.prod(max(1.0, float(p)) for p in powers) > POWERS else ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def factor(given: str, wanted: str, what: str = "value") -> float:
    """The number that turns a value in unit `given` into one in unit `wanted`.

    Raises `UnitError` when the two measure different things.

    >>> factor("day", "h")
    24.0
    """
    a, b = parse(given), parse(wanted)
    if not a.same_dimension(b):
        raise UnitError(f"{what} is given in '{given}', which cannot become '{wanted}': they measure different things ({a} against {b}).")
    ratio = a.scale / b.scale
    if not 0 < ratio < math.inf:
        raise UnitError(f"{what} is given in '{given}', which cannot become '{wanted}': the number between them is {ratio:g}.")
    return _exact(ratio)


def _exact(ratio: float) -> float:
    """Whole ratios (or inverses of whole ratios) without the rounding of the way there: 24, not 23.999999999999996."""
    for value, back in ((ratio, lambda x: x), (1 / ratio, lambda x: 1 / x)):
        if 0.5 < value < 1e15 and math.isclose(value, round(value), rel_tol=1e-13):
            return float(back(round(value)))
    return ratio


def quantity(value: Any, wanted: str, what: str) -> float:
    """A `(number, "unit")` pair as a plain number in unit `wanted`; a bare number is refused.

    >>> quantity((30, "min"), "h", "duration")
    0.5
    """
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
        number = value[0]
        if isinstance(number, bool) or (not isinstance(number, (int, float)) and not hasattr(number, "__float__")):
            raise UnitError(f"{what} needs a number and a unit, got {value!r}.")
        return float(number) * factor(value[1], wanted, what)
    raise UnitError(f'{what} carries no unit: got {value!r}. Write ({value!r}, "{wanted}") or another unit of the same kind.')
