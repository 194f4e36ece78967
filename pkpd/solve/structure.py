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
    `reads[i]` the states that drive state i, `timed` whether time enters on its own.
    """

    n: int
    linear: bool
    cascade: bool
    order: tuple[int, ...] | None
    reads: tuple[frozenset[int], ...]
    timed: bool


@lru_cache(maxsize=64)
def analyse(rhs: Rhs, n: int, k: int, j: int) -> Structure:
    """The structure of `rhs` with n states, k parameters, j covariates."""
    terms = _terms(rhs, n, k, j)
    reads = tuple(frozenset(t.all) - {TIME, i} for i, t in enumerate(terms))
    order = _order(reads)
    linear = all(not t.bent and not t.pairs for t in terms) and not any(TIME in t.all for t in terms)
    own = all(i not in t.bent and not any(i in pair for pair in t.pairs) for i, t in enumerate(terms))
    return Structure(n, linear, order is not None and own, order, reads, any(TIME in t.all for t in terms))


def _terms(rhs: Rhs, n: int, k: int, j: int) -> list[Term]:
    def flat(*x: Any) -> list[Any]:
        t, y, p, q, r = x[0], x[1 : 1 + n], x[1 + n : 1 + n + k], x[1 + n + k : 1 + n + k + j], x[1 + n + k + j :]
        return rhs(t, y, p, q, r)

    inputs = [Term(frozenset([TIME]))] + [Term(frozenset([i])) for i in range(n)] + [NOTHING] * (k + j + n)
    return tracing.walk(tracing.trace(flat, len(inputs)), inputs, _rule, lambda _: NOTHING)


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
