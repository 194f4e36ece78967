"""A traced function of scalars (a jaxpr) as lines of C++ over SIMD lanes: one `vec` a value, one `mask` a truth value.

What is made of constants alone is worked out here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from pkpd import tracing
from pkpd.solve.native.writer import BINARY, Unsupported, Value, Writer, binary, literal, power

UNARY = {
    "neg": "-{0}",
    "exp": "vexp({0})",
    "log": "vlog({0})",
    "exp2": "vexp2({0})",
    "log1p": "vlog1p({0})",
    "expm1": "vexpm1({0})",
    "tanh": "vtanh({0})",
    "logistic": "vlogistic({0})",
    "sqrt": "vsqrt({0})",
    "rsqrt": "(all(1.0) / vsqrt({0}))",
    "cbrt": "vcbrt({0})",
    "abs": "vabs({0})",
    "sign": "vsign({0})",
    "square": "{0} * {0}",
    "sin": "vsin({0})",
    "cos": "vcos({0})",
    "tan": "vtan({0})",
    "asin": "vasin({0})",
    "acos": "vacos({0})",
    "atan": "vatan({0})",
    "sinh": "vsinh({0})",
    "cosh": "vcosh({0})",
    "asinh": "vasinh({0})",
    "acosh": "vacosh({0})",
    "atanh": "vatanh({0})",
    "erf": "verf({0})",
    "erfc": "verfc({0})",
    "floor": "vfloor({0})",
    "ceil": "vceil({0})",
    "copy": "{0}",
    "copy_p": "{0}",
    "optimization_barrier": "{0}",
    "stop_gradient": "{0}",
    "one_minus_square": "(all(1.0) + {0}) * (all(1.0) - {0})",
    "log2": "vlog2({0})",
}
COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
LOGIC = {"and": "&", "or": "|", "xor": "^"}
REDUCE = {"reduce_sum": ("add", 0.0), "reduce_prod": ("mul", 1.0), "reduce_max": ("max", -math.inf), "reduce_min": ("min", math.inf)}
_INTEGER_SAFE = {"add", "sub", "mul", "neg", "max", "min", "abs", "sign", "square", "add_any"}


def function(name: str, traced: Any, inputs: Sequence[str], outputs: Sequence[str], signature: str) -> str:
    """The C++ function `name` that assigns each output ("o[0]"), or adds to it where it ends in "+" ("gp[2]+"); a constant zero is not added."""
    writer = Writer()
    given = [_scalar(Value(i)) for i in inputs]
    results = tracing.walk(traced, given, lambda equation, values: _rule(writer, equation, values), _constant)
    for place, result in zip(outputs, results, strict=True):
        value = result.item()
        if place.endswith("+") and not isinstance(value, Value) and value == 0.0:
            continue
        writer.lines.append(f"{place.rstrip('+')} {'+=' if place.endswith('+') else '='} {literal(value)};")
    return body(name, signature, writer.lines)


def body(name: str, signature: str, lines: Sequence[str]) -> str:
    """A C++ function of these lines."""
    return "\n  ".join([f"static inline void {name}({signature}) {{", *lines]) + "\n}\n"


def _scalar(x: Any) -> np.ndarray:
    out = np.empty((), object)
    out[()] = x
    return out


def _constant(x: Any) -> np.ndarray:
    given = np.asarray(x)
    if given.dtype.kind not in "fiub":
        raise Unsupported(f"a constant of type {given.dtype}")
    out = np.empty(given.shape, object)
    for i in np.ndindex(given.shape):
        out[i] = given[i].item()
    return out


def _known(values: Sequence[np.ndarray]) -> bool:
    return not any(isinstance(x, Value) for v in values for x in v.flat)


def _rule(writer: Writer, equation: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    name = equation.primitive.name
    if name in ("while", "scan"):
        raise Unsupported(f"a loop ('{name}')")
    if _known(values):
        return _fold(equation, values)
    if name == "cond":
        return _branches(writer, equation, values)
    if name == "optimization_barrier":
        return values
    if name == "unstack":
        rows = np.moveaxis(values[0], equation.params["axis"], 0)
        return [rows[i : i + 1].reshape(rows.shape[1:]) for i in range(len(rows))]
    if name == "split":
        cuts = np.cumsum(equation.params["sizes"])[:-1]
        return np.split(values[0], cuts, equation.params["axis"])
    made = _shaped(name, equation.params, values)
    return [made if made is not None else _reckoned(writer, equation, values)]


def _fold(equation: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What constants alone make is worked out now."""
    given = [np.asarray(v.tolist(), a.aval.dtype).reshape(v.shape) for v, a in zip(values, equation.invars, strict=True)]
    with jax.ensure_compile_time_eval():
        found = equation.primitive.bind(*given, **equation.params)
    return [_constant(x) for x in (found if equation.primitive.multiple_results else [found])]


def _shaped(name: str, q: Any, values: Sequence[np.ndarray]) -> np.ndarray | None:
    """Primitives that only move values about; None for any other."""
    a = values[0]
    if name == "broadcast_in_dim":
        spread = [1] * len(q["shape"])
        for axis, size in zip(q["broadcast_dimensions"], a.shape, strict=True):
            spread[axis] = size
        return np.broadcast_to(a.reshape(spread), q["shape"])
    if name in ("reshape", "squeeze", "expand_dims"):
        return a.reshape(_new_shape(name, q, a))
    if name == "transpose":
        return np.transpose(a, q["permutation"])
    if name == "rev":
        return np.flip(a, q["dimensions"])
    if name == "slice":
        steps = q["strides"] or [1] * a.ndim
        return a[tuple(slice(i, j, s) for i, j, s in zip(q["start_indices"], q["limit_indices"], steps, strict=True))]
    if name == "stack":
        return np.stack(values, q["axis"])
    if name == "concatenate":
        return np.concatenate(values, q["dimension"])
    if name in ("dynamic_slice", "pad"):
        return _windowed(name, q, values)
    return None


def _new_shape(name: str, q: Any, a: np.ndarray) -> Sequence[int]:
    if name == "reshape":
        return q["new_sizes"]
    if name == "squeeze":
        return [s for i, s in enumerate(a.shape) if i not in q["dimensions"]]
    shape = list(a.shape)
    for axis in sorted(q["dimensions"]):
        shape.insert(axis, 1)
    return shape


def _windowed(name: str, q: Any, values: Sequence[np.ndarray]) -> np.ndarray:
    a = values[0]
    if name == "dynamic_slice":
        if not _known(values[1:]):
            raise Unsupported("an index that depends on the state or a parameter ('dynamic_slice')")
        starts = [min(max(int(v.item()), 0), n - s) for v, n, s in zip(values[1:], a.shape, q["slice_sizes"], strict=True)]
        return a[tuple(slice(i, i + s) for i, s in zip(starts, q["slice_sizes"], strict=True))]
    if any(low < 0 or high < 0 or between for low, high, between in q["padding_config"]):
        raise Unsupported("a cutting or stretching 'pad'")
    return np.pad(a, [(low, high) for low, high, _ in q["padding_config"]], constant_values=values[1].item())


def _reckoned(writer: Writer, equation: Any, values: Sequence[np.ndarray]) -> np.ndarray:
    name, q = equation.primitive.name, equation.params
    if name in REDUCE:
        return _reduced(writer, name, q, values[0])
    if name == "dot_general":
        return _dot(writer, q, *values)
    if name == "clamp":
        low, x, high = values
        return _each(lambda a, b, c: binary(writer, "min", binary(writer, "max", b, a), c), low, x, high)
    if name == "polynomial":
        return _each(lambda x, *a: _horner(writer, x, a), *values)
    formula = _formula(writer, equation)
    return _each(formula, *values)


def _each(formula: Callable, *values: np.ndarray) -> np.ndarray:
    spread = np.broadcast_arrays(*values)
    out = np.empty(spread[0].shape, object)
    for i in np.ndindex(out.shape):
        out[i] = formula(*(v[i] for v in spread))
    return out


def _formula(writer: Writer, equation: Any) -> Callable:
    """What one element of an elementwise primitive becomes."""
    name, q = equation.primitive.name, equation.params
    kind = equation.invars[0].aval.dtype.kind
    if name in UNARY and (kind == "f" or name in _INTEGER_SAFE):
        return lambda x: writer.new(UNARY[name].format(literal(x)))
    if name in BINARY and (kind == "f" or (kind in "iu" and name in _INTEGER_SAFE)):
        return lambda x, y: binary(writer, name, x, y)
    if name in COMPARE and kind != "b":
        return lambda x, y: writer.new(f"(mask)({literal(x)} {COMPARE[name]} {literal(y)})", True)
    if name in ("eq", "ne") and kind == "b":
        return lambda x, y: writer.new(f"{'~' if name == 'eq' else ''}({literal(x)} ^ {literal(y)})", True)
    if name in LOGIC and kind in "bu":
        return lambda x, y: writer.new(f"{_bits(x)} {LOGIC[name]} {_bits(y)}", True)
    if name == "bitcast_convert_type" and {kind, np.dtype(q["new_dtype"]).kind} == {"f", "u"}:
        return lambda x: writer.new(f"({'mask' if kind == 'f' else 'vec'}){literal(x)}", kind == "f")
    if name == "not" and kind == "b":
        return lambda x: writer.new(f"~{literal(x)}", True)
    if name == "is_finite":
        return lambda x: writer.new(f"(mask)(vabs({literal(x)}) < all(INFINITY))", True)
    if name == "integer_pow" and kind == "f":
        return lambda x: power(writer, x, q["y"])
    if name == "select_n":
        return _choice(writer, equation)
    if name == "convert_element_type":
        return _convert(writer, kind, np.dtype(q["new_dtype"]))
    raise Unsupported(f"'{name}'" + ("" if kind == "f" else f" of {equation.invars[0].aval.dtype}"))


def _bits(x: Any) -> str:
    """A truth value, or the bits of a number (JAX cuts off low bits in exp(-x^2))."""
    return f"pattern({x}ULL)" if isinstance(x, int) and not isinstance(x, bool) else literal(x)


def _horner(writer: Writer, x: Any, a: Sequence[Any]) -> Any:
    """a_0 + x (a_1 + x (a_2 + ...))"""
    total = a[-1]
    for c in reversed(a[:-1]):
        total = binary(writer, "add", c, binary(writer, "mul", x, total))
    return total


def _choice(writer: Writer, equation: Any) -> Callable:
    truth = equation.outvars[0].aval.dtype.kind == "b"
    if equation.invars[0].aval.dtype.kind != "b" or len(equation.invars) != 3:
        raise Unsupported("a choice among more than two ('select_n')")

    def pick(which: Any, no: Any, yes: Any) -> Any:
        if not isinstance(which, Value):
            return yes if which else no
        return writer.new(f"choose({which.name}, {literal(yes)}, {literal(no)})", truth)

    return pick


def _convert(writer: Writer, kind: str, new: np.dtype) -> Callable:
    if new.kind == kind or (kind in "iu" and new.kind == "f"):
        return lambda x: x if isinstance(x, Value) else (float(x) if new.kind == "f" else x)
    if kind == "b" and new.kind in "fiu":
        return lambda x: writer.new(f"choose({literal(x)}, all(1.0), all(0.0))")
    if new.kind == "b":
        return lambda x: writer.new(f"(mask)({literal(x)} != all(0.0))", True)
    raise Unsupported(f"'convert_element_type' to {new}")


def _reduced(writer: Writer, name: str, q: Any, a: np.ndarray) -> np.ndarray:
    operation, start = REDUCE[name]
    axes = tuple(q["axes"])
    rows = _last(a, axes)
    out = np.empty(rows.shape[:-1], object)
    for i in np.ndindex(out.shape):
        total: Any = None
        for x in rows[i]:
            total = x if total is None else binary(writer, operation, total, x)
        out[i] = start if total is None else total
    return out


def _dot(writer: Writer, q: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    ((left, right), (batch, _)) = q["dimension_numbers"]
    if batch:
        raise Unsupported("products of many matrices at once ('dot_general')")
    rows, columns = _last(a, left), _last(b, right)
    out = np.empty(rows.shape[:-1] + columns.shape[:-1], object)
    for i in np.ndindex(rows.shape[:-1]):
        for j in np.ndindex(columns.shape[:-1]):
            products = [binary(writer, "mul", x, y) for x, y in zip(rows[i], columns[j], strict=True)]
            out[i + j] = functools.reduce(functools.partial(binary, writer, "add"), products) if products else 0.0
    return out


def _last(a: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """The axes to sum over joined into one, last."""
    kept = [i for i in range(a.ndim) if i not in axes]
    return np.transpose(a, [*kept, *axes]).reshape(*(a.shape[i] for i in kept), math.prod(a.shape[i] for i in axes))


def _branches(writer: Writer, equation: Any, values: list[np.ndarray]) -> list[np.ndarray]:
    """Every branch is worked out and one is chosen, bit by bit, so that what the others make of a NaN does not show."""
    index, given = values[0].item(), values[1:]
    rule = lambda inner, inside: _rule(writer, inner, inside)  # noqa: E731
    found = [tracing.walk(branch, given, rule, _constant) for branch in equation.params["branches"]]
    if not isinstance(index, Value):
        return found[min(max(int(index), 0), len(found) - 1)]
    chosen = found[0]
    for place, other in enumerate(found[1:], 1):
        here = writer.new(f"(mask)({index.name} >= all({float(place)}))", True) if not index.truth else index
        chosen = [_each(lambda no, yes, here=here: _pick(writer, here, yes, no), a, b) for a, b in zip(chosen, other, strict=True)]
    return chosen


def _pick(writer: Writer, which: Value, yes: Any, no: Any) -> Any:
    truth = yes.truth if isinstance(yes, Value) else isinstance(yes, bool)
    return writer.new(f"choose({which.name}, {literal(yes)}, {literal(no)})", truth)
