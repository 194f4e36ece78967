"""What the closed form needs of a linear model in C++: its matrix with derivatives, products with it, and its eigenvalues by blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from pkpd import tracing
from pkpd.solve.closed_form import applies
from pkpd.solve.contract import Rhs
from pkpd.solve.linear import matrix
from pkpd.solve.native.translate import Unsupported, body, function
from pkpd.solve.structure import analyse, loops

HEADERS = ("linear.h", "groups.h", "closed.h")
Places = dict[tuple[int, int], int]  # where entry (i, j) of the matrix stands in the list of those that may differ from zero
_GIVEN = "const vec *p, const vec *q"


def write(rhs: Rhs, s: Any) -> str:
    """The functions matrix, matrix_pull, matrix_push, times, times_transposed, outer and eigenvalues; raises `Unsupported` where there are none."""
    structure = analyse(rhs, s.n, s.k, s.j)
    groups = loops(structure)
    if not applies(structure) or groups is None:
        raise Unsupported(
            "equations that are not linear in their states, or whose states exchange in circles (the closed form does not apply)"
        )
    pairs = [(i, j) for i in range(s.n) for j in range(s.n) if i == j or j in structure.reads[i]]
    places = {pair: place for place, pair in enumerate(pairs)}
    sizes = f"constexpr int ENTRIES = {len(places)};\nconstexpr bool CONSTANT = {'false' if structure.homogeneous else 'true'};\n"
    return "\n".join([sizes, *_matrices(_entries(rhs, s, places), s, len(places)), *_products(places), _eigenvalues(groups, places)])


def _entries(rhs: Rhs, s: Any, places: Places) -> Any:
    """(p.., q..) -> the entries of the matrix, then the constant input of each state."""

    def entries(*x: Any) -> list[Any]:
        p, q = list(x[: s.k]), list(x[s.k :])
        m, constant = matrix(rhs, s.n, p, q)
        return [jnp.asarray(v, float) for v in (*(m[i][j] for i, j in places), *constant)]

    return entries


def _matrices(entries: Any, s: Any, count: int) -> list[str]:
    inputs, names = s.k + s.j, [f"p[{i}]" for i in range(s.k)] + [f"q[{i}]" for i in range(s.j)]
    made = lambda m, c: [f"{m}[{i}]" for i in range(count)] + [f"{c}[{i}]" for i in range(s.n)]  # noqa: E731
    added = [f"g{name}+" for name in names]

    def pulled(*x: Any) -> list[Any]:
        return list(jax.vjp(entries, *x[:inputs])[1](list(x[inputs:])))

    def pushed(*x: Any) -> list[Any]:
        return jax.jvp(entries, x[:inputs], x[inputs:])[1]

    moves = [f"d{name}" for name in names]
    return [
        function("matrix", tracing.trace(entries, inputs), names, made("m", "c"), f"{_GIVEN}, vec *m, vec *c"),
        function(
            "matrix_pull",
            tracing.trace(pulled, inputs + count + s.n),
            names + made("gm", "gc"),
            added,
            f"{_GIVEN}, const vec *gm, const vec *gc, vec *gp, vec *gq",
        ),
        function(
            "matrix_push",
            tracing.trace(pushed, 2 * inputs),
            names + moves,
            made("dm", "dc"),
            f"{_GIVEN}, const vec *dp, const vec *dq, vec *dm, vec *dc",
        ),
    ]


def _products(places: Places) -> list[str]:
    """o = M x, o = M' x, g += x y'."""
    rows: dict[int, list[str]] = {}
    columns: dict[int, list[str]] = {}
    for (i, j), place in places.items():
        rows.setdefault(i, []).append(f"m[{place}] * x[{j}]")
        columns.setdefault(j, []).append(f"m[{place}] * x[{i}]")
    sums = lambda table: [f"o[{i}] = {' + '.join(terms)};" for i, terms in table.items()]  # noqa: E731
    return [
        body("times", "const vec *m, const vec *x, vec *o", sums(rows)),
        body("times_transposed", "const vec *m, const vec *x, vec *o", sums(columns)),
        body("outer", "const vec *x, const vec *y, vec *g", [f"g[{place}] += x[{i}] * y[{j}];" for (i, j), place in places.items()]),
    ]


def _eigenvalues(groups: Sequence[tuple[int, ...]], places: Places) -> str:
    """Of each block of states that exchange: the diagonal, the roots of a quadratic, or those of the symmetric matrix with the same ones."""
    lines, found = [], 0
    for group in groups:
        entry = lambda i, j, group=group: f"m[{places[group[i], group[j]]}]"  # noqa: E731
        if len(group) == 1:
            lines.append(f"x[{found}] = {entry(0, 0)};")
        elif len(group) == 2:
            lines.append(f"pair({entry(0, 0)}, {entry(0, 1)}, {entry(1, 0)}, {entry(1, 1)}, x + {found});")
        else:
            lines += [
                "{",
                f"  vec a[{len(group)}][{len(group)}];",
                *_symmetric(group, places),
                f"  rotate<{len(group)}>(a, x + {found});",
                "}",
            ]
        found += len(group)
    return body("eigenvalues", "const vec *m, vec *x", lines)


def _symmetric(group: tuple[int, ...], places: Places) -> list[str]:
    """a_ij = sqrt(m_ij m_ji): similar to M where the exchange between states forms a tree."""
    lines = []
    for a, i in enumerate(group):
        for b, j in enumerate(group):
            both = (i, j) in places and (j, i) in places
            value = f"m[{places[i, i]}]" if i == j else f"vsqrt(m[{places[i, j]}] * m[{places[j, i]}])" if both else "all(0.0)"
            lines.append(f"  a[{a}][{b}] = {value};")
    return lines
