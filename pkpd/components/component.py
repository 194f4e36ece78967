"""A component: states, parameters, one pure rates function, and what it reads from and gives to its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pkpd.components.dose import Dose
from pkpd.components.words import Covariate, Param, Signal, State, check_name, check_takes
from pkpd.errors import ModelError


@dataclass(frozen=True)
class Component:
    """A part of a model that stands on its own and composes with others.

    dy/dt = rates(t, y, p, s): t in hours, `y` the component's states and those it reads, `p` its parameters, `s` signals and covariates
    it reads.
    `signals(t, y, p, s)` returns a mapping with the names of `gives`.

    >>> from pkpd import Component, State, Param, loss, total
    >>> pool = Component("pool", states=(State("amount", "mg", "in the body"),),
    ...     params=(Param("k", 0.1, "1/h", "elimination", source="assumption: example"),),
    ...     rates=lambda t, y, p, s: total(loss("amount", p.k * y.amount)))
    >>> pool.name
    'pool'
    """

    name: str
    states: tuple[State, ...]
    params: tuple[Param, ...]
    rates: Callable[..., Any] | None
    signals: Callable[..., Any] | None
    reads: tuple[str, ...]
    gives: tuple[Signal, ...]
    doses: tuple[Dose, ...]
    covariates: tuple[Covariate, ...]
    text: str

    def __init__(
        self,
        name: str,
        states: State | Sequence[State] = (),
        params: Param | Sequence[Param] = (),
        rates: Callable[..., Any] | None = None,
        signals: Callable[..., Any] | None = None,
        reads: str | Sequence[str] = (),
        gives: Signal | Sequence[Signal] = (),
        doses: Dose | Sequence[Dose] = (),
        covariates: Covariate | Sequence[Covariate] = (),
        text: str = "",
    ):
        check_name(name, "A component")
        tables = {"states": states, "params": params, "reads": reads, "gives": gives, "doses": doses, "covariates": covariates}
        for field, value in tables.items():
            _check_kind(name, field, value)
            object.__setattr__(self, field, (value,) if isinstance(value, (str, State, Param, Signal, Dose, Covariate)) else tuple(value))
        for field, value in {"name": name, "rates": rates, "signals": signals, "text": text}.items():
            object.__setattr__(self, field, value)
        self._check()

    def _check(self) -> None:
        if self.states and self.rates is None:
            raise ModelError(f"Component '{self.name}' has states but no rates: give rates=function(t, y, p, s) that returns total(...).")
        if self.gives and self.signals is None:
            names = ", ".join(g.name for g in self.gives)
            cure = "give signals=function(t, y, p, s) that returns them by name"
            raise ModelError(f"Component '{self.name}' gives {names} but has no signals function: {cure}.")
        if self.signals is not None and not self.gives:
            cure = "declare what it returns, as in gives=Signal(name, unit, meaning)"
            raise ModelError(f"Component '{self.name}' has a signals function but gives nothing: {cure}.")
        for what in ("rates", "signals"):
            check_takes(getattr(self, what), ("t", "y", "p", "s"), f"Component '{self.name}': {what}")
        for kind, names in (("state", self.states), ("parameter", self.params), ("signal", self.gives)):
            _once(self.name, kind, [n.name for n in names])


KINDS = {"states": State, "params": Param, "reads": str, "gives": Signal, "doses": Dose, "covariates": Covariate}


def _check_kind(component: str, field: str, value: Any) -> None:
    kind = KINDS[field]
    for item in value if isinstance(value, (tuple, list)) else (value,):
        if not isinstance(item, kind):
            wanted = "names" if kind is str else f"{kind.__name__}(...) values"
            raise ModelError(f"Component '{component}': `{field}` takes {wanted}, not {item!r}.")


def _once(component: str, kind: str, names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ModelError(f"Component '{component}' declares the {kind} '{twice[0]}' twice; keep one of them.")
