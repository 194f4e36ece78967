"""Check the units of every equation by walking it: sums need equal units, exponents none, rates must be state unit per hour."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import Literal

from pkpd import tracing
from pkpd.units import ONE, Unit, parse

Maybe = Unit | None  # None: any unit will do (a literal zero, or a value whose unit cannot be followed)

_SAME = {"add", "sub", "max", "min", "add_any", "atan2", "rem", "nextafter", "eq", "ne", "lt", "le", "gt", "ge"}
_COMPARE = {"eq", "ne", "lt", "le", "gt", "ge"}
_KEEP = {
    "neg", "abs", "copy", "convert_element_type", "broadcast_in_dim", "reshape", "squeeze", "stop_gradient", "real", "reduce_max",
    "reduce_min", "copy_p", "optimization_barrier", "floor", "ceil", "round", "reduce_sum", "expand_dims", "slice", "transpose",
}  # fmt: skip
_BARE = {
    "exp", "exp2", "log", "log1p", "expm1", "tanh", "sin", "cos", "tan", "logistic", "erf", "erfc", "erf_inv", "lgamma", "digamma", "sinh",
    "cosh",
}  # fmt: skip


class UnitClash(Exception):
    """Two units that do not go together inside an equation; the caller adds where."""


def units_of(function: Callable, inputs: Sequence[Unit]) -> list[Maybe]:
    """The unit of each output of a function of scalars, given the units of its inputs; raises UnitClash where they do not fit."""
    return tracing.walk(tracing.trace(function, len(inputs)), list(inputs), _rule, _constant)


def _constant(value: Any) -> Maybe:
    array = np.asarray(value)
    zero = array.dtype.kind in "fiu" and bool(np.all((array == 0) | ~np.isfinite(array.astype(float))))
    return None if zero else ONE


def _rule(equation: Any, units: list[Maybe]) -> list[Maybe]:
    name = equation.primitive.name
    if name in _SAME:
        common = _agree(name, units)
        return [ONE if name in _COMPARE else common]
    if name == "mul":
        return [None if units[0] is None or units[1] is None else units[0] * units[1]]
    if name == "div":
        return [None if units[0] is None or units[1] is None else units[0] / units[1]]
    if name in ("select_n", "clamp"):
        return [_agree(name, units[1:] if name == "select_n" else units)]
    return _powers(name, equation, units)


def _powers(name: str, equation: Any, units: list[Maybe]) -> list[Maybe]:
    first = units[0] if units else None
    if name in ("sqrt", "rsqrt", "cbrt", "integer_pow", "square"):
        power = {"sqrt": 0.5, "rsqrt": -0.5, "cbrt": 1 / 3, "square": 2.0}.get(name) or float(equation.params["y"])
        return [None if first is None else first**power]
    if name == "pow" and isinstance(equation.invars[1], Literal):
        return [None if first is None else first ** float(equation.invars[1].val)]
    if name == "pow" or name in _BARE:
        for unit in units:
            if unit is not None and not unit.same(ONE):
                what = "takes a power" if name == "pow" else f"takes {name}"
                cure = "divide it by a parameter in that unit first (a plain number carries none)"
                raise UnitClash(f"{what} of something in [{spoken(unit)}]; {cure}")
        return [ONE]
    if name in _KEEP:
        return [first] * len(equation.outvars)
    return [None] * len(equation.outvars)


def _agree(name: str, units: Sequence[Maybe]) -> Maybe:
    common: Maybe = None
    for unit in units:
        if unit is None:
            continue
        if common is not None and not common.same(unit):
            word = {"add": "adds", "add_any": "adds", "sub": "subtracts", "select_n": "chooses between"}.get(name, "compares")
            bare = ONE in (common, unit)
            cure = "a plain number carries no unit: make it a parameter" if bare else "mend the units of the parameters in it"
            raise UnitClash(f"{word} [{spoken(common)}] and [{spoken(unit)}]; {cure}")
        common = unit
    return common


_WORDS = {
    "kilogram": ("mg", "ug", "ng", "pg", "g", "kg"),
    "second": ("h", "day", "min", "s"),
    "cells": ("1e9 cells", "cells"),
    "mole": ("nmol", "umol", "mmol", "mol"),
}


def spoken(unit: Unit) -> str:
    """A unit in words that people write: mg, L, h and 1e9 cells, whichever of them need no number in front.

    >>> spoken(parse("mg/h") * parse("L"))
    'mg L/h'
    """
    if unit.dimensionless and math.isclose(unit.scale, 1.0):
        return "no unit"
    ways = list(itertools.product(*(_ways(base, power) for base, power in unit.dims)))
    for words in ways:
        if math.isclose(_scale(words), unit.scale, rel_tol=1e-9):
            return _written(words)
    return f"{unit.scale / _scale(ways[0]):.6g} {_written(ways[0])}".strip()


def _ways(base: str, power: float) -> list[tuple[str, float]]:
    """Words for a power of a base dimension: litres where it is a volume, metres where not."""
    if base == "meter":
        return [(word, power / 3) for word in ("L", "mL", "uL")] if power % 3 == 0 else [("m", power), ("cm", power)]
    return [(word, power) for word in _WORDS.get(base, (base,))]


def _scale(words: Sequence[tuple[str, float]]) -> float:
    return math.prod(parse(word).scale ** power for word, power in words)


def _written(words: Sequence[tuple[str, float]]) -> str:
    if len(words) == 1 and words[0][1] == 1:
        return words[0][0]

    def part(word: str, power: float) -> str:
        return (f"({word})" if " " in word else word) + ("" if power == 1 else f"^{power:g}")

    above = [part(word, power) for word, power in words if power > 0]
    below = [part(word, -power) for word, power in words if power < 0]
    under = " ".join(below) if len(below) < 2 else f"({' '.join(below)})"
    return (" ".join(above) or ("1" if below else "")) + (f"/{under}" if below else "")
