"""Everything that looks wrong in a file that can be read: warnings and notes, with their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from pkpd.data.checks.quality_covariates import WATCHED, check_people
from pkpd.data.checks.quality_doses import check_dosing
from pkpd.data.checks.quality_subjects import check_subjects
from pkpd.data.checks.quality_times import check_times
from pkpd.data.checks.quality_values import check_values
from pkpd.data.checks.study import Study
from pkpd.data.cohort import Cohort
from pkpd.data.columns import Columns
from pkpd.data.names import observables, targets
from pkpd.data.numeric import numbers
from pkpd.data.scales import Declared
from pkpd.data.source import Cells
from pkpd.data.table import Table
from pkpd.errors import Defect

QUALITY_CHECKS: tuple[Callable[[Study], Iterator[Defect]], ...] = (
    check_people,
    check_times,
    check_values,
    check_subjects,
    check_dosing,
)


def check_quality(
    cells: Cells, columns: Columns, declared: Declared, table: Table, records: pd.DataFrame, cohort: Cohort
) -> tuple[Defect, ...]:
    """The warnings and notes of a file without errors, in row order."""
    others, units = _left_aside(cells, columns)
    study = Study(table, records, cohort.doses, units | declared.flat, others, cohort.ties)
    with np.errstate(all="ignore"):
        found = [one for check in QUALITY_CHECKS for one in check(study)]
    return tuple(sorted(found, key=lambda d: (d.row or 0, d.code)))


def warning_lines(defects: tuple[Defect, ...]) -> tuple[str, ...]:
    """The warnings as lines of a cohort's notes: one a code and column, the first row told and the others counted."""
    groups: dict[tuple[str, str | None], list[Defect]] = {}
    for one in defects:
        if one.severity == "warning":
            groups.setdefault((one.code, one.column), []).append(one)
    return tuple(f"{same[0]}{_others(same)}" for same in groups.values())


def _others(same: list[Defect]) -> str:
    return f" ({len(same) - 1} more lines of this kind: pkpd check-data lists them.)" if len(same) > 1 else ""


def known_units(table: Table, declared: Declared) -> dict[str, str]:
    """The units of the cohort's observables and of AMT, where they are known: the model's, or the file's where there is no model."""
    names = sorted(set(observables(table)) - {""})
    words = table.vocabulary
    units = {name: words.observable_unit(name) if words else declared.measured(name) for name in names}
    routes = {words.dose_unit(name) for name in set(targets(table)) - {""}} if words else {declared.flat.get("AMT")}
    units |= {"AMT": routes.pop() if len(routes) == 1 else None}
    return {name: unit for name, unit in units.items() if unit}


def _left_aside(cells: Cells, columns: Columns) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns that the cohort does not use but whose names are known (WT, AGE, HT), as numbers, and the units in their headers."""
    values: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}
    for place, text in enumerate(cells.header):
        name, bracket, unit = (part.strip() for part in text.partition("["))
        if name.upper() in WATCHED and name in columns.unused:
            values[name] = numbers(cells.frame[place])[0]
            units |= {name: unit.rstrip("] ")} if bracket else {}
    return values, units
