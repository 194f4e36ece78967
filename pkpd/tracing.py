"""Walk a traced function (a jaxpr) with values of our own kind: the unit check and the linearity check are two such walks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal

Rule = Callable[[Any, list[Any]], list[Any]]

_NESTED = ("pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "remat", "checkpoint")


def trace(function: Callable, n_inputs: int) -> Any:
    """The jaxpr of a function of `n_inputs` float scalars."""
    return jax.make_jaxpr(function)(*([1.0] * n_inputs))


def walk(closed: Any, inputs: Sequence[Any], rule: Rule, constant: Callable[[Any], Any]) -> list[Any]:
    """Interpret a closed jaxpr: `rule(equation, values)` for each primitive, `constant(x)` for each literal or captured array."""
    jaxpr = closed.jaxpr
    known: dict[Any, Any] = {}

    def read(atom: Any) -> Any:
        return constant(atom.val) if isinstance(atom, Literal) else known[atom]

    known.update(zip(jaxpr.constvars, map(constant, closed.consts), strict=True))
    known.update(zip(jaxpr.invars, inputs, strict=True))
    for equation in jaxpr.eqns:
        values = [read(a) for a in equation.invars]
        inner = _inner(equation)
        results = (
            walk(inner, values[-len(inner.jaxpr.invars) :] if inner.jaxpr.invars else [], rule, constant)
            if inner
            else rule(equation, values)
        )
        known.update(zip(equation.outvars, results, strict=True))
    return [read(a) for a in jaxpr.outvars]


def _inner(equation: Any) -> Any:
    if equation.primitive.name not in _NESTED:
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None:
            return inner if hasattr(inner, "consts") else ClosedJaxpr(inner, [])
    return None
