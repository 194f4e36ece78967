"""Rules of covariates: filled in on every row, and one value per subject."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pkpd.data.checks.order import first_rows
from pkpd.data.table import Table, found
from pkpd.errors import Defect


def check_covariates(table: Table) -> Iterator[Defect]:
    """No covariate is missing or changes within a subject."""
    inside = ~first_rows(table)
    for name in table.covariates:
        value = table[name]
        before = np.concatenate([[np.nan], value[:-1]])
        changes = inside & (value != before) & ~np.isnan(value) & ~np.isnan(before)
        yield from found("PK073", table, table.missing(name), name)
        yield from found("PK074", table, changes, name, value=value, other=before)
