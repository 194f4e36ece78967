"""Rules of doses at steady state: which code, how far apart, of how much."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pkpd.data.table import Table, found
from pkpd.errors import Defect


def check_steady(table: Table) -> Iterator[Defect]:
    """SS is 0, 1 or 2; a repeated dose has an II and an amount; only a constant infusion has neither."""
    state, apart = table["SS"], table["II"]
    given = (state != 0) & ~np.isnan(state)
    yield from found("PK052", table, given & ~np.isin(state, (1, 2)), "SS", value=state)
    steady = table.gives & np.isin(state, (1, 2))
    alone = (apart == 0) | table.missing("II")
    nothing = np.nan_to_num(table["AMT"]) == 0
    readable = ~table.bad.get("AMT", np.zeros(len(table), bool))
    second = nothing & (table["RATE"] > 0) & (state == 2)
    yield from found("PK105", table, steady & alone & (~nothing | second), "II", value=state)
    yield from found("PK106", table, steady & (apart > 0) & nothing & readable, "AMT", value=state, other=apart)


def constant_infusion(table: Table) -> np.ndarray:
    """Rows that say an infusion has been running for ever: AMT 0, RATE above 0, SS 1 and II 0."""
    nothing = (np.nan_to_num(table["AMT"]) == 0) & (np.nan_to_num(table["II"]) == 0)
    return table.gives & (table["SS"] == 1) & (table["RATE"] > 0) & nothing
