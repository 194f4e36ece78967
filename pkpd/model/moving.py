"""A predictor whose records are arguments of the compiled program: other doses, times and covariates of the same sizes compile nothing anew.

What `Predictor` lays out once in NumPy is laid out here on traced arrays, so that amounts, times and durations of doses, and times of looks, can be
differentiated too. The records are those of one subject; every lane of parameters gets them. Their last dimension may also be that of the lanes: each its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.events.intervals import Intervals
from pkpd.events.layout import Layout, Static, lay_out, static_of
from pkpd.events.plan import LAST, LATE, Doses, Plan
from pkpd.events.schedule import known
from pkpd.model.administer import Administered, on_records
from pkpd.model.model import Model
from pkpd.model.predict import Predictor
from pkpd.model.steady import refuse_steady
from pkpd.solve import Chosen, Solver

FILL = {"time": 0.0, "rank": LAST, "target": -1, "value": np.nan, "lag": np.nan, "bioavailability": np.nan, "until": np.inf, "place": -1}
"""What a dose is that is not there; 0 for the other columns."""


class Sizes(NamedTuple):
    """What a program is made for: room for doses, resets, looks and cuts of covariates; which doses may be at steady state, how many of their trains may
    overlap; whether event times depend on parameters; which covariates are straight lines, which take their new value at a cut itself, and where a late
    dose stands among the records of its time (`Plan.late`).
    """

    doses: int
    resets: int
    looks: int
    cuts: int
    steady: tuple[int, ...] = ()
    overlaps: int = 0
    moves: bool = True
    linear: tuple[bool, ...] = ()
    begins: tuple[bool, ...] = ()
    late: float = -LATE


class Records(NamedTuple):
    """The events and looks of one subject as arrays with one lane, padded to `Sizes`; `layout` of them, where `prepared` has made it."""

    doses: dict[str, Any]
    resets: Any
    looks: Any
    span: Any
    intervals: Any
    at_doses: Any
    at_looks: Any
    layout: Any = None


def sizes_of(model: Model, plan: Plan, looks: int, room: int = 8) -> Sizes:
    """Sizes that hold a plan, rounded up to multiples of `room`.

    Steady states and trains keep their places in the program: which doses they are is part of its sizes.
    """
    up = lambda n: -(-n // room) * room  # noqa: E731
    static = static_of(plan, known(plan))
    return Sizes(
        up(max(1, plan.doses.time.shape[0])),
        up(plan.reset_time.shape[0]),
        looks,
        up(plan.intervals.cut.shape[0]),
        tuple(map(int, static.steady)),
        static.overlaps,
        Administered(model, plan, frozenset(model.param_names)).moves,
        tuple(map(bool, plan.intervals.linear)),
        tuple(map(bool, plan.intervals.begins)),
        plan.late,
    )


def records_of(plan: Plan, targets: tuple[str, ...], sizes: Sizes) -> Records:
    """The plan of one subject, its doses named by their places in `targets`, padded."""
    own = np.array([targets.index(t) for t in plan.targets] or [-1], int)
    doses = {f.name: np.asarray(getattr(plan.doses, f.name)) for f in fields(Doses)}
    doses["target"] = np.where(doses["target"] >= 0, own[np.maximum(doses["target"], 0)], -1)
    at_doses = on_records(plan, plan.doses.record, plan.doses.place)
    at_looks = on_records(plan, plan.look_time, plan.look_place)
    looks = np.stack([plan.look_time, plan.look_rank])
    last = np.stack([np.broadcast_to(plan.end, (1, 1)), np.full((1, 1), LAST)])
    extra = sizes.looks - looks.shape[1]
    cover = plan.intervals
    return Records(
        {n: _longer(x, sizes.doses, FILL.get(n, 0)) for n, x in doses.items()},
        np.stack([_longer(plan.reset_time, sizes.resets, np.inf), _longer(plan.reset_rank, sizes.resets, LAST)]),
        np.concatenate([looks, np.repeat(last, extra, 1)], 1),
        np.stack([plan.start, plan.end]),
        (_longer(cover.cut, sizes.cuts, np.inf), *(_held(x, sizes.cuts + 1) for x in (cover.value, cover.slope, cover.origin))),
        np.concatenate([at_doses, np.repeat(at_doses[:, -1:], sizes.doses - at_doses.shape[1], 1)], 1),
        np.concatenate([at_looks, np.repeat(at_looks[:, -1:], extra, 1)], 1),
    )


def _longer(x: np.ndarray, size: int, fill: Any) -> np.ndarray:
    return np.concatenate([x, np.full((size - len(x), *x.shape[1:]), fill, dtype=x.dtype)])


def _held(x: np.ndarray, size: int) -> np.ndarray:
    """[.., K, 1] with the last of K repeated."""
    return np.concatenate([x, np.repeat(x[..., -1:, :], size - x.shape[-2], -2)], -2)


@dataclass(frozen=True, eq=False)
class _MovedDoses(Administered):
    """Doses on traced records: event times, amounts and attributes are whatever the arguments say."""

    template: Any = None
    static: Any = None
    own: Any = None
    layout_of_all: Any = None

    def __post_init__(self) -> None:
        """Routes were checked with numbers, by the template."""

    @property
    def at_doses(self) -> Any:
        return self.own

    @property
    def at_steady(self) -> Any:
        return self.own[:, np.asarray(self.static.steady, int)]

    @property
    def reads(self) -> dict[tuple[str, str], frozenset[str]]:
        return self.template.reads

    @property
    def moves(self) -> bool:
        return self.layout_of_all is None

    def layout(self, p: Mapping[str, Any]) -> Layout:
        if self.layout_of_all is not None:
            wide = lambda x: jnp.broadcast_to(jnp.asarray(x), (*jnp.shape(x)[:-1], self.plan.lanes))  # noqa: E731
            return jax.tree.map(wide, self.layout_of_all)
        return lay_out(self.plan, self.given(p, jnp), self.static, jnp, jax.lax.stop_gradient)


@dataclass(frozen=True, eq=False)
class _Moved(Predictor):
    """A predictor inside a trace."""

    template: Any = None
    moved_doses: Any = None
    moved_looks: Any = None

    @property
    def doses(self) -> Any:
        return self.moved_doses

    @property
    def chosen(self) -> Chosen:
        return self.template.chosen

    @property
    def parts(self) -> tuple:
        return ()

    @property
    def look_covariates(self) -> Any:
        return self.moved_looks


@dataclass(frozen=True, eq=False)
class MovingPredictor:
    """A model with room for the records of one subject: `.observables(theta, records)` gives [looks, observables, lanes] for theta [lanes].

    Made for the records of some subject by `moving`; other records of the same `sizes` and `targets` run through the same compiled program.
    """

    model: Model
    targets: tuple[str, ...]
    sizes: Sizes
    solver: Solver
    numeric: Predictor

    @cached_property
    def chosen(self) -> Chosen:
        """The solver; a cascade, whose mesh is laid for one schedule, gives way to an adaptive method."""
        found = self.numeric.chosen
        return replace(self.numeric, solver=replace(self.solver, method="rosenbrock")).chosen if found.name == "cascade" else found

    def observables(self, theta: Mapping[str, Any], records: Records) -> Any:
        """Every observable at every look; NaN in a lane that could not be solved."""
        lanes = max([jnp.size(v) for v in theta.values()], default=1)
        return self.at(records, lanes).observables(theta)[0]

    def prepared(self, records: Records) -> Records:
        """The records with their segments laid out, where no parameter moves them: what a loop over parameters need not repeat."""
        if self.sizes.moves or records.layout is not None:
            return records
        plan = self._plan(records, jnp.shape(records.at_doses)[-1])
        given = _MovedDoses(
            self.model, plan, frozenset(self.model.param_names), {}, False, self.numeric.doses, self._static, records.at_doses
        )
        typical = {n: jnp.asarray([float(v)]) for n, v in self.model.typical.items()}
        layout = lay_out(plan, given.given(typical, jnp, scaled=False), self._static, jnp, jax.lax.stop_gradient)
        return records._replace(layout=layout)

    @property
    def _static(self) -> Static:
        return Static(np.arange(self.sizes.doses), np.asarray(self.sizes.steady, int), self.sizes.overlaps)

    def _plan(self, records: Records, lanes: int) -> Plan:
        wide = lambda x: jnp.broadcast_to(jnp.asarray(x), (*jnp.shape(x)[:-1], lanes))  # noqa: E731
        resets, looks, span = wide(records.resets), wide(records.looks), wide(records.span)
        intervals = Intervals(*(wide(x) for x in records.intervals), self.sizes.linear, self.sizes.begins)
        doses: Any = Doses(**{n: wide(x) for n, x in records.doses.items()})
        still: Any = jnp.zeros((0,), int)
        ends = (span[0], span[1], intervals, self.sizes.late)
        return Plan(self.targets, doses, resets[0], resets[1], looks[0], looks[1], still, still, still, *ends)

    def at(self, records: Records, lanes: int) -> Predictor:
        """The predictor of `lanes` subjects with these records."""
        records, plan = self.prepared(records), self._plan(records, lanes)
        wide = lambda x: jnp.broadcast_to(jnp.asarray(x), (*jnp.shape(x)[:-1], lanes))  # noqa: E731
        given = _MovedDoses(
            self.model,
            plan,
            frozenset(self.model.param_names),
            {},
            False,
            self.numeric.doses,
            self._static,
            wide(records.at_doses),
            records.layout,
        )
        return _Moved(self.model, plan, np.zeros(0, int), self.solver, None, {}, False, self, given, wide(records.at_looks))


def moving(model: Model, plan: Plan, targets: tuple[str, ...], sizes: Sizes, solver: Solver) -> MovingPredictor:
    """Room of `sizes` for records like those of `plan` (of one subject), which serve to choose the solver."""
    empty = tuple(t for t in targets if t not in plan.targets)
    named = replace(plan, targets=(*plan.targets, *empty))
    order = tuple(named.targets.index(t) for t in targets)
    doses = replace(plan.doses, target=np.where(plan.doses.target >= 0, np.argsort(order)[np.maximum(plan.doses.target, 0)], -1))
    numeric = Predictor(model, replace(named, targets=targets, doses=doses), np.zeros(0, int), solver)
    return MovingPredictor(model, targets, sizes, solver, numeric)


def check_steady(model: Model, moving: MovingPredictor, plan: Plan) -> None:
    """Refuse doses at steady state in a system that has none, or that does not add."""
    if (plan.doses.steady > 0).any():
        refuse_steady(model, Predictor(model, plan, np.zeros(0, int), moving.solver).schedule, moving.chosen)
