"""Independent lanes (draws, subjects) shared among the devices of a machine: every device runs the same program on its part, nothing is exchanged.

`shard_map` over a mesh of one axis, and not the partitioner's own choice, because calls into machine code cannot be partitioned. Numbers are those of one
device: bit for bit with machine code, to rounding where XLA compiles the solve, since it may order the same operations otherwise for several devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from pkpd.errors import SolveError

AXIS = "lanes"
FIRST, LAST = PartitionSpec(AXIS), PartitionSpec(None, AXIS)
"""The shared axis is the first, or the second of two."""
Devices = Sequence[Any]


def checked_devices(given: Any) -> Devices:
    """All of this process for None (or the one that `jax.default_device` names), the first n for a number, or those given.

    >>> len(checked_devices(1))
    1
    """
    here = jax.local_devices()
    if given is None:
        named = jax.config.jax_default_device
        return tuple(here) if named is None else (named if isinstance(named, jax.Device) else jax.local_devices(backend=named)[0],)
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        if 1 <= given <= len(here):
            return tuple(here[:given])
        raise SolveError(
            f"devices={given}: JAX has {_named(here)} here. Give None (all), a number from 1 to {len(here)}, or some of jax.devices(). "
            "More devices of a CPU are made by jax.config.update('jax_num_cpu_devices', 8) before anything is computed."
        )
    found = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if (
        not found
        or any(not isinstance(d, jax.Device) for d in found)
        or len({d.platform for d in found}) > 1
        or len(set(found)) < len(found)
    ):
        raise SolveError(f"devices={given!r}: None (all), a number, or some of jax.devices(), different ones of one kind.")
    return found


def useful(devices: Devices, parts: int, method: str, threads: int) -> Devices:
    """The devices that have something to do: no more than there are parts of work, and one where machine code takes all cores by itself."""
    if method.startswith("native_") and threads != 1:
        return devices[:1]
    turns = -(-parts // len(devices))
    return devices[: -(-parts // turns)]


def mesh_of(devices: Devices) -> Any:
    """Devices as one axis."""
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def over_devices(function: Callable, devices: Devices, out: Any = FIRST) -> Callable:
    """`function` compiled; the first axis of every argument is shared among `devices`, which must divide it, and so is the axis `out` of what it gives."""
    if len(devices) == 1:
        run, place = jax.jit(function), devices[0]
    else:
        mesh = mesh_of(devices)
        run = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=FIRST, out_specs=out, check_vma=False))
        place = NamedSharding(mesh, FIRST)
    return lambda *given: run(*jax.device_put(given, place))


def told_devices(devices: Devices) -> str:
    """How many of which kind: "2 cpu"."""
    return f"{len(devices)} {devices[0].platform}"


def _named(devices: Sequence[jax.Device]) -> str:
    return f"{len(devices)} device{'s' * (len(devices) > 1)} ({devices[0].platform})"
