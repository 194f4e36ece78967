"""Put components together: one owner for each state, contributions added, every mismatch refused with a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from pkpd.components import Component
from pkpd.errors import ModelError
from pkpd.model import checks, dose_checks, equations
from pkpd.model.example import Example, check_example
from pkpd.model.model import Model
from pkpd.model.observable import Observable


def compose(
    name: str, *components: Component, observables: Observable | Sequence[Observable] = (), text: str = "", example: Example | None = None
) -> Model:
    """A model from components and observables, checked: names, owners, readers, loops, flows, units, sources.

    `example` is what the model's page shows a typical subject with (`plot_typical`).
    Raises `ModelError` with what is wrong, the nearest right name and what to do.

    >>> from pkpd.models.classic import one_compartment_oral
    >>> one_compartment_oral.state_names
    ('depot', 'central')
    """
    if not isinstance(name, str) or not name.strip():
        raise ModelError(f"A model needs a name, got {name!r}; write compose('my_model', ...).")
    if not components or not all(isinstance(c, Component) for c in components):
        wrong = next((repr(c) for c in components if not isinstance(c, Component)), "none")
        raise ModelError(
            f"compose('{name}', ...) needs components, got {wrong}. Write compose('{name}', first, second, observables=[...])."
        )
    observables = (observables,) if isinstance(observables, Observable) else tuple(observables)
    if not all(isinstance(o, Observable) for o in observables):
        raise ModelError(
            f"compose('{name}', observables=...) needs Observable values, as in "
            "Observable('cp', 'mg/L', lambda y, p, s: y.central / p.V, 'plasma')."
        )
    checks.check_owners(name, components)
    checks.check_reads(name, components)
    model = Model(name, components, observables, text, example)
    if not model.states:
        raise ModelError(f"{name} has no states: nothing would change in time. Add a component with a State and its rates.")
    for check in (
        dose_checks.check_doses,
        checks.check_initial,
        equations.check_signals,
        equations.check_flows,
        equations.check_observables,
        checks.check_all_read,
        check_example,
    ):
        check(model)
    return model
