"""Put components together: one owner for each state, contributions added, every mismatch refused with a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from pkpd.components import Component
from pkpd.errors import ModelError
from pkpd.model import checks
from pkpd.model.model import Model
from pkpd.model.observable import Observable


def compose(name: str, *components: Component, observables: Sequence[Observable] = (), text: str = "") -> Model:
    """A model from components and observables, checked: names, owners, readers, loops, flows, units, sources.

    Raises `ModelError` with what is wrong, the nearest right name and what to do.

    >>> from pkpd.models.classic import one_compartment_oral
    >>> one_compartment_oral.state_names
    ('depot', 'central')
    """
    if not components or not all(isinstance(c, Component) for c in components):
        wrong = next((c for c in components if not isinstance(c, Component)), "nothing")
        raise ModelError(f"compose('{name}', ...) needs components, got {wrong!r}.")
    if not all(isinstance(o, Observable) for o in observables):
        raise ModelError(f"compose('{name}', observables=...) needs Observable values, as in Observable('cp', 'mg/L', lambda y, p, s: y.central / p.V, 'plasma').")
    checks.check_owners(name, components)
    checks.check_reads(name, components)
    model = Model(name, components, tuple(observables), text)
    if not model.states:
        raise ModelError(f"{name} has no states: nothing would change in time.")
    for check in (checks.check_doses, checks.check_signals, checks.check_flows, checks.check_observables, checks.check_all_read):
        check(model)
    return model
