"""Rules of limits of quantification: CENS 1 puts the lower limit into DV, CENS -1 the upper one; LIMIT lies below."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.names import observables
from pkpd.data.table import Table, found
from pkpd.errors import Defect
from pkpd.units import parse


def check_limits(table: Table) -> Iterator[Defect]:
    """Censored rows say where the limit is, and say it once."""
    value, limit, cens = table["DV"], table["LIMIT"], table["CENS"]
    below, above = table.scored & (cens == 1), table.scored & (cens == -1)
    yield from found("PK067", table, below & (limit >= value), "LIMIT", value=limit, other=value)
    yield from found("PK070", table, above & (limit > value), "LIMIT", value=limit)
    for code, name, where in (("PK068", "LLOQ", below), ("PK071", "ULOQ", above)):
        yield from found(code, table, where & _differs(value, table[name]), "DV", value=value, other=table[name])
    yield from _positive(table, below & (value <= 0))


def _differs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rows where both are given and are not the same number (to the rounding of a printed table, 1e-6)."""
    return ~np.isnan(a) & ~np.isnan(b) & ~np.isclose(a, b, rtol=1e-6, atol=0)


def _positive(table: Table, where: np.ndarray) -> Iterator[Defect]:
    """A limit at or below zero only makes sense for a quantity without unit, such as a logarithm."""
    what = observables(table)
    for name in pd.unique(what[where]):
        unit = table.vocabulary.observable_unit(name) if table.vocabulary else None
        if unit and not parse(unit).dimensionless:
            yield from found("PK069", table, where & (what == name), "DV", value=table["DV"], unit=unit)
