"""A cohort: validated subjects, their doses, what is to be predicted, their covariates, and what was assumed on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import PkpdError


@dataclass(frozen=True, eq=False)
class Cohort:
    """Subjects and their records in the model's units; built by `read_cohort`, never by hand.

    `records` are the validated rows. `doses` has one line per dose or reset, additional doses written out and nothing cancelled: subject, time
    (h), rank among rows, place of the row in the file, k (0 the dose of the row itself), kind (dose, reset, reset_dose), target, amount, shape
    (bolus, duration, rate, modelled_duration, modelled_rate), duration (h), rate (per h), ss, ii (h), lag (h), bioavailability (NaN: the
    model's), row. `observations` has one line per row to predict (time in h, rank, observable, dv, scored, cens, lower, lloq, uloq).
    `covariates` has one line per subject, the values of its first row; `covariate_records` one line per record (subject, time, place) with the
    covariates that change within a subject, and `interpolation` says how each of them goes from record to record. `notes` says what was
    assumed, `ties` how rows of one time are ordered, `units` what the numbers are in. `subject` counts from 0 and points into `subjects`.
    """

    name: str
    source: str
    sha256: str
    subjects: tuple[str, ...]
    records: pd.DataFrame
    doses: pd.DataFrame
    observations: pd.DataFrame
    covariates: pd.DataFrame
    notes: tuple[str, ...] = ()
    covariate_records: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"subject": [], "time": [], "place": []}))
    interpolation: dict[str, str] = field(default_factory=dict)
    ties: str = "rows"
    units: dict[str, Any] = field(default_factory=dict)

    @property
    def n_subjects(self) -> int:
        """How many subjects there are."""
        return len(self.subjects)

    def subset(self, indices: Iterable[int]) -> Cohort:
        """The cohort of some subjects, in the order given.

        `indices` count subjects from 0. Returns a new `Cohort`. Raises `PkpdError` for an index that is not there or comes twice.
        """
        chosen = _chosen(indices, self.n_subjects)
        tables = {name: _pick(getattr(self, name), chosen) for name in ("records", "doses", "observations", "covariate_records")}
        few = f"{len(chosen)} of {self.n_subjects} subjects of {self.name}."
        covariates = self.covariates.iloc[chosen].reset_index(drop=True)
        ids = tuple(self.subjects[i] for i in chosen)
        return replace(self, subjects=ids, covariates=covariates, notes=(*self.notes, few), **tables)

    def summary(self) -> str:
        """Subjects, doses, and observations with their censored part, as text."""
        doses = int((self.doses["kind"] != "reset").sum())
        lines = [f"{self.name}: {_many(self.n_subjects, 'subject')}, {_many(doses, 'dose')} ({self.source}, sha256 {self.sha256[:12]})"]
        for name, rows in self.observations.groupby("observable", sort=False):
            lines.append(f"  {name}: {_observed(rows)}")
        lines += [f"  covariates: {', '.join(self.covariates.columns)}"] if len(self.covariates.columns) else []
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        scored = int(self.observations["scored"].sum())
        parts = (_many(self.n_subjects, "subject"), _many(len(self.doses), "dose"), _many(scored, "scored observation"))
        return f"Cohort({self.name!r}, {', '.join(parts)})"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _observed(rows: pd.DataFrame) -> str:
    scored = rows[rows["scored"]]
    parts = [_many(len(scored), "observation")]
    for code, words in ((1, "below the limit"), (-1, "above the limit")):
        share = (scored["cens"] == code).mean() if len(scored) else 0.0
        parts += [f"{100 * share:.1f} % {words}"] if share else []
    parts += [f"{len(rows) - len(scored)} to predict only"] if len(rows) > len(scored) else []
    return ", ".join(parts)


def _chosen(indices: Iterable[int], count: int) -> list[int]:
    chosen = [int(i) for i in indices]
    wrong = [i for i in chosen if not 0 <= i < count]
    if wrong:
        raise PkpdError(f"There is no subject {wrong[0]}: the {count} subjects of this cohort count from 0 to {count - 1}.")
    if len(set(chosen)) < len(chosen):
        raise PkpdError("A subject was chosen twice. Choose each subject once.")
    return chosen


def _pick(table: pd.DataFrame, chosen: list[int]) -> pd.DataFrame:
    """The rows of the chosen subjects, renumbered in that order."""
    subject = table["subject"].to_numpy().astype(int)
    new = np.full(max(max(chosen, default=0), subject.max(initial=0)) + 1, -1)
    new[chosen] = np.arange(len(chosen))
    at = np.flatnonzero(new[subject] >= 0)
    at = at[np.argsort(new[subject[at]], kind="stable")]
    return table.iloc[at].assign(subject=new[subject[at]]).reset_index(drop=True)
