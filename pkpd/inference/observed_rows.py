"""The long table cut by observable, with all that an observation may ask of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Cohort
from pkpd.noise import Observation, ObservedRows, reads_of


def observed_rows(cohort: Cohort, rows: Any, names: Sequence[str], noise: Mapping[str, Observation]) -> dict[str, ObservedRows]:
    """The scored rows of each observable: values, limits, subject, and by row the covariates, "lloq", and the pairs of what it reads."""
    table = cohort.observations.reset_index(drop=True).iloc[rows.index]
    found = {}
    for i, o in enumerate(names):
        at = np.flatnonzero(rows.observable == i)
        own = table.iloc[at]
        subject = own["subject"].to_numpy(int)
        numbers = {c: v.to_numpy(float)[subject] for c, v in cohort.covariates.items() if v.dtype.kind in "fiu"}
        columns = {**{str(c): v for c, v in numbers.items()}, "lloq": own["lloq"].to_numpy(float)}
        for other in reads_of(noise[o]):
            columns |= _paired(own, table[table["observable"] == other], other)
        row = own["row"].to_numpy(int)
        time = own["time"].to_numpy(float)
        found[o] = ObservedRows(o, rows.dv[at], rows.cens[at], rows.lower[at], time, subject, row, cohort.subjects, columns)
    return found


def _paired(own: pd.DataFrame, other: pd.DataFrame, name: str) -> dict[str, np.ndarray]:
    """Value and censoring of another observable measured in the same subject at the same time (the first of several); NaN where there is none."""
    first = other.drop_duplicates(["subject", "time"]).set_index(["subject", "time"])
    at = pd.MultiIndex.from_frame(own[["subject", "time"]])
    return {f"{c}:{name}": first[c].reindex(at).to_numpy(float) for c in ("dv", "cens")}
