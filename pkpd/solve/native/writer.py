"""Lines of C++ over SIMD lanes: one `vec` a value, one `mask` a truth value; products, sums and powers.

Nothing is simplified that could change a NaN, an infinity or the sign of zero: only x * 1, x / 1 and x * -1 are. Powers of a
third go by a cube root, which alone differs at minus infinity: NaN, as below zero everywhere.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Unsupported(Exception):
    """The sentence that says what cannot be translated."""


@dataclass(frozen=True)
class Value:
    """A C++ expression that names a `vec`, or a `mask` where `truth`."""

    name: str
    truth: bool = False


@dataclass
class Writer:
    """Lines of one function body; equal expressions are written once."""

    lines: list[str] = field(default_factory=list)
    known: dict[str, Value] = field(default_factory=dict)

    def new(self, expression: str, truth: bool = False) -> Value:
        if expression not in self.known:
            value = Value(f"x{len(self.lines)}", truth)
            self.lines.append(f"const {'mask' if truth else 'vec'} {value.name} = {expression};")
            self.known[expression] = value
        return self.known[expression]


BINARY = {
    "add": "{0} + {1}",
    "add_any": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "max": "vmax({0}, {1})",
    "min": "vmin({0}, {1})",
    "pow": "vpow({0}, {1})",
    "atan2": "vatan2({0}, {1})",
    "rem": "vfmod({0}, {1})",
}


def literal(x: Any) -> str:
    """A constant or a value as C++."""
    if isinstance(x, Value):
        return x.name
    if isinstance(x, bool | np.bool_):
        return "truth(true)" if x else "truth(false)"
    x = float(x)
    if math.isnan(x):
        return "all(NAN)"
    return f"all({'-' if x < 0 else ''}INFINITY)" if math.isinf(x) else f"all({x!r})"


def binary(writer: Writer, name: str, x: Any, y: Any) -> Any:
    """What a primitive of two arguments becomes."""
    for a, b in ((x, y), (y, x)):
        if name == "mul" and not isinstance(a, Value) and abs(a) == 1.0:
            return b if a > 0 else (writer.new(f"-{b.name}") if isinstance(b, Value) else -b)
    if name == "div" and not isinstance(y, Value) and y == 1.0:
        return x
    if name == "pow" and isinstance(x, Value) and not isinstance(y, Value) and (k := thirds(y)):
        return by_root(writer, x, k)
    return writer.new(BINARY[name].format(literal(x), literal(y)))


def thirds(y: float) -> int:
    """k where y is k / 3 up to the rounding of a derivative or two, |k| at most 5; else 0. Surfaces of tumours have such powers."""
    k = round(3.0 * y) if math.isfinite(y) else 0
    return k if k % 3 and abs(k) <= 5 and abs(3.0 * y - k) < 1e-14 else 0


def by_root(writer: Writer, x: Value, k: int) -> Value:
    """x^(k/3) from the cube root or its inverse, which powers of one base share; a base below zero gives NaN, as any power that is not whole."""
    if k < 0:
        return power(writer, writer.new(f"vover3({x.name})"), -k)
    whole, rest = divmod(k, 3)
    factors = [x] * whole + [writer.new(f"vroot3({x.name})")] * rest
    return functools.reduce(lambda a, b: binary(writer, "mul", a, b), factors)


def power(writer: Writer, x: Any, n: int) -> Any:
    """x^n by squaring."""
    if n < 0:
        return writer.new(f"all(1.0) / {literal(power(writer, x, -n))}")
    result, square = None, x
    while n:
        if n & 1:
            result = square if result is None else binary(writer, "mul", result, square)
        n >>= 1
        square = binary(writer, "mul", square, square) if n else square
    return 1.0 if result is None else result
