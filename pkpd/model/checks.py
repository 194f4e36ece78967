"""What compose refuses in declarations, each with a sentence that names the nearest right thing."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from pkpd import units
from pkpd.components import Component
from pkpd.components.dose import ATTRIBUTES
from pkpd.errors import ModelError, nearest
from pkpd.model.dose_checks import parameter_of, share_parameter
from pkpd.model.equations import expect, typical_point
from pkpd.model.model import Model


def check_owners(name: str, components: tuple[Component, ...]) -> None:
    """Each state, signal and dose route has one owner; a parameter or covariate may be shared only when it is declared the same."""
    twice = [n for n, k in Counter(c.name for c in components).items() if k > 1]
    if twice:
        raise ModelError(f"{name}: two components are named '{twice[0]}'; rename one.")
    for what, field, cure in (
        ("state", "states", "rename one, or let one component read the other's (reads)"),
        ("signal", "gives", "rename one, or let one component read the other's (reads)"),
        ("dose route", "doses", "rename one"),
    ):
        _one_owner(name, components, what, field, cure)
    for what, field in (("parameter", "params"), ("covariate", "covariates")):
        _declared_alike(name, components, what, field)
    _check_spaces(name, components)


def _one_owner(name: str, components: tuple[Component, ...], what: str, field: str, cure: str) -> None:
    owners: dict[str, str] = {}
    for c in components:
        for word in getattr(c, field):
            first = owners.setdefault(word.name, c.name)
            if first != c.name:
                raise ModelError(f"{name}: the {what} '{word.name}' has two owners, '{first}' and '{c.name}'; {cure}.")


def _declared_alike(name: str, components: tuple[Component, ...], what: str, field: str) -> None:
    seen: dict[str, tuple[str, Any]] = {}
    for c in components:
        for word in getattr(c, field):
            owner, first = seen.setdefault(word.name, (c.name, word))
            if first != word:
                raise ModelError(
                    f"{name}: {what} '{word.name}' is declared differently in '{owner}' and '{c.name}' ({_difference(first, word)}); "
                    "use one declaration in both, or rename one."
                )


def _difference(first: Any, second: Any) -> str:
    fields = [f.name for f in dataclasses.fields(first) if getattr(first, f.name) != getattr(second, f.name)]
    return "; ".join(f"{f}: {getattr(first, f)!r} against {getattr(second, f)!r}" for f in fields)


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
    covariates = {q.name for c in components for q in c.covariates}
    for c in components:
        for read in c.reads:
            if read in covariates:
                raise ModelError(
                    f"{name}: component '{c.name}' reads '{read}', a covariate. Declare it in the component's `covariates`, not in `reads`."
                )
            if read not in states and read not in signals:
                near = nearest(read, [*signals, *states])
                hint = f"Did you mean '{near}'? Else add" if near else "Add"
                raise ModelError(
                    f"{name}: component '{c.name}' reads '{read}', which nothing gives. Signals here: {', '.join(signals) or 'none'}; "
                    f"states: {', '.join(states)}. {hint} a component that gives '{read}'."
                )


def check_initial(model: Model) -> None:
    """States start at a number or at a parameter in their own unit."""
    for s in model.states:
        if isinstance(s.initial, str):
            start = parameter_of(model, s.initial, f"{model.name}: state '{s.name}' starts at '{s.initial}'")
            expect(f"{model.name}: the initial value of state '{s.name}', parameter '{s.initial}',", units.parse(start.unit), s.unit)


def check_all_read(model: Model) -> None:
    """A parameter that no equation reads is a typing error, not a parameter."""
    seen: set[str] = {s.initial for s in model.states if isinstance(s.initial, str)}
    seen |= {share_parameter(share) for d in model.doses for _, share in d.into if isinstance(share, str)}
    point = typical_point(model)
    named = dict(zip(model.param_names, point[2], strict=True)), dict(zip(model.covariate_names, point[3], strict=True))
    for d in model.doses:
        for attribute in ATTRIBUTES:
            model.dose_value(d.name, attribute, *named, seen=seen.add)
    scope = model.scope(*point, seen=seen.add)
    model.flows_at(scope)
    for g in model.signals:
        scope.signal(g.name)
    for o in model.observables:
        scope.observe(o.value, f"{model.name}: observable '{o.name}'")
    for c in model.components:
        for p in c.params:
            if p.name not in seen:
                what = f"no equation reads the parameter '{p.name}' of component '{c.name}'"
                raise ModelError(f"{model.name}: {what}. Use it in an equation, or delete it.")
