"""One evaluation of a model at a time point: views for each component, signals worked out when somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pkpd.components import Component
from pkpd.errors import ModelError, choices
from pkpd.names import View


class Scope:
    """States, parameters, covariates and (on demand) signals at one time.

    `seen` is told each parameter that is read; `signals` are values taken as given instead of being worked out.
    """

    def __init__(
        self,
        model: Any,
        t: Any,
        y: Mapping[str, Any],
        p: Mapping[str, Any],
        q: Mapping[str, Any],
        seen: Callable[[str], None] | None = None,
        signals: Mapping[str, Any] | None = None,
    ):
        self.model, self.t, self.y, self.p, self.q, self.seen = model, t, y, p, q, seen
        self._signals: dict[str, Any] = dict(signals or {})
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

    def dose_value(self, component: Component, value: Any, who: str) -> Any:
        """A lag, bioavailability, duration or rate: a number, a parameter by name, or a function of parameters and covariates."""
        params, covariates = tuple(x.name for x in component.params), tuple(c.name for c in component.covariates)
        p = View(f"{who}: p (parameters of component '{component.name}')", params, self._parameter, "A parameter is declared in `params`.")
        if isinstance(value, str):
            return p[value]
        if not callable(value):
            return value
        s = View(
            f"{who}: s (covariates of component '{component.name}')", covariates, self._read, "A covariate is declared in `covariates`."
        )
        return value(p, s)

    def _views(self, component: Component) -> tuple[View, View, View]:
        who = f"{self.model.name}: component '{component.name}'"
        read_states = tuple(n for n in component.reads if n in self.y)
        others = tuple(n for n in component.reads if n not in self.y) + tuple(c.name for c in component.covariates)
        states, params = tuple(s.name for s in component.states) + read_states, tuple(x.name for x in component.params)
        cure = "A state of another component is listed in `reads`."
        y = View(f"{who}: y (own states and those it reads)", states, self.y.__getitem__, cure)
        p = View(f"{who}: p (its parameters)", params, self._parameter, "A parameter is declared in `params`.")
        cure = "A signal is listed in `reads`, a covariate declared in `covariates`."
        return y, p, View(f"{who}: s (signals and covariates it reads)", others, self._read, cure)

    def _parameter(self, name: str) -> Any:
        if self.seen is not None:
            self.seen(name)
        return self.p[name]

    def _read(self, name: str) -> Any:
        return self.q[name] if name in self.q else self.signal(name)

    def signal(self, name: str) -> Any:
        if name not in self._signals:
            self._signals.update(self.given(self.model.signal_owner[name]))
        return self._signals[name]

    def given(self, component: Component) -> Mapping[str, Any]:
        """The signals a component gives, worked out."""
        if component.name in self._running:
            raise ModelError(self._loop(component.name))
        self._running.append(component.name)
        assert component.signals is not None, "a component that gives signals has a function for them, checked when it was made"
        given = component.signals(self.t, *self._views(component))
        self._running.pop()
        self._check_given(component, given)
        return given

    def _loop(self, name: str) -> str:
        path = self._running[self._running.index(name) :]
        if len(path) == 1:
            loop = f"the signals of component '{name}' need its own signals at the same moment"
            return f"{self.model.name}: algebraic loop: {loop}. Let them read a state."
        return (
            f"{self.model.name}: algebraic loop {' -> '.join([*path, name])}: each needs the next one's signal at the same moment. "
            "Let one of them read a state instead, or split a component whose signals do not need each other."
        )

    def _check_given(self, component: Component, given: Any) -> None:
        who, promised = f"{self.model.name}: component '{component.name}'", {g.name for g in component.gives}
        if not isinstance(given, Mapping):
            example = ", ".join(f'"{name}": ...' for name in sorted(promised))
            raise ModelError(f"{who}: its signals function must return a mapping {{{example}}}, not {type(given).__name__}.")
        for name in sorted(set(given) - promised):
            raise ModelError(f"{who}: its signals function returns '{name}', which `gives` does not declare. {choices(name, promised)}")
        for name in sorted(promised - set(given)):
            told = f"declares the signal '{name}' in `gives`, but its signals function does not return it"
            raise ModelError(f"{who} {told}. {choices(name, given)}")
