"""One evaluation of a model at a time point: views for each component, signals worked out when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pkpd.components import Component
from pkpd.errors import ModelError, choices
from pkpd.names import View


class Scope:
    """States, parameters, covariates and (on demand) signals at one time; `seen` is told each parameter that is read."""

    def __init__(self, model: Any, t: Any, y: Mapping[str, Any], p: Mapping[str, Any], q: Mapping[str, Any], seen: Callable[[str], None] | None = None):
        self.model, self.t, self.y, self.p, self.q, self.seen = model, t, y, p, q, seen
        self._signals: dict[str, Any] = {}
        self._running: list[str] = []

    def rates(self, component: Component) -> Any:
        if component.rates is None:
            return ()
        return component.rates(self.t, *self._views(component))

    def observe(self, value: Callable, who: str) -> Any:
        model = self.model
        y = View(f"{who}: y (states)", tuple(self.y), self.y.__getitem__)
        p = View(f"{who}: p (parameters)", tuple(self.p), self._parameter)
        names = tuple(model.signal_owner) + tuple(self.q)
        return value(y, p, View(f"{who}: s (signals and covariates)", names, self._read))

    def _views(self, component: Component) -> tuple[View, View, View]:
        who = f"{self.model.name}: component '{component.name}'"
        read_states = tuple(n for n in component.reads if n in self.y)
        others = tuple(n for n in component.reads if n not in self.y) + tuple(c.name for c in component.covariates)
        y = View(f"{who}: y (own states and those it reads)", tuple(s.name for s in component.states) + read_states, self.y.__getitem__)
        p = View(f"{who}: p (its parameters)", tuple(x.name for x in component.params), self._parameter)
        return y, p, View(f"{who}: s (signals and covariates it reads)", others, self._read)

    def _parameter(self, name: str) -> Any:
        if self.seen is not None:
            self.seen(name)
        return self.p[name]

    def _read(self, name: str) -> Any:
        return self.q[name] if name in self.q else self.signal(name)

    def signal(self, name: str) -> Any:
        if name not in self._signals:
            self._signals.update(self._work_out(self.model.signal_owner[name]))
        return self._signals[name]

    def _work_out(self, component: Component) -> Mapping[str, Any]:
        if component.name in self._running:
            path = " -> ".join([*self._running[self._running.index(component.name) :], component.name])
            raise ModelError(
                f"{self.model.name}: algebraic loop {path}: each needs the other's signal at the same moment. Let one of them read a state instead."
            )
        self._running.append(component.name)
        given = dict(component.signals(self.t, *self._views(component)))  # type: ignore[misc]
        self._running.pop()
        self._check_given(component, given)
        return given

    def _check_given(self, component: Component, given: Mapping[str, Any]) -> None:
        promised = {g.name for g in component.gives}
        wrong = sorted(set(given) ^ promised)
        if wrong:
            raise ModelError(
                f"{self.model.name}: component '{component.name}' promises the signals {sorted(promised)} in `gives` but its signals function returns "
                f"{sorted(given)}; '{wrong[0]}' is on one side only. {choices(wrong[0], promised)}"
            )
