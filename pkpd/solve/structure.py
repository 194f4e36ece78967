"""What kind of system is it? Read off the traced equations, not asserted: linear, triangular with constant own rates, or neither.

Each value in the walk carries the degree (1 affine, 2 nonlinear) in which each state enters it, and which states its own slope depends on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pkpd import tracing
from pkpd.solve.contract import Rhs

TIME = -1


@dataclass(frozen=True)
class Term:
    """How a value depends on time and states: those in `affine` enter linearly, those in `bent` nonlinearly; `pairs` multiply each other."""

    affine: frozenset[int] = frozenset()
    bent: frozenset[int] = frozenset()
    pairs: frozenset[tuple[int, int]] = frozenset()

    @property
    def all(self) -> frozenset[int]:
        return self.affine | self.bent

    def __or__(self, other: Term) -> Term:
        bent = self.bent | other.bent
        return Term((self.affine | other.affine) - bent, bent, self.pairs | other.pairs)

    def bend(self) -> Term:
        return Term(frozenset(), self.all, self.pairs)

    def times(self, other: Term) -> Term:
        both = self.all & other.all
        joined = self | other
        pairs = (
            joined.pairs | {(i, j) for i in self.all for j in other.all if i != j} | {(j, i) for i in self.all for j in other.all if i != j}
        )
        return Term(joined.affine - both, joined.bent | both, frozenset(pairs))


NOTHING = Term()
_LINEAR = {
    "add",
    "sub",
    "neg",
    "add_any",
    "broadcast_in_dim",
    "reshape",
    "squeeze",
    "copy",
    "reduce_sum",
    "expand_dims",
    "copy_p",
}


def _rule(equation: Any, terms: list[Term]) -> list[Term]:
    name = equation.primitive.name
    joined = NOTHING
    for term in terms:
        joined = joined | term
    if _keeps(name, equation, terms):
        result = joined
    elif name == "mul":
        result = terms[0].times(terms[1])
    elif name == "div":
        result = terms[0].times(terms[1].bend()) if terms[1].all else terms[0]
    else:
        result = _tangle(joined) if joined.all else NOTHING
    return [result] * len(equation.outvars)


def _keeps(name: str, equation: Any, terms: list[Term]) -> bool:
    """Whether a primitive leaves the degree of its inputs as it is."""
    if name == "convert_element_type":
        return np.issubdtype(equation.params["new_dtype"], np.inexact)
    if name == "select_n":
        return not terms[0].all
    # stop_gradient is not among them: matrices and own rates are found by differentiation, which it hides from.
    return name in _LINEAR or (name == "integer_pow" and equation.params["y"] == 1)


def _tangle(term: Term) -> Term:
    every = term.all
    return Term(frozenset(), every, frozenset((i, j) for i in every for j in every if i != j))


@dataclass(frozen=True)
class Structure:
    """What the equations allow: `linear` (closed form possible), `order` (states so that each follows what drives it; None when they form a loop),
    `reads[i]` the states that drive state i, `timed` whether time enters on its own, `homogeneous` whether nothing happens to an empty system.
    """

    n: int
    linear: bool
    cascade: bool
    order: tuple[int, ...] | None
    reads: tuple[frozenset[int], ...]
    timed: bool
    homogeneous: bool


@lru_cache(maxsize=64)
def analyse(rhs: Rhs, n: int, k: int, j: int) -> Structure:
    """The structure of `rhs` with n states, k parameters, j covariates."""
    terms = _terms(rhs, n, k, j)
    reads = tuple(frozenset(t.all) - {TIME, i} for i, t in enumerate(terms))
    order = _order(reads)
    linear = all(not t.bent and not t.pairs for t in terms) and not any(TIME in t.all for t in terms)
    own = all(i not in t.bent and not any(i in pair for pair in t.pairs) for i, t in enumerate(terms))
    timed = any(TIME in t.all for t in terms)
    return Structure(n, linear, order is not None and own, order, reads, timed, all(_vanishing(rhs, n, k, j)))


def loops(structure: Structure) -> tuple[tuple[int, ...], ...] | None:
    """The states grouped with those they exchange with; None where a group is more than a tree of two-way exchanges (its modes may oscillate)."""
    reach = [_reach(structure, i) for i in range(structure.n)]
    found: list[tuple[int, ...]] = []
    for i in range(structure.n):
        group = tuple(j for j in range(structure.n) if i == j or (j in reach[i] and i in reach[j]))
        if group in found:
            continue
        pairs = {(a, b) for a in group for b in group if a != b and b in structure.reads[a]}
        if len(pairs) != 2 * (len(group) - 1) or any((b, a) not in pairs for a, b in pairs):
            return None
        found.append(group)
    return tuple(found)


def _reach(structure: Structure, start: int) -> set[int]:
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        for j in structure.reads[waiting.pop()]:
            if j not in seen:
                seen.add(j)
                waiting.append(j)
    return seen


def _traced(rhs: Rhs, n: int, k: int, j: int) -> Any:
    def flat(*x: Any) -> list[Any]:
        t, y, p, q, r = x[0], x[1 : 1 + n], x[1 + n : 1 + n + k], x[1 + n + k : 1 + n + k + j], x[1 + n + k + j :]
        return rhs(t, y, p, q, r)

    return tracing.trace(flat, 1 + 2 * n + k + j)


def _terms(rhs: Rhs, n: int, k: int, j: int) -> list[Term]:
    inputs = [Term(frozenset([TIME]))] + [Term(frozenset([i])) for i in range(n)] + [NOTHING] * (k + j + n)
    return tracing.walk(_traced(rhs, n, k, j), inputs, _rule, lambda _: NOTHING)


_ODD = {"sqrt", "cbrt", "tanh", "sin", "tan", "asin", "atan", "sinh", "asinh", "atanh", "expm1", "log1p", "erf", "abs", "sign", "square"}
_JOIN = {"max", "min", "concatenate", "transpose", "slice", "rev", "stop_gradient", "convert_element_type", "optimization_barrier"}


def _vanishing(rhs: Rhs, n: int, k: int, j: int) -> list[bool]:
    """For each state, whether its rate is zero where all states and inputs are, whatever the parameters: by what multiplies and adds, not by values."""
    inputs = [False] + [True] * n + [False] * (k + j) + [True] * n

    def rule(equation: Any, zero: list[bool]) -> list[bool]:
        name = equation.primitive.name
        if name == "mul":
            found = any(zero)
        elif name == "div":
            found = zero[0]
        elif name == "select_n":
            found = all(zero[1:])
        elif name == "integer_pow":
            found = zero[0] and equation.params["y"] > 0
        else:
            found = name in (_LINEAR | _ODD | _JOIN) and all(zero)
        return [found] * len(equation.outvars)

    return tracing.walk(_traced(rhs, n, k, j), inputs, rule, lambda x: bool(np.all(np.asarray(x) == 0)))


def _order(reads: tuple[frozenset[int], ...]) -> tuple[int, ...] | None:
    """Drivers before what they drive; None when states drive each other in a loop."""
    done: list[int] = []
    waiting = list(range(len(reads)))
    while waiting:
        known = frozenset(done)
        ready = [i for i in waiting if reads[i] <= known]
        if not ready:
            return None
        done += ready
        waiting = [i for i in waiting if i not in ready]
    return tuple(done)
