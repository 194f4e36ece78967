"""A composed model: structure is static and hashable, numbers come from outside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.components import Component, Covariate, Dose, Param, Signal, State
from pkpd.components.dose import ATTRIBUTES
from pkpd.components.flows import Flow
from pkpd.data.vocabulary import Field, Vocabulary
from pkpd.errors import ModelError, choices
from pkpd.model.example import Example
from pkpd.model.observable import Observable
from pkpd.model.scope import Scope


@dataclass(frozen=True)
class Model:
    """Components that fit together, and what is observed of them; made by `compose`, never by hand.

    `rhs(t, y, p, q, r)` is what the solve layer integrates: lists of arrays over subject lanes, in the order of `states`, `params`,
    `covariates`.
    """

    name: str
    components: tuple[Component, ...]
    observables: tuple[Observable, ...]
    text: str = ""
    example: Example | None = field(default=None, compare=False)

    @cached_property
    def states(self) -> tuple[State, ...]:
        return tuple(s for c in self.components for s in c.states)

    @cached_property
    def params(self) -> tuple[Param, ...]:
        return tuple({p.name: p for c in self.components for p in c.params}.values())

    @cached_property
    def covariates(self) -> tuple[Covariate, ...]:
        return tuple({q.name: q for c in self.components for q in c.covariates}.values())

    @cached_property
    def doses(self) -> tuple[Dose, ...]:
        return tuple(d for c in self.components for d in c.doses)

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        return tuple(g for c in self.components for g in c.gives)

    @cached_property
    def signal_owner(self) -> dict[str, Component]:
        return {g.name: c for c in self.components for g in c.gives}

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.states)

    @cached_property
    def param_names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.params)

    @cached_property
    def covariate_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.covariates)

    @cached_property
    def observable_names(self) -> tuple[str, ...]:
        return tuple(o.name for o in self.observables)

    @cached_property
    def typical(self) -> dict[str, float]:
        """Typical value of each parameter, by name."""
        return {p.name: float(p.value) for p in self.params}

    @cached_property
    def routes(self) -> dict[str, tuple[tuple[str, str | float], ...]]:
        """Where a dose by this name goes: declared routes first, then each state by its own name."""
        routes: dict[str, tuple[tuple[str, str | float], ...]] = {s.name: ((s.name, 1.0),) for s in self.states}
        routes.update({d.name: d.into for d in self.doses})
        return routes

    @cached_property
    def dose_owner(self) -> dict[str, tuple[Dose, Component]]:
        """Each declared dose route with the component it belongs to, by name."""
        return {d.name: (d, c) for c in self.components for d in c.doses}

    def dose_value(self, route: str, attribute: str, p: Mapping[str, Any], q: Mapping[str, Any], seen: Any = None) -> Any:
        """The lag, bioavailability, duration or rate of a route, from parameters and covariates by name; None where the model says nothing."""
        if route not in self.dose_owner:
            return None
        dose, component = self.dose_owner[route]
        value = getattr(dose, attribute)
        if value is None:
            return None
        return Scope(self, 0.0, {}, p, q, seen).dose_value(component, value, f"{self.name}: {attribute} of dose route '{route}'")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What a data file may say to this model: dose routes, states, observables, covariates, with units."""
        by_state = {s.name: s.unit for s in self.states}
        state = {d.name: d.into[0][0] if len(d.into) == 1 else "" for d in self.doses}
        doses = tuple(Field(d.name, d.unit or by_state[d.into[0][0]], into=state[d.name]) for d in self.doses)
        extra = tuple(Field(s.name, s.unit) for s in self.states if s.name not in {d.name for d in doses})
        return Vocabulary(
            doses=doses + (() if doses else extra),
            states=tuple(Field(s.name, s.unit) for s in self.states),
            observables=tuple(Field(o.name, o.unit) for o in self.observables),
            covariates=self.covariate_names,
        )

    def param(self, name: str) -> Param:
        """The parameter by name, or an error naming the nearest one."""
        for p in self.params:
            if p.name == name:
                return p
        raise ModelError(f"{self.name} has no parameter '{name}'. {choices(name, self.param_names)}")

    def scope(self, t: Any, y: Sequence[Any], p: Sequence[Any], q: Sequence[Any], seen: Any = None, signals: Any = None) -> Scope:
        tables = ((self.state_names, y), (self.param_names, p), (self.covariate_names, q))
        named = (dict(zip(names, values, strict=True)) for names, values in tables)
        return Scope(self, t, *named, seen=seen, signals=signals)

    def flows_at(self, scope: Scope) -> list[tuple[Component, Flow]]:
        return [(c, f) for c in self.components for f in scope.rates(c)]

    def rhs(self, t: Any, y: Sequence[Any], p: Sequence[Any], q: Sequence[Any], r: Sequence[Any]) -> list[Any]:
        """dy/dt of every state from time, states, parameters, covariates and infusion rates (state unit per hour)."""
        change = dict(zip(self.state_names, r, strict=True))
        for _, f in self.flows_at(self.scope(t, y, p, q)):
            if f.source is not None:
                change[f.source] = change[f.source] - f.rate
            if f.target is not None:
                change[f.target] = change[f.target] + f.rate
        return [change[n] for n in self.state_names]

    def observe(self, t: Any, y: Sequence[Any], p: Sequence[Any], q: Sequence[Any]) -> list[Any]:
        """The prediction of each observable, in the order of `observables`."""
        scope = self.scope(t, y, p, q)
        return [scope.observe(o.value, f"{self.name}: observable '{o.name}'") for o in self.observables]

    def initial(self, p: Mapping[str, Any]) -> list[Any]:
        """The state before the first dose: numbers, or parameters by name."""
        return [p[s.initial] if isinstance(s.initial, str) else jnp.asarray(s.initial) for s in self.states]

    def share(self, weight: str | float, p: Mapping[str, Any]) -> Any:
        """A dose's share for one state: a number, a parameter, or "1 - parameter"."""
        if not isinstance(weight, str):
            return jnp.asarray(float(weight))
        text = weight.replace(" ", "")
        return 1.0 - p[text[2:]] if text.startswith("1-") else p[text]

    @cached_property
    def digest(self) -> str:
        """A fingerprint of what was declared and of what the equations give at three fixed points: a fit stores it and refuses another model.

        Numbers, not source text: constants inside closures count, a reworded comment does not.
        """
        parts = [self.name, *(repr((c.name, c.states, c.params, c.reads, c.gives, c.doses, c.covariates)) for c in self.components)]
        parts += [repr((o.name, o.unit)) for o in self.observables] + [f"{v:.8e}" for x in (0.3, 0.7, 1.9) for v in self._values_at(x)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _values_at(self, x: float) -> list[float]:
        spread = lambda k: x * (1.0 + np.sin(1.0 + np.arange(k)) / 3.0)  # noqa: E731
        y, q, r = (list(spread(k)) for k in (len(self.states), len(self.covariates), len(self.states)))
        p = [float(v) for v in self.typical.values()]
        with jax.ensure_compile_time_eval():
            return [float(v) for v in (*self.rhs(x, y, p, q, r), *self.observe(x, y, p, q), *self._dose_values(p, q))]

    def _dose_values(self, p: list[Any], q: list[Any]) -> list[Any]:
        named = dict(zip(self.param_names, p, strict=True)), dict(zip(self.covariate_names, q, strict=True))
        values = [self.dose_value(d.name, a, *named) for d in self.doses for a in ATTRIBUTES]
        return [v for v in values if v is not None]

    def __repr__(self) -> str:
        seen = ", ".join(self.observable_names) or "nothing"
        return f"Model('{self.name}', {len(self.states)} states, {len(self.params)} parameters, observes {seen})"
