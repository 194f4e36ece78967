"""Every rule a table must keep, gathered; each file here holds one kind of rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pkpd.data.checks.cells import check_cells
from pkpd.data.checks.covariates import check_covariates
from pkpd.data.checks.doses import check_doses
from pkpd.data.checks.limits import check_limits
from pkpd.data.checks.observations import check_observations
from pkpd.data.checks.order import check_order
from pkpd.data.checks.steady import check_steady
from pkpd.data.names import check_observables, check_targets
from pkpd.data.table import Table
from pkpd.errors import Defect

CHECKS: tuple[Callable[[Table], Iterator[Defect]], ...] = (
    check_cells,
    check_order,
    check_steady,
    check_doses,
    check_targets,
    check_observations,
    check_observables,
    check_limits,
    check_covariates,
)


def check_table(table: Table) -> list[Defect]:
    """All defects of a table, whatever their kind."""
    return [defect for check in CHECKS for defect in check(table)]
