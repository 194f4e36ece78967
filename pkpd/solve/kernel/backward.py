"""The cotangents of one block of lanes: its tape backwards, in one loop in one kernel.

lambda is the slope in the state at the start of a turn. A turn was a step on the way (lambda goes back through it), a look (what its value was given
goes back through the step to it and is added to lambda), or nothing. What belongs to a segment is summed until its first turn, and written there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pkpd.solve.batched.adjoint import edge_sums
from pkpd.solve.batched.field import parted
from pkpd.solve.batched.loop import Tape
from pkpd.solve.batched.tableaus import Explicit
from pkpd.solve.kernel.step import RowField, Rows, adjoint, chosen
from pkpd.solve.kernel.tables import Tables

Wanted = tuple[bool, bool, bool]
Sums = dict[str, Rows]


class Back(NamedTuple):
    """lambda, slopes in p so far, slopes in what belongs to the segment so far, and the number of the look before."""

    lam: Rows
    p: Rows
    sums: Sums
    look: Any


def pull(tables: Tables, f: RowField, tableau: Explicit, wanted: Wanted) -> None:
    """Slopes in the start of every segment ("to_jump"), and in those of p, q, rate, edges and times that a table is there for."""
    rows, looks = tables.refs["rows"][0], tables.refs["inside"].shape[0]
    p = tables.rows("p")

    def turn(count: Any, back: Back) -> Back:
        i = rows - 1 - count
        at = Tape(tables.rows("tape_y", i), *(tables.row(f"tape_{name}", i) for name in ("e", "tau", "increment", "ends")), None)
        back = _left(tables, back, at)
        m = tables.at("order", jnp.maximum(back.look, 0))
        reads = (back.look >= 0) & (tables.at("spot", m) == i)
        begin = tables.at("edges", at.e)
        length = tables.at("edges", at.e + 1) - begin
        t = begin + at.tau * length
        h = jnp.where(reads, tables.at("inside", m) - t, at.increment * length)
        u, s = parted((p, tables.all_at("q", at.e), tables.all_at("rate", at.e)), wanted)
        given = chosen(reads, [tables.at("given", m, j) for j in range(len(at.y))], back.lam)
        bars = adjoint(tableau, f, t, h, at.y, u, s, given)
        return _gathered(tables, back, at, (reads, m), bars, wanted)

    zeros = [jnp.zeros_like(x) for x in tables.rows("y0")]
    first = Back(zeros, _blank(tables, "to_p", zeros[0]), _sums(tables, zeros[0]), jnp.full_like(tables.lanes, looks - 1))
    last = jax.lax.fori_loop(0, rows, turn, first)
    _write(tables, last, jnp.zeros_like(tables.lanes), tables.lanes >= 0)
    for j, row in enumerate(last.p):
        tables.write("to_p", row, j)


def _blank(tables: Tables, name: str, zero: Any) -> Rows:
    return [zero for _ in range(tables.refs[name].shape[0])] if name in tables.refs else []


def _sums(tables: Tables, zero: Any) -> Sums:
    """Zeros for each table over segments."""
    return {name: _blank(tables, name, zero) for name in ("to_q", "to_rate", "to_edges") if name in tables.refs}


def _left(tables: Tables, back: Back, at: Tape) -> Back:
    """Where this turn arrived at the end of its segment, what was summed belongs to the next one: write it, and go back through its start."""
    turn = at.ends > 0.0
    _write(tables, back, at.e + 1, turn)
    stays = 1.0 - tables.at("reset", at.e + 1, where=turn) - tables.at("clear", at.e + 1, where=turn)
    lam = [jnp.where(turn, x * stays, x) for x in back.lam]
    return back._replace(lam=lam, sums=jax.tree.map(lambda x: jnp.where(turn, 0.0, x), back.sums))


def _write(tables: Tables, back: Back, e: Any, where: Any) -> None:
    for name, table in (back.sums | {"to_jump": back.lam}).items():
        for i, row in enumerate(table):
            tables.write_at(name, row, i, e, where=where)


def _gathered(tables: Tables, back: Back, at: Tape, look: tuple[Any, Any], bars: tuple, wanted: Wanted) -> Back:
    """Add what one turn gave; a turn without a step or look gave nothing, whatever was worked out for it."""
    (reads, m), (t_bar, h_bar, y_bar, u_bar) = look, bars
    steps = at.increment > 0.0
    own = dict(zip([name for name, w in zip(("to_p", "to_q", "to_rate"), wanted, strict=True) if w], u_bar, strict=True))
    edges = edge_sums(at, jnp.where(reads, t_bar - h_bar, t_bar), h_bar)  # a look stands still: a later start is a shorter step
    own["to_edges"] = [edges["begin"], edges["end"]]
    added = lambda total, rows: [x + jnp.where(steps | reads, z, 0.0) for x, z in zip(total, rows, strict=True)]  # noqa: E731
    if "to_times" in tables.refs:
        tables.write_at("to_times", h_bar, m, where=reads)
    lam = chosen(steps, y_bar, chosen(reads, [x + z for x, z in zip(back.lam, y_bar, strict=True)], back.lam))
    sums = {name: added(total, own[name]) for name, total in back.sums.items()}
    return Back(lam, added(back.p, own.get("to_p", [])), sums, back.look - jnp.where(reads, 1, 0))
