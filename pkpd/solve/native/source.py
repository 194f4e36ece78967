"""The C++ of one model: its rates, their derivatives and the sizes, between headers that are the same for every model."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jax
import jax.numpy as jnp

from pkpd import tracing
from pkpd.solve.contract import Rhs
from pkpd.solve.native import linear, stiff
from pkpd.solve.native.translate import Unsupported, function

METHODS = ("tsit5", "rodas4", "closed_form")
FEW = 6  # states below which all lanes there are measure better, even where the processor takes them in halves
STEPS = ("problem.h", "march.h", "sweep.h", "handlers.h")


@dataclass(frozen=True)
class Sizes:
    """n states, k parameters, j covariates."""

    n: int
    k: int
    j: int

    def split(self, x: Any) -> tuple[Any, list, list, list, list]:
        """(t, y, p, q, rates) of a flat argument list."""
        rest = iter(x[1:])
        y, p, q, r = ([next(rest) for _ in range(size)] for size in (self.n, self.k, self.j, self.n))
        return x[0], y, p, q, r

    @property
    def inputs(self) -> int:
        return 1 + 2 * self.n + self.k + self.j

    def names(self, t: str, y: str, p: str, q: str, r: str) -> list[str]:
        rows = ((y, self.n), (p, self.k), (q, self.j), (r, self.n))
        return [t] + [f"{name}[{i}]" for name, size in rows for i in range(size)]


def write(rhs: Rhs, sizes: Sizes, method: str) -> str:
    """The whole source; raises `Unsupported` with a sentence where the rates cannot be translated."""
    if not jax.config.jax_enable_x64:
        raise Unsupported("native code computes in float64, and JAX is set to float32")
    closed = method == "closed_form"
    wide = "#define PKPD_WIDE" if closed or sizes.n < FEW else ""
    parts = [wide, _text("abi.h"), _text("lanes.h"), _sizes(sizes)]
    if closed:
        return "\n".join([*parts, _text("roots.h"), linear.write(rhs, sizes), *map(_text, ("problem.h", *linear.HEADERS, "exports.h"))])
    parts += [_rates(rhs, sizes), _slope(rhs, sizes), _pullback(rhs, sizes)]
    if method == "rodas4":
        parts.append(stiff.write(rhs, _field(rhs, sizes), sizes, _GIVEN))
    return "\n".join([*parts, *map(_text, (f"{method}.h", *STEPS, "exports.h"))])


def calls() -> str:
    """The source of the library that XLA calls, the same for all models."""
    return _text("calls.cc").replace('#include "abi.h"', _text("abi.h"))


def _text(name: str) -> str:
    return (files(__package__) / "cpp" / name).read_text()


def _sizes(s: Sizes) -> str:
    return f"constexpr int N = {s.n}, K = {s.k}, J = {s.j}, K1 = {max(s.k, 1)}, J1 = {max(s.j, 1)};\n"


_GIVEN = "const vec t, const vec *y, const vec *p, const vec *q, const vec *r"


def _field(rhs: Rhs, s: Sizes):
    def field(*x: Any) -> list[Any]:
        return [jnp.asarray(v, float) for v in rhs(*s.split(x))]

    return field


def _rates(rhs: Rhs, s: Sizes) -> str:
    traced = tracing.trace(_field(rhs, s), s.inputs)
    return function("rates", traced, s.names("t", "y", "p", "q", "r"), [f"o[{i}]" for i in range(s.n)], f"{_GIVEN}, vec *o")


def _slope(rhs: Rhs, s: Sizes) -> str:
    """o = f and do = f' (dy, dp, dq, dr), time held."""
    field = _field(rhs, s)

    def pushed(*x: Any) -> list[Any]:
        at, move = x[: s.inputs], x[s.inputs :]
        value, slope = jax.jvp(lambda *rest: field(at[0], *rest), at[1:], move)
        return [*value, *slope]

    traced = tracing.trace(pushed, 2 * s.inputs - 1)
    given = s.names("t", "y", "p", "q", "r") + s.names("", "dy", "dp", "dq", "dr")[1:]
    made = [f"{name}[{i}]" for name in ("o", "d") for i in range(s.n)]
    return function(
        "rates_push", traced, given, made, f"{_GIVEN}, const vec *dy, const vec *dp, const vec *dq, const vec *dr, vec *o, vec *d"
    )


def _pullback(rhs: Rhs, s: Sizes) -> str:
    """gy = c f_y; c f_p, c f_q and c f_r are added to what is there; time held."""
    field = _field(rhs, s)

    def pulled(*x: Any) -> list[Any]:
        at, weights = x[: s.inputs], x[s.inputs :]
        _, back = jax.vjp(lambda *rest: field(at[0], *rest), *at[1:])
        return list(back(list(weights)))

    traced = tracing.trace(pulled, s.inputs + s.n)
    given = s.names("t", "y", "p", "q", "r") + [f"c[{i}]" for i in range(s.n)]
    added = [f"{name}+" for name in s.names("", "gy", "gp", "gq", "gr")[1 + s.n :]]
    made = [f"gy[{i}]" for i in range(s.n)] + added
    return function("rates_pull", traced, given, made, f"{_GIVEN}, const vec *c, vec *gy, vec *gp, vec *gq, vec *gr")
