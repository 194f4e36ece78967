"""What an assay or a reader would report of a simulated profile: residual error, classes and counts drawn from the fitted observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro.distributions import Distribution

from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem
from pkpd.noise import Observation, ObservedRows, endpoint_of
from pkpd.noise.discrete import Classes
from pkpd.noise.grouped import RAW
from pkpd.noise.markov import MarkovChain

CLASSED = ("binary", "grades", "states")


@dataclass(frozen=True, eq=False)
class Measured:
    """The observations of a problem over times [T] and the virtual subjects of `table` [N]."""

    problem: FitProblem
    times: np.ndarray
    table: pd.DataFrame

    @cached_property
    def observations(self) -> dict[str, tuple[Observation, ObservedRows]]:
        """By observable its observation bound to the rows, by subject and then time."""
        rows = {o: self._rows(o) for o in self.problem.observed_names}
        return {o: (self.problem.noise[o].bound(r), r) for o, r in rows.items()}

    def _rows(self, name: str) -> ObservedRows:
        n, t = len(self.table), len(self.times)
        columns = {c: np.repeat(self.table[c].to_numpy(float), t) for c in self.table} | {"lloq": np.full(n * t, np.nan)}
        zero = np.zeros(n * t)
        subject = np.repeat(np.arange(n), t)
        return ObservedRows(
            name,
            zero,
            zero.astype(int),
            zero + np.nan,
            np.tile(self.times, n),
            subject,
            np.arange(n * t) + 1,
            tuple(map(str, range(1, n + 1))),
            columns,
        )

    def law(self, name: str, table: Any, sites: Mapping[str, Any], key: Any) -> Distribution:
        """The law of every row of an observable, given predictions [T, observables, N]. Raises `FitError` where it needs what only data have."""
        seen, rows = self.observations[name]
        values = [self._value(seen, prefix, prior, name, sites, key) for prefix, prior in seen.priors]

        def also(other: str) -> Any:
            if other.startswith("values:"):
                o = other.removeprefix("values:")
                return [self._value(self.observations[o][0], p, prior, o, sites, key) for p, prior in self.observations[o][0].priors]
            return self._of(table, other)

        return seen.law(self._of(table, name), values, rows, also)

    def _of(self, table: Any, name: str) -> Any:
        return jnp.swapaxes(table[:, self.problem.model.observable_names.index(name)], 0, 1).reshape(-1)

    def _value(self, seen: Observation, prefix: str, prior: Any, name: str, sites: Mapping[str, Any], key: Any) -> Any:
        if prefix == RAW:
            return jax.random.normal(jax.random.fold_in(key, 1), (len(self.table),))
        if f"{prefix}_{name}" in sites:
            return sites[f"{prefix}_{name}"]
        if isinstance(prior, Distribution):
            raise FitError(
                f"The residual of '{name}' needs '{prefix}_{name}', which this fit does not have (a level that was not in its data?). "
                "Leave 'residual' out of vary, or give virtual subjects the levels of the fit."
            )
        return jnp.asarray(prior)

    def drawable(self, name: str) -> bool:
        """Whether rows of a time grid can be drawn: not events, chains of states and last positives, whose rows depend on what was seen before."""
        kind = self.problem.noise[name]
        return "event" not in endpoint_of(kind) and not isinstance(kind, MarkovChain) and type(kind).__name__ != "LastPositive"

    def sample(self, table: Any, sites: Mapping[str, Any], key: Any) -> Any:
        """Measured values in the place of the predictions [T, observables, N]; of an observable without an observation the prediction stays."""
        found = table
        for i, name in enumerate(self.problem.observed_names):
            own = jax.random.fold_in(key, i)
            drawn: Any = self.law(name, table, sites, own).sample(jax.random.fold_in(own, 2))
            at = self.problem.model.observable_names.index(name)
            found = found.at[:, at].set(jnp.swapaxes(drawn.reshape(len(self.table), len(self.times)), 0, 1))
        return jnp.where(jnp.isfinite(table), found, table)

    @property
    def classed(self) -> list[str]:
        """Observables in classes whose probabilities a prediction gives."""
        return [o for o in self.problem.observed_names if endpoint_of(self.problem.noise[o]) in CLASSED and self.drawable(o)]

    def probabilities(self, table: Any, sites: Mapping[str, Any], key: Any) -> dict[str, Any]:
        """P(class) [T, N, classes] of each observable in classes."""
        found = {}
        for name in self.classed:
            law = self.law(name, table, sites, key)
            if isinstance(law, Classes):
                p = jnp.exp(law.logp).reshape(len(self.table), len(self.times), -1)
                found[name] = jnp.swapaxes(p, 0, 1)
        return found

    def labels(self, name: str, n: int) -> list[str]:
        """The names of the classes of an observable."""
        kind = self.problem.noise[name].kind
        if kind == "recist":
            return ["CR or PR", "SD", "PD"]
        return ["no", "yes"] if endpoint_of(self.problem.noise[name]) == "binary" else [str(k) for k in range(n)]


def refuse_undrawable(measured: Measured) -> None:
    """Raise `FitError` for an observation whose rows depend on what was seen before."""
    for name in measured.problem.observed_names:
        if not measured.drawable(name):
            raise FitError(
                f"vary names 'residual', and '{name}' ({measured.problem.noise[name].kind}) cannot be drawn on a grid of times: its rows depend on what was "
                "seen before. Leave 'residual' out; the prediction that drives it is in the result."
            )
