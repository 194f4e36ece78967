"""One solve of many subjects shared among devices: each solves its own subjects by the same program; what they exchange are solutions and their slopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from pkpd.solve.blocks import filled
from pkpd.solve.contract import Events, Rhs, Solution, Solve
from pkpd.solve.devices import AXIS, checked_devices, mesh_of


def everywhere(devices: int) -> Any:
    """Where values stand that the first so many devices all need. Raises `SolveError` where there are fewer."""
    return NamedSharding(mesh_of(checked_devices(devices)), PartitionSpec())


def over_subjects(make: Callable[..., Solve], tables: Sequence[Any], devices: int) -> Solve:
    """`make(*tables)` with its subjects, the last axis of every argument and table, shared among so many devices; itself for one.

    Missing subjects of the last device are copies of the first, whose results are dropped.
    """
    if devices == 1:
        return make(*tables)
    mesh = mesh_of(checked_devices(devices))

    def shared(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        lanes = y0.shape[1]
        given = jax.tree.map(lambda x: filled(jnp.asarray(x), -lanes % devices), (events.whole(), y0, p, q, times, tuple(tables)))

        def own(events: Events, y0: Any, p: Any, q: Any, times: Any, tables: Sequence[Any]) -> tuple[Any, Any, Any]:
            return tuple(make(*tables)(rhs, events, y0, p, q, times))

        last = lambda rank: PartitionSpec(*[None] * (rank - 1), AXIS)  # noqa: E731
        specs = jax.tree.map(lambda x: last(x.ndim), given)
        run = jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=(last(3), last(1), last(1)), check_vma=False)
        return Solution(*(x[..., :lanes] for x in run(*given)))

    return shared
