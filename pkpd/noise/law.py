"""What `noise[observable]` may be: the contract of every observation model, and the rows it scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import numpyro
from numpyro.distributions import Distribution

from pkpd.noise import told


@dataclass(frozen=True, eq=False)
class ObservedRows:
    """The n scored rows of one observable, in the order of the file.

    `cens` is 0 observed, 1 left-censored at dv (between `lower` and dv where that is finite), -1 right-censored at dv; `time` in h; `subject` counts
    from 0 into `subjects`; `columns` holds the covariates of each row's subject, and "lloq" where the data tell it.
    """

    observable: str
    dv: np.ndarray
    cens: np.ndarray
    lower: np.ndarray
    time: np.ndarray
    subject: np.ndarray
    row: np.ndarray
    subjects: tuple[str, ...]
    columns: Mapping[str, np.ndarray]

    def where(self, i: Any) -> str:
        """Row and subject of the i-th row, for a sentence."""
        return f"row {self.row[i]} (subject {self.subjects[int(self.subject[i])]})"


class Observation:
    """How one observable is measured: `law` gives the distribution of its rows around the prediction.

    `priors` pairs a prefix with a prior or a number held fixed; the site is `<prefix>_<observable>`. A subclass may have `logs` (values must be
    positive), `reads` (other observables of the model whose prediction is needed) and `endpoint` (what the values are, "continuous" unless said);
    see `on_logs`, `reads_of` and `endpoint_of`.

    `by_design` says that the law reads subject, time and columns of its rows and never their values, so that `law(...).sample` draws a study of the same
    design; `tails` that a row of such a study may be cut at a limit.
    """

    by_design = False
    tails = False

    if TYPE_CHECKING:  # fields of the frozen subclasses; real attributes here would become their defaults

        @property
        def kind(self) -> str: ...
        @property
        def equation(self) -> str: ...
        @property
        def priors(self) -> tuple[tuple[str, Any], ...]: ...

    def bound(self, rows: ObservedRows) -> Observation:
        """Itself once the data are known (more priors, arrays laid out)."""
        return self

    def check(self, rows: ObservedRows) -> list[str]:
        """Sentences on rows that cannot be scored."""
        return []

    def told(self, rows: ObservedRows) -> list[str]:
        """Sentences on how the rows count, for a report: exact, below, between and above limits."""
        return [*told.exact(rows), *told.below(rows), *told.above(rows), *told.given_limits(rows)]

    def sites(self, observable: str) -> list[str]:
        """Names of the scalar sites that are sampled."""
        return [f"{prefix}_{observable}" for prefix, prior in self.priors if isinstance(prior, Distribution)]

    def draw(self, observable: str) -> list[Any]:
        """Sample the parameters inside a numpyro model (a plain number is held fixed)."""
        return [
            numpyro.sample(f"{x}_{observable}", prior) if isinstance(prior, Distribution) else jnp.asarray(prior)
            for x, prior in self.priors
        ]

    def law(self, f: Any, values: list[Any], rows: ObservedRows, also: Callable[[str], Any]) -> Distribution:
        """The distribution of the rows [n] given predictions f [n]; `also(name)` is the prediction of another observable at the same rows."""
        raise NotImplementedError


ENDPOINTS = ("continuous", "counts", "binary", "grades", "states", "event", "recurrent event")


def endpoint_of(observation: Observation) -> str:
    """What the values are, one of `ENDPOINTS`: it decides how they are drawn and checked."""
    return str(getattr(observation, "endpoint", "continuous"))


def on_logs(observation: Observation) -> bool:
    """Whether the measured values must be positive."""
    return bool(getattr(observation, "logs", False))


def reads_of(observation: Observation) -> tuple[str, ...]:
    """Other observables whose prediction the rows need."""
    return tuple(getattr(observation, "reads", ()))
