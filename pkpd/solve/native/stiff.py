"""What the Rosenbrock method needs besides the rates: the Jacobian and f_t, their derivatives along a step, and the order of elimination."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pkpd import tracing
from pkpd.solve.contract import Rhs
from pkpd.solve.native.translate import Unsupported, body, function
from pkpd.solve.structure import analyse

_MOST = 5000  # lines of elimination; a full matrix of 24 states has as many


def order_and_fill(pattern: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Diagonal pivots by Markowitz' rule (fewest new entries first), and where entries stand then [row, column] in that order.

    >>> order, fill = order_and_fill(np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1]], bool))
    >>> order, int(fill.sum())
    ([1, 0, 2], 7)
    """
    filled, left, order = pattern.copy(), list(range(len(pattern))), []
    while left:
        counts = [(filled[k, left].sum() - 1) * (filled[left, k].sum() - 1) for k in left]
        k = left.pop(int(np.argmin(counts)))
        order.append(k)
        rows, columns = ([i for i in left if hit[i]] for hit in (filled[:, k], filled[k]))
        filled[np.ix_(rows, columns)] = True
    return order, filled[np.ix_(order, order)]


def write(rhs: Rhs, field: Any, sizes: Any, given: str) -> str:
    """The functions rates_matrix, rates_bend_pull and rates_bend_push, and the elimination of a matrix of this model's pattern."""
    reads = analyse(rhs, sizes.n, sizes.k, sizes.j).reads
    pattern = np.array([[i == j or j in reads[i] for j in range(sizes.n)] for i in range(sizes.n)])
    order, fill = order_and_fill(pattern)
    places = {(order[a], order[b]): f"w[{i}]" for i, (a, b) in enumerate(np.argwhere(fill))}
    derivatives = _matrix(field, sizes, given, pattern, places), _bend_pull(field, sizes, given, pattern), _bend_push(field, sizes, given)
    return "\n".join([f"constexpr int ENTRIES = {len(places)};", *derivatives, *_elimination(order, places)])


def _slope(field: Any, x: Any, place: int) -> list[Any]:
    """The derivative of every rate in argument `place`."""
    return jax.jvp(lambda v: field(*x[:place], v, *x[place + 1 :]), (x[place],), (1.0,))[1]


def _matrix(field: Any, s: Any, given: str, pattern: np.ndarray, places: dict[tuple[int, int], str]) -> str:
    """w = diagonal I - J where anything stands after elimination, ft = df/dt."""

    def columns(*x: Any) -> list[Any]:
        found, diagonal = [_slope(field, x, 1 + j) for j in range(s.n)], x[s.inputs]
        return [(diagonal if i == j else 0.0) - found[j][i] if pattern[i, j] else 0.0 for i, j in places] + _slope(field, x, 0)

    made = [*places.values(), *(f"ft[{i}]" for i in range(s.n))]
    names = [*s.names("t", "y", "p", "q", "r"), "diagonal"]
    return function("rates_matrix", tracing.trace(columns, s.inputs + 1), names, made, f"{given}, const vec diagonal, vec *w, vec *ft")


def _elimination(order: list[int], places: dict[tuple[int, int], str]) -> list[str]:
    """L U without exchanges (the diagonal kept inverted), x = W^-1 x and x = W^-T x, written out entry by entry."""
    before = {k: order[:i] for i, k in enumerate(order)}
    after = {k: order[i + 1 :] for i, k in enumerate(order)}
    lines = []
    for k in order:
        lines.append(f"{places[k, k]} = all(1.0) / {places[k, k]};")
        for i in (i for i in after[k] if (i, k) in places):
            lines.append(f"{places[i, k]} *= {places[k, k]};")
            lines += [f"{places[i, j]} -= {places[i, k]} * {places[k, j]};" for j in after[k] if (k, j) in places]
    if len(lines) > _MOST:
        raise Unsupported(f"{len(order)} states that depend on each other so densely that the stiff method would need {len(lines)} lines")
    down = [f"x[{i}] -= {places[i, k]} * x[{k}];" for i in order for k in before[i] if (i, k) in places]
    up = [_row(i, [(places[i, k], k) for k in after[i] if (i, k) in places], places) for i in reversed(order)]
    down_t = [_row(i, [(places[k, i], k) for k in before[i] if (k, i) in places], places) for i in order]
    up_t = [f"x[{i}] -= {places[k, i]} * x[{k}];" for i in reversed(order) for k in after[i] if (k, i) in places]
    return [
        body("eliminate", "vec *w", lines),
        body("substitute", "const vec *w, vec *x", down + up),
        body("substitute_transposed", "const vec *w, vec *x", down_t + up_t),
    ]


def _row(i: int, entries: list[tuple[str, int]], places: dict[tuple[int, int], str]) -> str:
    taken = "".join(f" - {entry} * x[{k}]" for entry, k in entries)
    return f"x[{i}] = (x[{i}]{taken}) * {places[i, i]};"


def _along(field: Any, s: Any):
    """J u + tau f_t as a function of (t, y, p, q, r), u and tau."""

    def along(x: Any, u: Any, tau: Any) -> list[Any]:
        rest = x[1 + s.n :]
        return jax.jvp(lambda t, *y: field(t, *y, *rest), tuple(x[: 1 + s.n]), (tau, *u))[1]

    return along


def _bend_pull(field: Any, s: Any, given: str, pattern: np.ndarray) -> str:
    """The gradient of sum_ij m_ij J_ij + sum_i mt_i (f_t)_i in y, p, q and r, added to what is there; and m += c u' where J may differ from zero."""
    pairs = [(int(i), int(j)) for i, j in np.argwhere(pattern)]

    def weighed(x: Any, m: Any, mt: Any) -> Any:
        found = [_slope(field, x, 1 + j) for j in range(s.n)]
        of_time = sum(w * f for w, f in zip(mt, _slope(field, x, 0), strict=True))
        return sum((m[e] * found[j][i] for e, (i, j) in enumerate(pairs)), of_time)

    def pulled(*x: Any) -> list[Any]:
        at, m, mt = x[: s.inputs], x[s.inputs : s.inputs + len(pairs)], x[s.inputs + len(pairs) :]
        return list(jax.vjp(lambda *rest: weighed((at[0], *rest), m, mt), *at[1:])[1](1.0))

    names = s.names("t", "y", "p", "q", "r") + [f"m[{e}]" for e in range(len(pairs))] + [f"mt[{i}]" for i in range(s.n)]
    made = [f"{name}+" for name in s.names("", "gy", "gp", "gq", "gr")[1:]]
    signature = f"{given}, const vec *m, const vec *mt, vec *gy, vec *gp, vec *gq, vec *gr"
    lines = [f"m[{e}] += c[{i}] * u[{j}];" for e, (i, j) in enumerate(pairs)]
    return "\n".join(
        [
            f"constexpr int PAIRS = {len(pairs)};",
            body("weigh_pairs", "const vec *c, const vec *u, vec *m", lines),
            function("rates_bend_pull", tracing.trace(pulled, s.inputs + len(pairs) + s.n), names, made, signature),
        ]
    )


def _bend_push(field: Any, s: Any, given: str) -> str:
    """d = the derivative of J u + tau f_t along (dy, dp, dq, dr)."""
    along = _along(field, s)

    def pushed(*x: Any) -> list[Any]:
        at, u, tau, moves = x[: s.inputs], x[s.inputs : s.inputs + s.n], x[s.inputs + s.n], x[s.inputs + s.n + 1 :]
        return jax.jvp(lambda *rest: along((at[0], *rest), u, tau), at[1:], moves)[1]

    names = s.names("t", "y", "p", "q", "r") + [f"u[{i}]" for i in range(s.n)] + ["tau"] + s.names("", "dy", "dp", "dq", "dr")[1:]
    signature = f"{given}, const vec *u, const vec tau, const vec *dy, const vec *dp, const vec *dq, const vec *dr, vec *d"
    made = [f"d[{i}]" for i in range(s.n)]
    return function("rates_bend_push", tracing.trace(pushed, 2 * s.inputs + s.n), names, made, signature)
