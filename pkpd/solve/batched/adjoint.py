"""Cotangents of a recorded solution: the taped steps backwards, each by its hand-written adjoint.

lambda is the slope in the state at the start of a step. What belongs to a segment (covariates, rates, both edges) is summed until the segment's first
step and read off there, and so is lambda for what happens at its start: the cost does not grow with the number of segments.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.batched.field import make_field, parted
from pkpd.solve.batched.loop import Method, Tape
from pkpd.solve.batched.problem import held, inputs, place, span, spread, states_first
from pkpd.solve.batched.replay import Record, row, states_at
from pkpd.solve.contract import Rhs

Sums = dict[str, Any]


def backwards(rhs: Rhs, timed: bool, method: Method, record: Record, names: frozenset[str], given: Any) -> Sums:
    """Cotangents of the named arguments from those of the looks [n, M B]."""
    wanted = ("p" in names, "q" in names, "rate" in names)
    field = make_field(rhs, wanted)
    moving, tape, rate = record.moving, record.tape, states_first(record.moving.rate)
    to_rows, found = _looks(field, timed, method, record, wanted, given)

    def step(count: Any, carry: tuple) -> tuple:
        i = record.rows - 1 - count
        lam, total, sums, trail = carry
        at = row(tape, i)
        turn = at.ends > 0.0
        begin, length = span(moving.edges, at.e)
        lam = jnp.where(turn, lam * (1.0 - held(record.fixed.reset, at.e + 1) - held(record.fixed.clear, at.e + 1)), lam)
        u, s = parted(inputs(moving, rate, at.e), wanted)
        point = jax.lax.optimization_barrier((begin + at.tau * length, at.increment * length, at.y, u, s))
        worked = method.stages(field, timed, *point)
        t_bar, h_bar, y_bar, u_bar = method.adjoint(field, timed, *point, *jax.lax.optimization_barrier((worked, lam)))
        own = _named(wanted, u_bar) | edge_sums(at, t_bar, h_bar)
        total = {name: value + own[name] for name, value in total.items()}
        sums = {name: jnp.where(turn, 0.0, value) + own[name] for name, value in sums.items()}
        lam = y_bar + jax.lax.dynamic_index_in_dim(to_rows, i, 0, keepdims=False)
        trail = {n: jax.lax.dynamic_update_index_in_dim(trail[n], x, i, 0) for n, x in (sums | {"lambda": lam}).items()}
        return lam, total, sums, trail

    total, sums = _blank(record, names)
    trail = {n: jax.lax.empty((tape.tau.shape[0], *x.shape), x.dtype) for n, x in (sums | {"lambda": moving.y0}).items()}
    carry = jax.lax.fori_loop(0, record.rows, step, (jnp.zeros_like(moving.y0), total, sums, trail))
    found = _added(found, carry[1])
    for part in _by_segment(record, carry[3]):
        found = _added(found, part)
    return {name: found[name] for name in sorted(names)}


def _blank(record: Record, names: frozenset[str]) -> tuple[Sums, Sums]:
    """Zeros for what is summed over all steps, and for what is summed within a segment."""
    m = record.moving
    total = {"p": jnp.zeros_like(m.p)} if "p" in names else {}
    zero = jnp.zeros_like(m.y0[0])
    sums = {"q": jnp.zeros_like(m.q[:, 0]), "rate": jnp.zeros_like(m.rate[0]), "begin": zero, "end": zero}
    return total, {n: x for n, x in sums.items() if ("edges" if n in ("begin", "end") else n) in names}


def _named(wanted: tuple[bool, bool, bool], bars: tuple) -> Sums:
    names = [name for name, w in zip(("p", "q", "rate"), wanted, strict=True) if w]
    return dict(zip(names, bars, strict=True))


def edge_sums(at: Tape, t_bar: Any, h_bar: Any) -> Sums:
    """t = a + tau (b - a), h = increment (b - a)"""
    end = at.tau * t_bar + at.increment * h_bar
    return {"begin": t_bar - end, "end": end}


def _added(sums: Sums, more: Sums) -> Sums:
    """Entry by entry; sorted, since a set's order changes from run to run and compiled code is looked up by its text."""
    return {name: sum(x[name] for x in (sums, more) if name in x) for name in sorted({*sums, *more})}


def _looks(field: Any, timed: bool, method: Method, record: Record, wanted: tuple[bool, bool, bool], given: Any) -> tuple[Any, Sums]:
    """Cotangents of the taped states [T, n, B], and of the arguments, through the steps to the looks."""
    moving, segment = record.moving, record.fixed.segment
    y, tau = states_at(record.tape, record.spot)
    (start, length), place_back = jax.vjp(lambda edges, times: place(edges, times, segment, tau), moving.edges, moving.times)
    parts, spread_back = jax.vjp(lambda *x: spread(x, segment), moving.p, moving.q, moving.rate)
    point = (start.reshape(-1), length.reshape(-1), y, *parted(parts, wanted))
    t_bar, h_bar, y_bar, u_bar = method.adjoint(field, timed, *point, record.worked, given)
    edges, times = place_back((t_bar.reshape(start.shape), h_bar.reshape(start.shape)))
    bars = iter(u_bar)
    p, q, rate = spread_back(tuple(next(bars) if w else jnp.zeros_like(x) for x, w in zip(parts, wanted, strict=True)))
    (to_rows,) = jax.vjp(lambda table: states_at(record.tape._replace(y=table), record.spot)[0], record.tape.y)[1](y_bar)
    return to_rows, {"edges": edges, "times": times, "p": p, "q": q, "rate": rate, "jump": jnp.zeros_like(moving.jump)}


def _by_segment(record: Record, trail: Sums) -> list[Sums]:
    """What was summed within segments, read at the first row of each: tables over segments."""
    moving, fixed, key = record.moving, record.fixed, record.tape.key
    e = jnp.arange(moving.jump.shape[0])
    first = jax.vmap(lambda column: jnp.searchsorted(column, e.astype(column.dtype)), in_axes=1, out_axes=1)(key)
    first = jnp.minimum(first, key.shape[0] - 1)
    met = jnp.take_along_axis(key, first, 0) == e[:, None]
    read = {n: _read(x, first, met) for n, x in trail.items()}
    jump, out = read.pop("lambda"), {n: jnp.moveaxis(x, 1, 0) if n == "q" else x for n, x in read.items()}
    begin = jump * fixed.reset[:, None]
    y0 = begin.sum(0) + jump[0] * (1.0 - fixed.reset[0] - fixed.clear[0])
    edges = [{"edges": jnp.pad(out.pop(n), pad)} for n, pad in (("begin", ((0, 1), (0, 0))), ("end", ((1, 0), (0, 0)))) if n in out]
    return [{"jump": jump, "y0": y0}, out, *edges]


def _read(table: Any, first: Any, met: Any) -> Any:
    """Rows [E, .., B] of table[T, .., B]; zero for segments never entered."""
    between = (1,) * (table.ndim - 2)
    first, met = (x.reshape(x.shape[0], *between, x.shape[1]) for x in (first, met))
    return jnp.where(met, jnp.take_along_axis(table, jnp.broadcast_to(first, (first.shape[0], *table.shape[1:])), 0), 0.0)
