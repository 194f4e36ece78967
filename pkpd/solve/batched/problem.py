"""What the loop integrates: the arguments of one solve, and what holds in a segment of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from pkpd.solve.contract import Events


class Moving(NamedTuple):
    """The arguments in which a solve is differentiable; shapes as in the contract."""

    y0: Any
    p: Any
    q: Any
    jump: Any
    rate: Any
    edges: Any
    times: Any


class Fixed(NamedTuple):
    """The arguments in which it is not."""

    reset: Any
    clear: Any
    segment: Any


def held(table: Any, e: Any) -> Any:
    """table[.., E, B] at segment e[B] of each lane; zero outside. A sum with 0/1 masks: a gather is slower for tables of the usual length."""
    here = jnp.arange(table.shape[-2])[:, None] == e
    return jnp.sum(jnp.where(here, table, 0.0), -2)


def inputs(moving: Moving, rate: Any, e: Any) -> tuple[Any, Any, Any]:
    """(p, q, r) in segment e; rate[n, E, B]."""
    return moving.p, held(moving.q, e), held(rate, e)


def span(edges: Any, e: Any) -> tuple[Any, Any]:
    """Start and length of segment e[B]."""
    begin = held(edges, e)
    return begin, held(edges, e + 1) - begin


def states_first(table: Any) -> Any:
    """[E, n, B] -> [n, E, B]."""
    return jnp.moveaxis(table, 1, 0)


def entered(moving: Moving, fixed: Fixed, y: Any, e: Any) -> Any:
    """The state after what happens at the start of segment e[B]."""
    jump = held(states_first(moving.jump), e)
    return Events(None, jump, None, held(fixed.reset, e), None, held(fixed.clear, e)).starts(y, moving.y0)


def place(edges: Any, times: Any, segment: Any, tau: Any) -> tuple[Any, Any]:
    """(start, length) of the re-step to each look [M, B] from the step that begins at fraction `tau` of its segment."""
    begin, end = (jnp.take_along_axis(edges, segment + k, 0) for k in (0, 1))
    inside = jnp.where(times < begin, begin, jnp.where(times > end, end, times))  # not clip: its slope at a tie is a half
    start = begin + tau * (end - begin)
    return start, inside - start


def spread(moving_parts: tuple, segment: Any) -> tuple[Any, Any, Any]:
    """(p, q, r) at each look, looks side by side as copies of the lanes [.., M B]; from (p, q, rate)."""
    p, q, rate = moving_parts
    looks, lanes = segment.shape
    flat = lambda x: x.reshape(x.shape[0], looks * lanes)  # noqa: E731
    at = lambda table: flat(jnp.take_along_axis(table, segment[None], 1))  # noqa: E731
    return flat(jnp.broadcast_to(p[:, None], (p.shape[0], looks, lanes))), at(q), at(jnp.moveaxis(rate, 1, 0))
