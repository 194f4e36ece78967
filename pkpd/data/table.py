"""The file as columns of numbers and names, on its way to a cohort, and how checks report what they find in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.codes import defect
from pkpd.data.vocabulary import Vocabulary
from pkpd.errors import Defect

MOST = 12
"""How many rows are listed for one code and column; the last one says how many more there are."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows in file order: `frame` holds ROW, ID, SUBJECT (0, 1, ... by block), the columns of the file, CMT, DVID and covariates.

    `table[name]` gives any numeric standard column, empty (NaN) where the file has none. `numbered` are its columns like ALAG2, `clock` says
    how TIME was written where it is no elapsed time ("clock", "date", "iso", else ""), and `counts_routes` that numbers in CMT count dose routes.
    `constant` are the covariates said not to change, `lacking` those that a subject may lack, `kept` what was worked out before.
    """

    frame: pd.DataFrame
    present: frozenset[str]
    bad: dict[str, np.ndarray]
    vocabulary: Vocabulary | None
    covariates: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()
    clock: str = ""
    clock_note: str = ""
    counts_routes: bool = False
    constant: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()
    kept: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.kept:
            self.kept[name] = self.frame[name].to_numpy() if name in self.frame else np.broadcast_to(np.nan, len(self))
        return self.kept[name]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def words(self) -> Vocabulary:
        """The vocabulary; an empty one where no model was given."""
        return self.vocabulary or Vocabulary()

    def missing(self, name: str) -> np.ndarray:
        """Rows whose cell is empty (not those already reported as unreadable)."""
        return np.isnan(self[name]) & ~self.bad.get(name, np.zeros(len(self), bool))

    def evid(self, *codes: int) -> np.ndarray:
        """Rows whose EVID is one of `codes`."""
        key = f"EVID {codes}"
        if key not in self.kept:
            self.kept[key] = np.logical_or.reduce([self["EVID"] == code for code in codes])
        return self.kept[key]

    @property
    def gives(self) -> np.ndarray:
        """Rows that give a dose."""
        return self.evid(1, 4)

    @property
    def scored(self) -> np.ndarray:
        """Observation rows whose DV is to be scored."""
        return self.evid(0) & ~(self["MDV"] == 1)


def found(code: str, table: Table, where: np.ndarray, column: str | None = None, **values: Any) -> Iterator[Defect]:
    """One defect for each row of the mask `where`; values that are arrays are read at that row."""
    at = np.flatnonzero(where)
    rest = len(at) - MOST
    for count, i in enumerate(at[:MOST]):
        filled = {k: show(v[i]) if isinstance(v, np.ndarray) else v for k, v in values.items()}
        one = defect(code, row=int(table["ROW"][i]), subject=str(table["ID"][i]) or None, column=column, **filled)
        yield one if count < MOST - 1 or rest <= 0 else _and_more(one, rest)


def shorten(defects: list[Defect]) -> list[Defect]:
    """At most `MOST` of them, the last one saying how many more there are."""
    rest = len(defects) - MOST
    return defects if rest <= 0 else [*defects[: MOST - 1], _and_more(defects[MOST - 1], rest)]


def _and_more(one: Defect, rest: int) -> Defect:
    cure = f"{one.cure} ({rest} more {'row has' if rest == 1 else 'rows have'} the same.)"
    return replace(one, cure=cure)


def show(value: Any) -> str:
    """A cell as a person would write it; an empty one is called empty."""
    if isinstance(value, (float, np.floating)):
        return "nothing" if np.isnan(value) else f"{value:.10g}"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
