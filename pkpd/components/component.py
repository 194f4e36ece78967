"""A component: states, parameters, one pure rates function, and what it reads from and gives to its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pkpd.components.words import Covariate, Dose, Param, Signal, State, check_name
from pkpd.errors import ModelError


@dataclass(frozen=True)
class Component:
    """A part of a model that stands on its own and composes with others.

    dy/dt = rates(t, y, p, s): t in hours, `y` the component's states and those it reads, `p` its parameters, `s` signals and covariates it reads.
    `signals(t, y, p, s)` returns a mapping with the names of `gives`.

    >>> from pkpd import Component, State, Param, loss, total
    >>> pool = Component("pool", states=(State("amount", "mg", "in the body"),),
    ...     params=(Param("k", 0.1, "1/h", "elimination", source="assumption: example"),),
    ...     rates=lambda t, y, p, s: total(loss("amount", p.k * y.amount)))
    >>> pool.name
    'pool'
    """

    name: str
    states: tuple[State, ...] = ()
    params: tuple[Param, ...] = ()
    rates: Callable[..., Any] | None = None
    signals: Callable[..., Any] | None = None
    reads: tuple[str, ...] = ()
    gives: tuple[Signal, ...] = ()
    doses: tuple[Dose, ...] = ()
    covariates: tuple[Covariate, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "A component")
        for field in ("states", "params", "reads", "gives", "doses", "covariates"):
            value = getattr(self, field)
            object.__setattr__(self, field, (value,) if isinstance(value, (str, State, Param, Signal, Dose, Covariate)) else tuple(value))
        if self.states and self.rates is None:
            raise ModelError(f"Component '{self.name}' has states but no rates: give rates=function(t, y, p, s) that returns total(...).")
        if self.gives and self.signals is None:
            raise ModelError(f"Component '{self.name}' gives {', '.join(g.name for g in self.gives)} but has no signals function to work them out.")
        for kind, names in (("state", self.states), ("parameter", self.params), ("signal", self.gives)):
            _once(self.name, kind, [n.name for n in names])


def _once(component: str, kind: str, names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ModelError(f"Component '{component}' declares the {kind} '{twice[0]}' twice; keep one of them.")
