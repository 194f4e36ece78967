"""What compose refuses, each with a sentence that names the nearest right thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pkpd import units
from pkpd.components import Component, Param
from pkpd.components.flows import Flow
from pkpd.errors import ModelError, choices
from pkpd.model.model import Model
from pkpd.model.unit_check import UnitClash, units_of


def check_owners(name: str, components: tuple[Component, ...]) -> None:
    """Each state and signal has one owner; a parameter may be shared only when it is declared the same."""
    for what, get in (("component", lambda c: [c]), ("state", lambda c: c.states), ("signal", lambda c: c.gives), ("dose route", lambda c: c.doses)):
        counts = Counter(x.name for c in components for x in get(c))
        for twice in (n for n, k in counts.items() if k > 1):
            owners = [c.name for c in components if twice in [x.name for x in get(c)]]
            raise ModelError(f"{name}: the {what} '{twice}' has two owners, {' and '.join(map(repr, owners))}; rename one, or let one read the other's.")
    seen: dict[str, tuple[str, Param]] = {}
    for c in components:
        for p in c.params:
            owner, first = seen.setdefault(p.name, (c.name, p))
            if first != p:
                raise ModelError(f"{name}: parameter '{p.name}' has two owners, '{owner}' and '{c.name}', declared differently; share one Param or rename one.")
    _check_spaces(name, components)


def _check_spaces(name: str, components: tuple[Component, ...]) -> None:
    spaces = {"state": [s.name for c in components for s in c.states], "signal": [g.name for c in components for g in c.gives]}
    spaces |= {"parameter": [p.name for c in components for p in c.params], "covariate": [q.name for c in components for q in c.covariates]}
    kinds = list(spaces)
    for i, a in enumerate(kinds):
        for b in kinds[i + 1 :]:
            both = sorted(set(spaces[a]) & set(spaces[b]))
            if both:
                raise ModelError(f"{name}: '{both[0]}' is both a {a} and a {b}; give one of them another name.")


def check_reads(name: str, components: tuple[Component, ...]) -> None:
    """Whatever a component reads, some component gives or owns."""
    signals = sorted(g.name for c in components for g in c.gives)
    states = [s.name for c in components for s in c.states]
    for c in components:
        for read in c.reads:
            if read not in states and read not in signals:
                listed = ", ".join(f"'{s}'" for s in signals) or "none"
                raise ModelError(
                    f"{name}: component '{c.name}' reads '{read}', which nothing gives. Signals here: {listed}. "
                    f"{choices(read, [*signals, *states])} Add a component that gives it."
                )


def check_flows(model: Model) -> None:
    """Every flow names states its component owns or reads, and carries the unit of those states per hour."""
    t, y, p, q = _typical_point(model)
    by_name = {s.name: s for s in model.states}
    for c in model.components:
        found = model.scope(t, y, p, q).rates(c)
        if not isinstance(found, tuple) or not all(isinstance(f, Flow) for f in found):
            raise ModelError(f"{model.name}: the rates of component '{c.name}' must return total(flow(...), gain(...), loss(...)), not {type(found).__name__}.")
        own = {s.name for s in c.states} | {r for r in c.reads if r in by_name}
        for i, f in enumerate(found):
            for end in (f.source, f.target):
                if end is not None and end not in own:
                    raise ModelError(f"{model.name}: component '{c.name}' moves mass to or from '{end}', which it neither owns nor reads. {choices(end, own)}")
            _check_flow_unit(model, c, i, f)


def _check_flow_unit(model: Model, c: Component, index: int, f: Flow) -> None:
    by_name = {s.name: s for s in model.states}
    ends = [by_name[e] for e in (f.source, f.target) if e is not None]
    where = f"{model.name}: component '{c.name}', {f.source or 'nothing'} -> {f.target or 'nothing'}"
    if len(ends) == 2 and not units.parse(ends[0].unit).same(units.parse(ends[1].unit)):
        raise ModelError(f"{where}: the states have different units, '{ends[0].unit}' and '{ends[1].unit}'; use loss and gain with the factor between them.")
    got = _unit(model, where, lambda scope: scope.rates(c)[index].rate)
    wanted = f"({ends[0].unit})/{units.CLOCK}"
    expect(where + ": the rate", got, wanted)


def expect(where: str, got: units.Unit | None, wanted: str) -> None:
    """Raise when a unit is known and is not the wanted one, saying both and the factor between them."""
    unit = units.parse(wanted)
    if got is None or got.same(unit):
        return
    if got.same_dimension(unit):
        times = got.scale / unit.scale
        raise ModelError(f"{where} comes out {times:.6g} times too large for '{wanted}' (same dimension, other scale: a day for an hour, mg for ug?). Convert it.")
    raise ModelError(f"{where} comes out as [{got}] where '{wanted}' [{unit}] is needed. Check the units of the parameters in it.")


def check_signals(model: Model) -> None:
    """Each signal can be worked out (no algebraic loop) and has the unit it promises."""
    for c in model.components:
        for g in c.gives:
            where = f"{model.name}: component '{c.name}', signal '{g.name}'"
            expect(where, _unit(model, where, lambda scope, n=g.name: scope.signal(n)), g.unit)


def check_observables(model: Model) -> None:
    twice = [n for n, k in Counter(model.observable_names).items() if k > 1]
    if twice:
        raise ModelError(f"{model.name}: the observable '{twice[0]}' is declared twice; keep one of them.")
    for o in model.observables:
        where = f"{model.name}: observable '{o.name}'"
        expect(where, _unit(model, where, lambda scope, v=o.value, w=where: scope.observe(v, w)), o.unit)


def check_doses(model: Model) -> None:
    """Dose routes reach states that exist, in the state's unit, with shares that are numbers or dimensionless parameters."""
    by_name = {s.name: s for s in model.states}
    for d in model.doses:
        for target, share in d.into:
            if target not in by_name:
                raise ModelError(f"{model.name}: dose route '{d.name}' goes into '{target}', which is no state. {choices(target, by_name)}")
            if d.unit and not units.parse(d.unit).same(units.parse(by_name[target].unit)):
                raise ModelError(f"{model.name}: dose route '{d.name}' is in '{d.unit}' but state '{target}' in '{by_name[target].unit}'; give both one unit.")
            if isinstance(share, str):
                model.param(share.replace(" ", "").removeprefix("1-"))
    for s in model.states:
        if isinstance(s.initial, str):
            expect(f"{model.name}: the initial value of state '{s.name}', parameter '{s.initial}',", units.parse(model.param(s.initial).unit), s.unit)


def check_all_read(model: Model) -> None:
    """A parameter that no equation reads is a typing error, not a parameter."""
    seen: set[str] = {s.initial for s in model.states if isinstance(s.initial, str)}
    seen |= {str(share).replace(" ", "").removeprefix("1-") for d in model.doses for _, share in d.into if isinstance(share, str)}
    t, y, p, q = _typical_point(model)
    scope = model.scope(t, y, p, q, seen=seen.add)
    model.flows_at(scope)
    for g in model.signals:
        scope.signal(g.name)
    for o in model.observables:
        scope.observe(o.value, f"{model.name}: observable '{o.name}'")
    unread = sorted(set(model.param_names) - seen)
    if unread:
        raise ModelError(f"{model.name}: nothing reads the parameter '{unread[0]}'. {choices(unread[0], seen)} Use it in an equation or delete it.")


def _typical_point(model: Model) -> tuple[float, list, list, list]:
    values = model.typical
    return 1.0, [1.0] * len(model.states), [values[n] for n in model.param_names], [c.reference for c in model.covariates]


def _unit(model: Model, where: str, get: Callable[[Any], Any]) -> units.Unit | None:
    ny, np_, nq = len(model.states), len(model.params), len(model.covariates)
    inputs = [units.parse(u) for u in (units.CLOCK, *(s.unit for s in model.states), *(p.unit for p in model.params), *(q.unit for q in model.covariates))]

    def value(t: Any, *rest: Any) -> Any:
        return get(model.scope(t, rest[:ny], rest[ny : ny + np_], rest[ny + np_ : ny + np_ + nq])) * 1.0

    try:
        return units_of(value, inputs)[0]
    except UnitClash as clash:
        raise ModelError(f"{where}: {clash}. Check the units of the parameters in it.") from None
