"""Check the units of every equation by walking it: sums need equal units, exponents none, rates must be state unit per hour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pkpd import tracing
from pkpd.units import ONE, Unit

Maybe = Unit | None  # None: any unit will do (a literal zero, or a value whose unit cannot be followed)

_SAME = {"add", "sub", "max", "min", "add_any", "atan2", "rem", "nextafter", "eq", "ne", "lt", "le", "gt", "ge"}
_COMPARE = {"eq", "ne", "lt", "le", "gt", "ge"}
_KEEP = {
    "neg", "abs", "copy", "convert_element_type", "broadcast_in_dim", "reshape", "squeeze", "stop_gradient", "real", "reduce_max", "reduce_min",
    "copy_p", "optimization_barrier", "floor", "ceil", "round", "reduce_sum", "expand_dims", "slice", "transpose",
}  # fmt: skip
_BARE = {"exp", "exp2", "log", "log1p", "expm1", "tanh", "sin", "cos", "tan", "logistic", "erf", "erfc", "erf_inv", "lgamma", "digamma", "sinh", "cosh"}


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
        return [None if None in units else units[0] * units[1]]  # type: ignore[operator]
    if name == "div":
        return [None if None in units else units[0] / units[1]]  # type: ignore[operator]
    if name in ("select_n", "clamp"):
        return [_agree(name, units[1:] if name == "select_n" else units)]
    return _powers(name, equation, units)


def _powers(name: str, equation: Any, units: list[Maybe]) -> list[Maybe]:
    first = units[0] if units else None
    if name in ("sqrt", "rsqrt", "cbrt", "integer_pow", "square"):
        power = {"sqrt": 0.5, "rsqrt": -0.5, "cbrt": 1 / 3, "square": 2.0}.get(name) or float(equation.params["y"])
        return [None if first is None else first**power]
    if name == "pow" or name in _BARE:
        for unit in units:
            if unit is not None and not unit.same(ONE):
                raise UnitClash(f"{'a power' if name == 'pow' else name} of something with unit [{unit}]; divide by a reference value first")
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
            word = {"add": "adds", "sub": "subtracts", "select_n": "chooses between"}.get(name, f"compares ({name})")
            raise UnitClash(f"{word} [{common}] and [{unit}]")
        common = unit
    return common
