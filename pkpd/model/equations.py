"""What compose refuses in equations: flows to states that are not there, values that are no numbers, units that do not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd import units
from pkpd.components import Component
from pkpd.components.flows import Flow
from pkpd.errors import ModelError, choices
from pkpd.model.model import Model
from pkpd.model.unit_check import UnitClash, spoken, units_of

_NEEDS_A_NUMBER = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError, jax.errors.TracerIntegerConversionError)


def typical_point(model: Model) -> tuple[Any, list[Any], list[Any], list[Any]]:
    """Time, states, parameters and covariates at which equations are tried out; arrays, so that a division by zero is no exception."""
    values = ([1.0] * len(model.states), [model.typical[n] for n in model.param_names], [c.reference for c in model.covariates])
    y, p, q = ([jnp.asarray(float(x)) for x in xs] for xs in values)
    return jnp.asarray(1.0), y, p, q


def check_signals(model: Model) -> None:
    """Each signal can be worked out (no algebraic loop) and has the unit it promises."""
    for c in model.components:
        for g in c.gives:
            where = f"{model.name}: component '{c.name}', signal '{g.name}'"
            expect(where, unit_of(model, where, lambda scope, n=g.name: scope.signal(n)), g.unit)


def check_flows(model: Model) -> None:
    """Every flow names states its component owns or reads, and carries the unit of those states per hour."""
    states = set(model.state_names)
    for c in model.components:
        found = _flows(model, c)
        own = {s.name for s in c.states} | {r for r in c.reads if r in states}
        for i, f in enumerate(found):
            for end in (f.source, f.target):
                if end is not None and end not in own:
                    cure = f"Add reads='{end}' to the component." if end in states else choices(str(end), own)
                    what = f"component '{c.name}' moves mass to or from '{end}', which it neither owns nor reads"
                    raise ModelError(f"{model.name}: {what}. {cure}")
            _check_flow_unit(model, c, i, f)


def _flows(model: Model, c: Component) -> tuple[Flow, ...]:
    where = f"{model.name}: component '{c.name}'"
    try:
        found = model.scope(*typical_point(model)).rates(c)
    except _NEEDS_A_NUMBER:
        raise ModelError(_python_only(where)) from None
    if not isinstance(found, tuple) or not all(isinstance(f, Flow) for f in found):
        raise ModelError(f"{where}: its rates must return total(flow(...), gain(...), loss(...)), not {type(found).__name__}.")
    return found


def _check_flow_unit(model: Model, c: Component, index: int, f: Flow) -> None:
    by_name = {s.name: s for s in model.states}
    ends = [by_name[e] for e in (f.source, f.target) if e is not None]
    where = f"{model.name}: component '{c.name}', {f.source or 'nothing'} -> {f.target or 'nothing'}"
    if not ends:
        raise ModelError(f"{where}: a flow needs a state at one end at least; name one.")
    if len(ends) == 2 and not units.parse(ends[0].unit).same(units.parse(ends[1].unit)):
        both = f"'{ends[0].unit}' and '{ends[1].unit}'"
        raise ModelError(f"{where}: the states have different units, {both}; use loss and gain with the factor between them.")
    got = unit_of(model, where, lambda scope: scope.rates(c)[index].rate)
    unit = ends[0].unit
    expect(where + ": the rate", got, f"{unit}/{units.CLOCK}" if unit.isalnum() else f"({unit})/{units.CLOCK}")


def check_observables(model: Model) -> None:
    twice = [n for n, k in Counter(model.observable_names).items() if k > 1]
    if twice:
        raise ModelError(f"{model.name}: the observable '{twice[0]}' is declared twice; keep one of them.")
    for o in model.observables:
        where = f"{model.name}: observable '{o.name}'"
        expect(where, unit_of(model, where, lambda scope, v=o.value, w=where: scope.observe(v, w)), o.unit)


def expect(where: str, got: units.Unit | None, wanted: str) -> None:
    """Raise when a unit is known and is not the wanted one, saying both and the factor between them."""
    unit = units.parse(wanted)
    if got is None or got.same(unit):
        return
    found = f"{where} comes out in [{spoken(got)}] where '{wanted}' is needed"
    if got.same_dimension(unit):
        times = got.scale / unit.scale
        convert = f"multiply it by {times:.6g}" if times > 1 else f"divide it by {1 / times:.6g}"
        raise ModelError(f"{found}: {convert}, or give its parameters in units that fit.")
    raise ModelError(f"{found}, which measures something else. Check the units of the parameters in it (a plain number has none).")


def unit_of(model: Model, where: str, get: Callable[[Any], Any]) -> units.Unit | None:
    ny, np_, nq = len(model.states), len(model.params), len(model.covariates)
    words = (*model.states, *model.params, *model.covariates)
    inputs = [units.parse(unit) for unit in (units.CLOCK, *(w.unit for w in words))]

    def value(t: Any, *rest: Any) -> Any:
        found = get(model.scope(t, rest[:ny], rest[ny : ny + np_], rest[ny + np_ : ny + np_ + nq]))
        if isinstance(found, bool) or not isinstance(found, (int, float, np.ndarray, np.generic, jax.Array)) or jnp.ndim(found):
            what = f"an array of shape {jnp.shape(found)}" if isinstance(found, (np.ndarray, jax.Array)) else repr(found)
            raise ModelError(f"{where}: one number is needed, and the equation gives {what}.")
        return found * 1.0

    try:
        return units_of(value, inputs)[0]
    except UnitClash as clash:
        raise ModelError(f"{where}: {clash}.") from None
    except _NEEDS_A_NUMBER:
        raise ModelError(_python_only(where)) from None


def _python_only(where: str) -> str:
    return (
        f"{where}: the equation needs a plain Python number where only a traced value is there, as `if`, `math.exp` and `float()` do. "
        "Write jnp.where(condition, a, b) for a choice and jax.numpy functions (jnp.exp) for algebra."
    )
