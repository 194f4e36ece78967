"""What depends on what: states, signals, parameters and covariates inside each rate, signal and observable, read off the traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend.core import Literal

from pkpd import tracing
from pkpd.model.model import Model
from pkpd.model.scope import Scope

TIME = ""  # no name is empty, so it cannot be taken for one


@dataclass(frozen=True)
class Inputs:
    """The names an equation depends on, in the order of their declaration; `timed` when time itself enters."""

    states: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    timed: bool = False

    @property
    def label(self) -> tuple[str, ...]:
        """What stands beside an arrow: parameters, covariates, and `t` when the rate depends on time."""
        return self.params + self.covariates + (("t",) if self.timed else ())


@dataclass(frozen=True)
class Link:
    """One term of the rates: where it comes from and goes to (None: from or to nothing), whose it is, and what its rate depends on."""

    component: str
    source: str | None
    target: str | None
    inputs: Inputs

    @property
    def drivers(self) -> tuple[str, ...]:
        """States and signals that set the rate from outside: neither its source nor its target."""
        return tuple(n for n in self.inputs.states if n not in (self.source, self.target)) + self.inputs.signals


def links(model: Model) -> tuple[Link, ...]:
    """Every flow, gain and loss of a model in the order it is written, with what its rate depends on."""
    found: list[Link] = []
    for c in model.components:
        ends: list[tuple[str | None, str | None]] = []

        def rates(scope: Scope, c: Any = c, ends: list = ends) -> list[Any]:
            flows = scope.rates(c)
            ends[:] = [(f.source, f.target) for f in flows]
            return [f.rate for f in flows]

        inputs = _inputs(model, rates)
        found += [Link(c.name, source, target, i) for (source, target), i in zip(ends, inputs, strict=True)]
    return tuple(found)


def signal_inputs(model: Model) -> dict[str, Inputs]:
    """What each signal depends on directly; another signal in it is named, not followed."""
    found: dict[str, Inputs] = {}
    for c in model.components:
        names = [g.name for g in c.gives]
        if names:
            found |= zip(names, _inputs(model, lambda scope, c=c, names=names: [scope.given(c)[n] for n in names]), strict=True)
    return found


def observable_inputs(model: Model) -> dict[str, Inputs]:
    """What each observable depends on directly."""
    values = _inputs(model, lambda scope: [scope.observe(o.value, f"{model.name}: observable '{o.name}'") for o in model.observables])
    return dict(zip(model.observable_names, values, strict=True))


def _inputs(model: Model, get: Callable[[Scope], Sequence[Any]]) -> list[Inputs]:
    """The inputs of each value `get` works out, with every signal taken as given."""
    signals = tuple(g.name for g in model.signals)
    kinds = {"states": model.state_names, "params": model.param_names, "covariates": model.covariate_names, "signals": signals}
    sizes = [len(names) for names in kinds.values()]

    def values(t: Any, *rest: Any) -> list[Any]:
        parts, start = [], 0
        for size in sizes:
            parts.append(rest[start : start + size])
            start += size
        scope = model.scope(t, *parts[:3], signals=dict(zip(signals, parts[3], strict=True)))
        return [value * 1.0 for value in get(scope)]

    marks = [frozenset([TIME]), *(frozenset([n]) for names in kinds.values() for n in names)]
    seen = tracing.walk(tracing.trace(values, len(marks)), marks, _union, lambda _: frozenset())
    return [_sorted(names, kinds) for names in seen]


def _union(equation: Any, marks: list[frozenset[str]]) -> list[frozenset[str]]:
    """Everything that enters; a term switched off by a factor 0 that is written out enters nothing."""
    nothing = equation.primitive.name == "mul" and any(isinstance(x, Literal) and np.all(x.val == 0) for x in equation.invars)
    return [frozenset() if nothing else frozenset().union(*marks)] * len(equation.outvars)


def _sorted(names: frozenset[str], kinds: dict[str, tuple[str, ...]]) -> Inputs:
    return Inputs(**{kind: tuple(n for n in declared if n in names) for kind, declared in kinds.items()}, timed=TIME in names)
