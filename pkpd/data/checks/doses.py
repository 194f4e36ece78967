"""Rules of dose rows: who gives an amount, and that additional doses know their interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pkpd.data.checks.steady import constant_infusion
from pkpd.data.table import Table, found
from pkpd.errors import Defect

MOST_DOSES = 10_000
"""More additional doses than this in one row are a slip of the keyboard."""


def check_doses(table: Table) -> Iterator[Defect]:
    """Amounts stand on dose rows and only there; ADDL has an II; rates are not negative, and a modelled one is not given as well."""
    yield from _amounts(table)
    yield from _stray_items(table)
    yield from _additional(table)
    rate, lasts = table["RATE"], table["DUR"]
    yield from found("PK050", table, table.gives & (rate < 0) & ~np.isin(rate, (-1, -2)), "RATE", value=rate)
    for code, what in ((-1, "rate"), (-2, "duration")):
        yield from found("PK049", table, table.gives & (rate == code) & (lasts > 0), "RATE", value=rate, what=what, other=lasts)


def _amounts(table: Table) -> Iterator[Defect]:
    amount, evid = table["AMT"], table["EVID"]
    empty = np.where(np.isnan(amount), "no AMT", "AMT 0").astype(object)
    if "AMT" in table.present:
        where = table.gives & ((amount == 0) | table.missing("AMT"))
        repeated = (np.nan_to_num(table["SS"]) != 0) & (np.nan_to_num(table["II"]) != 0)
        yield from found("PK043", table, where & ~repeated & ~constant_infusion(table), "AMT", value=empty, evid=evid)
    yield from found("PK044", table, table.evid(0, 2) & (amount > 0), "AMT", value=amount, evid=evid)
    yield from found("PK045", table, table.evid(3) & (amount > 0), "AMT", value=amount)
    if "EVID" not in table.present:
        both = table.gives & (np.nan_to_num(table["DV"]) != 0) & (table["MDV"] != 1)
        yield from found("PK056", table, both, "DV", value=table["DV"], amount=amount)


def _stray_items(table: Table) -> Iterator[Defect]:
    for name in ("RATE", "DUR", "ADDL", "SS"):
        value = table[name]
        stray = table.evid(0, 2, 3) & (value != 0) & ~np.isnan(value)
        yield from found("PK046", table, stray, name, value=value, evid=table["EVID"], name=name)


def _additional(table: Table) -> Iterator[Defect]:
    more, apart = table["ADDL"], table["II"]
    alone = table.gives & (more > 0) & ((apart == 0) | table.missing("II"))
    yield from found("PK047", table, alone, "II", value=more)
    yield from found("PK048", table, table.gives & (more > MOST_DOSES), "ADDL", value=more, limit=f"{MOST_DOSES:,}")
