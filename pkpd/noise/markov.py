"""States that follow one another: a continuous-time Markov chain observed at the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import expm

from pkpd.errors import FitError
from pkpd.noise import told
from pkpd.noise.discrete import Classes
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY
from pkpd.noise.wrapped import need_prior, previous_row, refuse_censored, where

_MOST = 1e4  # expected jumps in an interval, beyond which the chain has long been stationary


@dataclass(frozen=True, eq=False)
class MarkovChain(Observation):
    """Rows of states 0..K-1; see `markov_chain`."""

    states: int
    pairs: tuple[tuple[int, int], ...]
    priors: tuple[tuple[str, Any], ...]
    kind: str = "markov chain"
    equation: str = "P = expm(Q dt), q_ij = rate_ij exp(effect f)"
    logs: bool = False
    endpoint: str = "states"

    def told(self, rows: ObservedRows) -> list[str]:
        first = len(np.unique(rows.subject))
        return [*told.frequencies(rows, "States"), f"First of their subject, conditioned on: {told.many(first)}."]

    def check(self, rows: ObservedRows) -> list[str]:
        return [
            f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, and markov_chain takes states 0 to {self.states - 1}; mend the row."
            for i in np.flatnonzero(~np.isin(rows.dv, np.arange(self.states)))
        ] + refuse_censored(rows, "markov_chain")

    def _intensities(self, f: Any, values: list, gap: np.ndarray) -> Any:
        i, j = np.array(self.pairs).T
        scale = jnp.exp(jnp.clip(values[-1] * f, -69.0, 69.0)) * gap
        rates = jnp.stack([jnp.asarray(v, float) for v in values[:-1]])
        q = jnp.zeros((self.states, self.states)).at[i, j].set(rates)
        q = q - jnp.diag(jnp.sum(q, 1))
        return q * jnp.minimum(scale, _MOST / jnp.max(-jnp.diag(q)))[:, None, None]

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Classes:
        _, before = previous_row(rows)
        last = np.maximum(before, 0)
        gap = np.where(before < 0, 0.0, rows.time - rows.time[last])
        p = jax.vmap(expm)(self._intensities(f, values, gap))
        state = np.where(before < 0, rows.dv, rows.dv[last]).astype(int)
        row = jnp.log(jnp.maximum(p[np.arange(len(state)), state], TINY))
        fixed = np.where(np.arange(self.states) == state[:, None], 0.0, np.log(TINY))
        return Classes(jnp.where((before < 0)[:, None], fixed, row))


def markov_chain(rates: dict[tuple[int, int], Any], effect: Any = 0.0) -> MarkovChain:
    """DV is a state 0..K-1; from the row before, P = expm(Q dt) with q_ij = rate_ij exp(effect f), f at the later row, constant since the one before.

    `rates`: {(i, j): prior or number in 1/h}; absent pairs never jump. `effect`: prior or number. The first row of a subject conditions (counts 0).
    Replicates are drawn one row ahead, from the observed state before. Raises `FitError`.
    Source: Kalbfleisch & Lawless 1985, J Am Stat Assoc 80:863.

    >>> import numpyro.distributions as dist
    >>> markov_chain({(0, 1): dist.HalfNormal(1.0), (1, 0): 0.2}).sites("state")
    ['rate01_state']
    """
    if not rates or any(i == j or min(i, j) < 0 for i, j in rates):
        raise FitError(f"markov_chain(rates={rates!r}): accepted is {{(i, j): prior or number}} with two different states i, j from 0 on.")
    for (i, j), rate in rates.items():
        need_prior("markov_chain", f"rate{i}{j}", rate)
    priors = (*((f"rate{i}{j}", rate) for (i, j), rate in rates.items()), ("effect", effect))
    return MarkovChain(1 + max(max(p) for p in rates), tuple(rates), priors)
