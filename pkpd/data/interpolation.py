"""Covariates that change within a subject: which they are, and how they go from one record to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pkpd.data.checks.covariates import changes
from pkpd.data.table import Table
from pkpd.errors import PkpdError, choices

METHODS = {
    "nocb": "the value of the record being approached counts (next observation carried backward)",
    "locf": "the value of the last record counts (last observation carried forward)",
    "linear": "a straight line counts",
    "midpoint": "the last record's value counts up to half-way, the next one's from there",
}
DEFAULT = "nocb"
CONSTANT = "constant"


def check_methods(given: Mapping[str, str], covariates: Iterable[str]) -> dict[str, str]:
    """The methods asked for, by covariate; raises `PkpdError` for a covariate that is not carried or a method there is not."""
    known, asked = {name.upper(): name for name in covariates}, {}
    for name, method in given.items():
        own = known.get(str(name).upper())
        if own is None:
            raise PkpdError(
                f"interpolation= names '{name}', which is no covariate read here. {choices(str(name), known.values())} "
                "The model's covariates are read, and those in covariates=."
            )
        if method not in (*METHODS, CONSTANT):
            raise PkpdError(f"interpolation= gives {own} the method {method!r}. {choices(str(method), (*METHODS, CONSTANT))}")
        asked[own] = method
    return asked


def changing(table: Table) -> tuple[str, ...]:
    """The covariates that change within at least one subject."""
    return tuple(name for name in table.covariates if changes(table, name).any())


def covariate_records(table: Table, time: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """One line a record: subject, time (h), place, and each changing covariate."""
    place = {"subject": table["SUBJECT"], "time": time, "place": np.arange(len(table))}
    return pd.DataFrame({**place, **{name: table[name] for name in names}})


def notes_on_changes(names: Iterable[str], methods: Mapping[str, str]) -> tuple[str, ...]:
    """How each changing covariate goes from record to record, as sentences."""
    return tuple(f"Covariate {n} changes within subjects; between records {METHODS[methods[n]]}: {methods[n]}." for n in names)
