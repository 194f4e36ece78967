"""The start and metric of a fit, taken from its checkpoint where an unfinished fit of the same density lies there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jax

from pkpd.inference.checkpoint import GEOMETRY, Checkpoint
from pkpd.inference.geometry import Geometry

log = logging.getLogger("pkpd")


def kept_geometry(space: Any, kept: Checkpoint | None, find: Callable[[], Geometry], name: str = GEOMETRY) -> Geometry:
    """What `find` gives, or what it gave the unfinished fit in `kept`; a fit of another density is set aside."""
    if kept is None:
        return find()
    found = kept.geometry(name)
    different = changed(space, found) if found is not None else ""
    if found is not None and not different:
        log.info("going on with the unfinished fit in %s", kept.folder)
        return found
    if different:
        kept.set_aside(different)
    geometry = find()
    kept.keep_geometry(geometry, name)
    return geometry


def changed(space: Any, found: Geometry) -> str:
    """How the density differs at a stored start, which catches what no digest names (priors, numbers held fixed); empty where it does not."""
    if found.mode.shape != (space.size,) or set(found.weights) != set(space.full_weights):
        return f"{found.mode.size} unknowns, now {space.size}"
    now = float(jax.jit(space.potential)(found.mode, found.weights))
    same = abs(now - found.potential) <= 1e-8 * (1 + abs(now))  # False where it is not finite
    return "" if same else f"-log density at its start {found.potential:.10g}, now {now:.10g}: the model, data or priors have changed"
