"""Where chains that walk in one program stand: on one device, shared among several, or all on several that share the subjects of a solve."""

from __future__ import annotations

from typing import Any, NamedTuple

from jax.sharding import NamedSharding, PartitionSpec

from pkpd.solve.devices import AXIS, checked_devices, mesh_of
from pkpd.solve.shared import everywhere


class Places(NamedTuple):
    """Where the values of one chain stand, and those of all stacked; `mesh` where the chains are shared among devices, and who they are in words."""

    one: Any
    all: Any
    mesh: Any
    told: str


def places(chains: int, sharing: int) -> Places:
    """Of `chains` chains: `sharing` devices share the subjects, or as many devices as divide the number of chains share the chains.

    >>> places(4, 1).told                                                                  # on a machine with one device
    'all chains on 1 device'
    """
    if sharing > 1:
        where = everywhere(sharing)
        return Places(where, where, None, f"all chains on {sharing} devices, which share the subjects")
    here = checked_devices(None)
    many = max(n for n in range(1, len(here) + 1) if chains % n == 0)
    if many == 1:
        return Places(here[0], here[0], None, "all chains on 1 device")
    mesh = mesh_of(here[:many])
    return Places(here[0], NamedSharding(mesh, PartitionSpec(AXIS)), mesh, f"{chains // many} of {chains} chains on each of {many} devices")
