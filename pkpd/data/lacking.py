"""Covariates that a subject may lack: who does, and that it was asked for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pkpd.data.table import Table
from pkpd.errors import PkpdError, choices

MOST = 5


def check_missing(given: Iterable[str], covariates: Iterable[str]) -> frozenset[str]:
    """The covariates named in missing=; raises `PkpdError` for one that is not carried."""
    known, names = {name.upper(): name for name in covariates}, set()
    for name in given:
        if str(name).upper() not in known:
            raise PkpdError(
                f"missing= names '{name}', which is no covariate read here. {choices(str(name), known.values())} "
                "The model's covariates are read, and those in covariates=."
            )
        names.add(known[str(name).upper()])
    return frozenset(names)


def whole(table: Table, name: str) -> np.ndarray:
    """Rows of subjects without any value of a covariate."""
    subject = table["SUBJECT"]
    seen = np.bincount(subject, weights=~table.missing(name))
    return seen[subject] == 0


def notes_on_missing(table: Table) -> tuple[str, ...]:
    """Who lacks a covariate, as sentences."""
    total, notes = len(np.unique(table["SUBJECT"])), []
    for name in (n for n in table.covariates if n in table.lacking):
        who = list(dict.fromkeys(str(i) for i in table["ID"][whole(table, name)]))
        if who:
            listed = ", ".join(who[:MOST]) + (", ..." if len(who) > MOST else "")
            notes.append(f"Covariate {name} is missing in {len(who)} of {total} subjects ({listed}): kept as missing.")
    return tuple(notes)
