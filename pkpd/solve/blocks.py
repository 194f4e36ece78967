"""Many subjects in blocks: what a solve needs at once stays bounded, whatever their number."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.contract import Events, Rhs, Solution, Solve

BYTES = 32 << 20  # what one block may take: about a core's share of the cache is fastest, and more gains nothing on a CPU
LEAST = 32


def lanes_for(bytes_a_lane: float) -> int:
    """Subjects in a block."""
    return max(LEAST, int(BYTES / max(bytes_a_lane, 1.0)))


def in_blocks(solve: Solve, size: int) -> Solve:
    """The same solve, `size` subjects at a time. The last block is filled up with copies of the first subject, whose results are dropped."""

    def blockwise(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        lanes = y0.shape[1]
        if lanes <= size:
            return solve(rhs, events, y0, p, q, times)
        count = -(-lanes // size)
        cut = lambda x: _cut(jnp.asarray(x), count, size)  # noqa: E731
        tables = jax.tree.map(cut, (events.whole(), y0, p, q, times))
        found = jax.lax.map(jax.checkpoint(lambda block: tuple(solve(rhs, *block))), tables)
        return Solution(*(jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], count * size)[..., :lanes] for x in found))

    return blockwise


def _cut(x: Any, count: int, size: int) -> Any:
    """[.., B] -> [blocks, .., size]."""
    return jnp.moveaxis(filled(x, count * size - x.shape[-1]).reshape(*x.shape[:-1], count, size), -2, 0)


def filled(x: Any, missing: int) -> Any:
    """[.., B + missing], with copies of the first subject."""
    return jnp.concatenate([x, jnp.broadcast_to(x[..., :1], (*x.shape[:-1], missing))], -1) if missing else x
