"""Quantile bands of a virtual cohort: what is kept of subjects who are looked at once and forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import ModelError, choices
from pkpd.simulate.sketch import Sketch
from pkpd.solve import Status

NAMED = 10  # failed subjects that are known by number; the others are counted


@dataclass(frozen=True, eq=False)
class Bands:
    """Quantiles of states and observables over a cohort: `values[quantile, name, time]`, known within `relative_error` of themselves.

    `names` are states, then observables, in `units`; `times` are hours. `subjects` counts those in the bands. Failed ones are in none: `failures` counts
    them by reason, `failed` has the first of them as (number, reason), numbered from 1. `partial` marks a run that was stopped early.

    >>> bands["cp"][1]   # doctest: +SKIP
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    times: np.ndarray
    quantiles: tuple[float, ...]
    sketch: Sketch
    failures: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[tuple[int, str], ...] = ()
    partial: bool = False

    @property
    def values(self) -> np.ndarray:
        """[quantiles, names, times]"""
        return self.quantile(self.quantiles)

    @property
    def minimum(self) -> np.ndarray:
        """[names, times], exact."""
        return self._table(self.sketch.minimum)

    @property
    def maximum(self) -> np.ndarray:
        """[names, times], exact."""
        return self._table(self.sketch.maximum)

    @property
    def mean(self) -> np.ndarray:
        """[names, times], up to rounding."""
        return self._table(self.sketch.mean)

    @property
    def subjects(self) -> int:
        """How many are in the bands."""
        return self.sketch.n

    @property
    def n_failed(self) -> int:
        """How many are left out, because they could not be integrated or gave values that are no numbers."""
        return sum(self.failures.values())

    @property
    def relative_error(self) -> float:
        """The most by which the value at a rank is off, as a share of that value."""
        return self.sketch.relative_error

    def quantile(self, q: Any) -> np.ndarray:
        """Any other quantiles of the same subjects: q [Q] from 0 to 1 gives [Q, names, times]."""
        return self._table(self.sketch.quantile(checked_quantiles(q)))

    def __getitem__(self, name: str) -> np.ndarray:
        """The bands of one state or observable [quantiles, times] (where both have the name, of the observable)."""
        return self.values[:, self._place(name)]

    def table(self, name: str) -> pd.DataFrame:
        """One row a time (h): the quantiles of one state or observable, then its minimum, mean and maximum."""
        i = self._place(name)
        columns = {f"{100 * q:g}%": band for q, band in zip(self.quantiles, self.values[:, i], strict=True)}
        columns |= {"min": self.minimum[i], "mean": self.mean[i], "max": self.maximum[i]}
        return pd.DataFrame(columns, index=pd.Index(self.times, name="time"))

    def merge(self, other: Bands) -> Bands:
        """The bands of two cohorts together, as if they had been one. Raises `ModelError` where they are not of the same names and times."""
        if self.names != other.names or not np.array_equal(self.times, other.times):
            raise ModelError(
                "Bands are merged when they have the same names and the same times: simulate both cohorts with the same settings."
            )
        failures = Counter(self.failures) + Counter(other.failures)
        found = replace(self, sketch=self.sketch.merge(other.sketch), failures=dict(sorted(failures.items())))
        return replace(found, failed=tuple(sorted(self.failed + other.failed)[:NAMED]), partial=self.partial or other.partial)

    def add(self, first: int, values: np.ndarray, status: np.ndarray) -> Bands:
        """With further subjects, `first` the number of the first of them (from 1): values [names x times, N], status [N]."""
        bad = np.flatnonzero(status != Status.OK)
        good = values if not len(bad) else values[:, status == Status.OK]
        told = [(first + int(i), Status(int(status[i])).sentence) for i in bad]
        sketch = Sketch.of(good, self.relative_error)
        return self.merge(replace(self, sketch=sketch, failures=dict(Counter(why for _, why in told)), failed=tuple(told[:NAMED])))

    @property
    def losses(self) -> str:
        """A sentence on who failed, empty where nobody did."""
        if not self.failures:
            return ""
        reasons = "; ".join(f"{n:,} x {why}" for why, n in self.failures.items())
        listed = ", ".join(str(number) for number, _ in self.failed) + (", ..." if self.n_failed > len(self.failed) else "")
        one = self.n_failed == 1
        return f"{self.n_failed:,} of {self.subjects + self.n_failed:,} subjects failed and {'is' if one else 'are'} left out ({listed}): {reasons}."

    def __repr__(self) -> str:
        what = f"{len(self.quantiles)} quantiles of {', '.join(self.names)} at {len(self.times)} times"
        whole = "partial, stopped early: " if self.partial else ""
        return f"Bands({whole}{self.subjects:,} subjects, {self.n_failed:,} failed; {what}; relative error {self.relative_error:g})"

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise ModelError(f"These bands have no '{name}'. {choices(name, self.names)}")
        return len(self.names) - 1 - self.names[::-1].index(name)

    def _table(self, flat: np.ndarray) -> np.ndarray:
        return flat.reshape(*flat.shape[:-1], len(self.names), len(self.times))


def checked_quantiles(given: Any) -> tuple[float, ...]:
    """Quantiles as numbers. Raises `ModelError` for one that is none, or none at all."""
    q = np.atleast_1d(np.asarray(given, float))
    if q.ndim != 1 or not len(q) or not ((q >= 0) & (q <= 1)).all():
        raise ModelError(f"quantiles={given!r}: numbers from 0 to 1, as in (0.05, 0.5, 0.95).")
    return tuple(float(x) for x in q)
