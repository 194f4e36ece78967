"""One solve of many subjects shared among devices: each solves its own subjects by the same program, and nothing is exchanged before the likelihood's sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from pkpd.solve.contract import Events, Rhs, Solution, Solve
from pkpd.solve.devices import AXIS, checked_devices


def mesh_of(devices: int) -> Any:
    """The first so many devices as one axis. Raises `SolveError` where there are fewer."""
    return jax.make_mesh((devices,), (AXIS,), axis_types=(AxisType.Auto,), devices=checked_devices(devices))


def everywhere(devices: int) -> Any:
    """Where values stand that every device needs."""
    return NamedSharding(mesh_of(devices), PartitionSpec())


def over_subjects(make: Callable[..., Solve], tables: Sequence[Any], devices: int) -> Solve:
    """`make(*tables)` with its subjects, the last axis of every argument and table, shared among so many devices; itself for one.

    Missing subjects of the last device are copies of the first, whose results are dropped.
    """
    if devices == 1:
        return make(*tables)
    mesh = mesh_of(devices)

    def shared(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        lanes = y0.shape[1]
        filled = jax.tree.map(lambda x: _filled(jnp.asarray(x), -lanes % devices), (_whole(events), y0, p, q, times, tuple(tables)))

        def own(events: Events, y0: Any, p: Any, q: Any, times: Any, tables: Sequence[Any]) -> tuple[Any, Any, Any]:
            return tuple(make(*tables)(rhs, events, y0, p, q, times))

        last = lambda rank: PartitionSpec(*[None] * (rank - 1), AXIS)  # noqa: E731
        specs = jax.tree.map(lambda x: last(x.ndim), filled)
        run = jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=(last(3), last(1), last(1)), check_vma=False)
        return Solution(*(x[..., :lanes] for x in run(*filled)))

    return shared


def _whole(events: Events) -> Events:
    return events._replace(clear=jnp.broadcast_to(events.clear, jnp.shape(events.reset)))


def _filled(x: Any, missing: int) -> Any:
    """[.., B + missing]"""
    return jnp.concatenate([x, jnp.broadcast_to(x[..., :1], (*x.shape[:-1], missing))], -1) if missing else x
