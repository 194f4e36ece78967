"""What other tools know and this floor does not yet: refused by name, never ignored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pkpd.data.table import Table, found
from pkpd.errors import Defect


def check_unsupported(table: Table) -> Iterator[Defect]:
    """Steady-state doses and modelled rates or durations are refused."""
    state, rate = table["SS"], table["RATE"]
    yield from found("PK052", table, (state != 0) & ~np.isnan(state), "SS", value=state)
    for code, what in ((-1, "rate"), (-2, "duration")):
        yield from found("PK049", table, table.gives & (rate == code), "RATE", value=rate, what=what)
