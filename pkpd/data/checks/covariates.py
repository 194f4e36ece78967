"""Rules of covariates: filled in on every row, and one value per subject where that was said."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pkpd.data.checks.order import first_rows
from pkpd.data.lacking import whole
from pkpd.data.table import Table, found
from pkpd.errors import Defect


def check_covariates(table: Table) -> Iterator[Defect]:
    """No covariate is missing, unless a subject may lack it and does on every row; and none said to be constant changes within a subject."""
    for name in table.covariates:
        yield from found("PK073", table, table.missing(name) & ~(whole(table, name) & (name in table.lacking)), name)
        if name in table.constant:
            value = table[name]
            before = np.concatenate([[np.nan], value[:-1]])
            yield from found("PK074", table, changes(table, name), name, value=value, other=before)


def changes(table: Table, name: str) -> np.ndarray:
    """Rows at which a covariate differs from the row before of the same subject."""
    value = table[name]
    before = np.concatenate([[np.nan], value[:-1]])
    return ~first_rows(table) & (value != before) & ~np.isnan(value) & ~np.isnan(before)
