"""A file that can be read, as the checks of its quality see it: rows as written, rows in hours, and doses one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pkpd.data.checks.order import first_rows
from pkpd.data.names import observables
from pkpd.data.table import Table
from pkpd.data.ties import ranks
from pkpd.errors import UnitError
from pkpd.units import Unit, parse


@dataclass(frozen=True, eq=False)
class Study:
    """`table` holds the rows as written, `records` the same rows in the model's units and hours, `doses` one line a dose or reset.

    `units` are the declared units by column; `others` are columns that the cohort leaves aside but the checks know (WT, AGE, HT).
    """

    table: Table
    records: pd.DataFrame
    doses: pd.DataFrame
    units: Mapping[str, str]
    others: Mapping[str, np.ndarray]
    ties: str = "rows"

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def subject(self) -> np.ndarray:
        """Each row's subject, counted from 0; the rows of a subject stand together."""
        return self.table["SUBJECT"]

    @cached_property
    def count(self) -> int:
        """How many subjects there are."""
        return int(self.subject[-1]) + 1

    @cached_property
    def first(self) -> np.ndarray:
        """The first row of each subject, as a mask."""
        return first_rows(self.table)

    @cached_property
    def time(self) -> np.ndarray:
        """Each row's time in h."""
        return self.records["TIME"].to_numpy(float)

    @cached_property
    def what(self) -> np.ndarray:
        """What each row observes, as the code of `labels`; -1 where it observes nothing."""
        return self._what[0]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The observables of the file."""
        return self._what[1]

    @cached_property
    def _what(self) -> tuple[np.ndarray, tuple[str, ...]]:
        code, names = pd.factorize(observables(self.table))
        told = tuple(str(n) for n in names)
        blank = told.index("") if "" in told else -2
        return np.where(code == blank, -1, code), told

    @cached_property
    def name(self) -> np.ndarray:
        """What each row observes, in words."""
        told = [f"DVID {n}" if n.replace(".", "", 1).isdigit() else n for n in self.labels]
        return np.array([*told, ""], dtype=object)[self.what]

    @cached_property
    def dv(self) -> np.ndarray:
        """DV as written."""
        return self.table["DV"]

    @cached_property
    def scored(self) -> np.ndarray:
        """Scored observations with a DV."""
        return self.table.scored & ~np.isnan(self.dv)

    @cached_property
    def quantified(self) -> np.ndarray:
        """Scored observations that are not censored."""
        return self.scored & (self.table["CENS"] == 0)

    @cached_property
    def given(self) -> pd.DataFrame:
        """The doses without pure resets."""
        return self.doses[(self.doses["kind"] != "reset").to_numpy()]

    @cached_property
    def first_dose(self) -> np.ndarray:
        """When each subject's first dose is given (h); infinity for none."""
        start = np.full(self.count, np.inf)
        np.minimum.at(start, self.given["subject"].to_numpy(int), self.given["time"].to_numpy(float))
        return start

    @cached_property
    def doses_before(self) -> np.ndarray:
        """How many doses of all subjects so far act before each row; equal in two rows of a subject where no dose lies between."""
        subject = np.concatenate([self.subject, self.given["subject"].to_numpy(int)])
        time = np.concatenate([self.time, self.given["time"].to_numpy(float)])
        rank = np.concatenate([ranks(self.records, self.ties), self.given["rank"].to_numpy(float)])
        order = np.lexsort((rank, time, subject))
        so_far = np.cumsum(order >= len(self))
        back = np.empty(len(order), int)
        back[order] = so_far
        return back[: len(self)]

    def per_subject(self, rows: np.ndarray) -> np.ndarray:
        """How many rows of a mask each subject has."""
        return np.bincount(self.subject[rows], minlength=self.count)

    def at_first(self, subjects: np.ndarray) -> np.ndarray:
        """The first rows of the subjects of a mask, as a mask of rows."""
        return self.first & subjects[self.subject]

    def unit_of(self, label: str) -> Unit | None:
        """The unit of an observable where it is known."""
        told = self.table.words.observable_unit(label) if self.table.vocabulary else self.units.get("DV")
        try:
            return parse(told) if told else None
        except UnitError:
            return None


def once(where: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """The first row of a mask in each subject."""
    rows = np.flatnonzero(where)
    keep = rows[np.unique(subject[rows], return_index=True)[1]]
    out = np.zeros(len(where), bool)
    out[keep] = True
    return out


def rounded(values: np.ndarray, digits: int = 3) -> np.ndarray:
    """Numbers to so many digits, as they are told.

    >>> rounded(np.array([0.0, 23.976, 1234.5])).tolist()
    [0.0, 24.0, 1230.0]
    """
    with np.errstate(all="ignore"):
        size = np.floor(np.log10(np.abs(values)))
        power = 10.0 ** (digits - 1 - np.where(np.isfinite(size), size, 0.0))
        return np.round(values * power) / power


def steps(sizes: np.ndarray, factor: float) -> tuple[np.ndarray, float, float] | None:
    """Where positive numbers fall into two groups with a step of at least `factor` between them: the rarer group, and both edges of the step.

    The mask tells the rarer group (the lower one of two alike); the edges are the largest of the lower and the smallest of the upper
    group. None where there is no such step.
    """
    ordered = np.sort(sizes)
    ratio = ordered[1:] / ordered[:-1]
    if not len(ratio) or ratio.max() < factor:
        return None
    at = int(np.argmax(ratio))
    lower = sizes <= ordered[at]
    return (lower if lower.sum() <= (~lower).sum() else ~lower), float(ordered[at]), float(ordered[at + 1])


def ends(doses: pd.DataFrame) -> np.ndarray:
    """How long each dose runs (h) where rate or duration is known; 0 for a bolus and where the model says it."""
    amount, shape = doses["amount"].to_numpy(float), doses["shape"].to_numpy(object)
    share = np.nan_to_num(doses["bioavailability"].to_numpy(float), nan=1.0)
    with np.errstate(all="ignore"):
        by_rate = amount * share / doses["rate"].to_numpy(float)
    lasts = np.where(shape == "duration", doses["duration"].to_numpy(float), np.where(shape == "rate", by_rate, 0.0))
    return np.where(np.isfinite(lasts), lasts, 0.0)
