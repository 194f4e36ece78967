"""Doses at steady state, and covariates over segments: what a predictor hands to the solver besides doses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.errors import SolveError
from pkpd.events.intervals import Intervals
from pkpd.events.layout import Layout, Steady
from pkpd.events.schedule import Schedule
from pkpd.model.model import Model
from pkpd.solve import Chosen
from pkpd.solve.contract import Periodic, Rhs, Status, Train

FAULTS = np.array([Status.OK, Status.BAD_DOSE, Status.LAG_BEYOND_INTERVAL, Status.OVERLAP, Status.CROSSED], int)
"""The status of each `Fault`, by its number."""


@lru_cache(maxsize=64)
def line_rhs(model: Model, linear: tuple[bool, ...]) -> Rhs:
    """The rates with q_j + slope_j (t - origin_j) for covariates that are straight lines; slopes and origins follow the covariates."""
    lines = [j for j, line in enumerate(linear) if line]

    def rhs(t: Any, y: Any, p: Any, q: Any, r: Any) -> list[Any]:
        own = list(q[: len(linear)])
        for k, j in enumerate(lines):
            slope, origin = q[len(linear) + 2 * k], q[len(linear) + 2 * k + 1]
            own[j] = own[j] + slope * (t - origin)
        return model.rhs(t, y, p, own, r)

    return rhs


def segment_covariates(intervals: Intervals, layout: Layout) -> Any:
    """Covariates of each segment [j, E, B], with slope and origin of straight lines after them."""
    tables = list(intervals.value)
    for j, line in enumerate(intervals.linear):
        tables += [intervals.slope[j], intervals.origin] if line else []
    if not tables:
        return jnp.zeros((0, *layout.reset.shape))
    index = jnp.asarray(layout.interval)
    return jnp.stack([jnp.take_along_axis(jnp.asarray(table), index, 0) for table in tables])


def steady_states(periodic: Periodic, rhs: Rhs, steady: Steady, shares: Any, p: Any, q: Any) -> tuple[Any, Any]:
    """The state each steady-state record brings [S, n, B], and what went wrong [B]; all records in one call, side by side.

    `q[j, S, B]` are the covariates of the records themselves.
    """
    count, lanes = steady.target.shape
    flat = lambda x: jnp.asarray(x).reshape(-1)  # noqa: E731
    target = jnp.asarray(steady.target)
    share = jnp.take_along_axis(shares[:, None], jnp.maximum(target, 0)[None, :, None], 2)[:, :, 0]  # [n, S, B]
    own = lambda x: (share * jnp.asarray(x)).reshape(share.shape[0], -1)  # noqa: E731
    train = Train(own(steady.jump), own(steady.rate), flat(steady.duration), flat(steady.period), flat(steady.phase))
    y, status = periodic(rhs, train, jnp.tile(p, count), q.reshape(q.shape[0], count * lanes))
    real = target >= 0
    y = jnp.where(real[:, None], jnp.moveaxis(y.reshape(-1, count, lanes), 1, 0), 0.0)
    return y, jnp.max(jnp.where(real, status.reshape(count, lanes), 0), 0)


def place_steady(jump: Any, steady: Steady, added: Any) -> Any:
    """Steady states added to what their segments begin with."""
    where = jnp.asarray(steady.segment)[:, None] == jnp.arange(jump.shape[0])[:, None]  # [S, E, B]
    return jump + jnp.einsum("seb,snb->enb", where.astype(float), added)


def growing_states(model: Model, at: Mapping[str, Any], scale: np.ndarray) -> list[str]:
    """States of the directions in which the system does not decay, at the values `at` (else typical) and states of size `scale`."""
    p = [float(np.ravel(at.get(n, v))[0]) for n, v in model.typical.items()]
    q, zero = [float(c.reference) for c in model.covariates], [0.0] * len(model.states)
    slope = jax.jacfwd(lambda y: jnp.stack([jnp.asarray(x, float) for x in model.rhs(0.0, list(y), p, q, zero)]))(jnp.asarray(scale, float))
    values, vectors = np.linalg.eig(np.asarray(slope))
    stay = values.real > -1e-9
    size = np.abs(vectors[:, stay]).max(1) if stay.any() else np.zeros(len(scale))
    return [n for n, x in zip(model.state_names, size, strict=True) if x > 1e-3]


def refuse_steady(model: Model, schedule: Schedule, chosen: Chosen) -> None:
    """Steady states that no one would agree on: in a system that changes with time by itself; added (SS 2) to a system that does not add."""
    if schedule.steady is None:
        return
    if chosen.structure.timed:
        raise SolveError(
            f"{model.name} depends on time itself (or on a covariate that is a straight line in time), so a dose at steady state has no meaning in it. "
            "Write the earlier doses out (ADDL, II) instead of SS."
        )
    adds = (schedule.plan.doses.steady == 2) & (schedule.plan.doses.target >= 0)
    if adds.any() and not _homogeneous(model, chosen):
        row = int(schedule.plan.doses.row[adds][0])
        raise SolveError(
            f"Row {row} has SS 2, which adds a steady state to what is there; {model.name} is not linear without inputs of its own, so that would "
            "count its own production twice. Use SS 1, or write the earlier doses out (ADDL, II)."
        )


def _homogeneous(model: Model, chosen: Chosen) -> bool:
    """Linear, and nothing happens to an empty system: tried at values that are in no special relation."""
    n, zero = len(model.states), [0.0] * len(model.states)
    p = [v * (1.0 + 0.1 * np.sin(1.0 + i)) for i, v in enumerate(model.typical.values())]
    change = model.rhs(0.0, zero, p, [c.reference for c in model.covariates], zero)
    return chosen.structure.linear and all(float(x) == 0.0 for x in change) and n > 0
