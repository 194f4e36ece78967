"""Rules of a single cell, as a pandera schema whose checks are named by the code they earn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.columns import NUMERIC
from pkpd.data.numeric import LARGEST
from pkpd.data.table import Table, found
from pkpd.errors import Defect

Rule = Callable[[pd.Series], pd.Series]

RULES: dict[str, tuple[str, Rule]] = {
    "EVID": ("PK033", lambda x: x.isin([0, 1, 2, 3, 4])),
    "MDV": ("PK035", lambda x: x.isin([0, 1])),
    "CENS": ("PK036", lambda x: x.isin([-1, 0, 1])),
    "AMT": ("PK037", lambda x: x >= 0),
    "DUR": ("PK038", lambda x: x >= 0),
    "ADDL": ("PK039", lambda x: (x >= 0) & (x == np.floor(x))),
    "II": ("PK040", lambda x: x >= 0),
}


@cache
def schema(names: tuple[str, ...] = NUMERIC) -> Any:
    """The pandera schema of a table's numbers."""
    import pandera.pandas as pa

    def column(name: str) -> Any:
        checks = [pa.Check(lambda x: x.abs() <= LARGEST, name="PK030")]
        checks += [pa.Check(rule, name=code) for code, rule in [RULES[name]]] if name in RULES else []
        return pa.Column(float, checks, nullable=True)

    return pa.DataFrameSchema({name: column(name) for name in names})


def check_cells(table: Table) -> Iterator[Defect]:
    """Codes are known codes, amounts and durations are not negative, numbers are finite, required cells are filled."""
    for (name, code), cases in _failures(table).items():
        yield from found(code, table, np.isin(np.arange(len(table)), cases), name, value=table[name])
    if "ID" in table.present:
        yield from found("PK031", table, np.isin(table["ID"], ["", "."]), "ID")
    for name, code in (("TIME", "PK032"), ("EVID", "PK034")):
        if name in table.present:
            yield from found(code, table, table.missing(name), name)


def _numbers(table: Table) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in (*NUMERIC, *table.numbered, *table.covariates) if name in table.frame))


def _failures(table: Table) -> dict[tuple[str, str], np.ndarray]:
    from pandera.errors import SchemaErrors

    try:
        schema(_numbers(table)).validate(table.frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        return {key: group["index"].to_numpy(dtype=int) for key, group in cases.groupby(["column", "check"], sort=False)}
    return {}
