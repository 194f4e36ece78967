"""Covariates that nobody has, and numbers that stand for a missing value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pkpd.data.checks.study import Study
from pkpd.data.table import found
from pkpd.errors import Defect, UnitError
from pkpd.units import factor


class Reach(NamedTuple):
    """What a person can have: the unit of the limits, the limits, whether the lower one counts, and another common unit."""

    unit: str
    low: float
    high: float
    closed: bool
    other: str

    @property
    def words(self) -> str:
        """The range as a person would say it."""
        return f"{'from' if self.closed else 'above'} {self.low:g} {'to' if self.closed else 'and at most'} {self.high:g} {self.unit}"


WEIGHT, AGE, HEIGHT = (
    Reach("kg", 0, 400, False, "g"),
    Reach("years", 0, 120, True, "months"),
    Reach("cm", 0, 300, False, "m"),
)
WATCHED = {
    **dict.fromkeys(("WT", "WEIGHT", "BW", "BWT", "WGT"), WEIGHT),
    "AGE": AGE,
    **dict.fromkeys(("HT", "HEIGHT", "HGT"), HEIGHT),
}
STANDS_FOR_MISSING = (-9.0, -99.0, -999.0, -9999.0, -99999.0)


def check_people(study: Study) -> Iterator[Defect]:
    """Weights, ages and heights are those of a person, and a missing value is empty."""
    columns = {name: study.table[name] for name in study.table.covariates} | dict(study.others)
    for name, value in columns.items():
        code = stands_for_missing(value)
        yield from found("PK131", study.table, code & _new(study, value), name, name=name, value=value)
        if name.upper() in WATCHED:
            yield from _unlike_a_person(study, name, np.where(code, np.nan, value), WATCHED[name.upper()])


def stands_for_missing(value: np.ndarray) -> np.ndarray:
    """Values such as -99 in a column that is otherwise at or above zero."""
    code = np.isin(value, STANDS_FOR_MISSING)
    rest = value[~code & ~np.isnan(value)]
    return code if code.any() and len(rest) and rest.min() >= 0 else np.zeros(len(value), bool)


def _unlike_a_person(study: Study, name: str, value: np.ndarray, reach: Reach) -> Iterator[Defect]:
    try:
        scale = factor(study.units.get(name, reach.unit), reach.unit)
    except UnitError:
        return
    own = value * scale
    low = own < reach.low if reach.closed else own <= reach.low
    where = (low | (own > reach.high)) & _new(study, value)
    told = {"value": own, "unit": reach.unit, "range": reach.words, "other": reach.other}
    yield from found("PK130", study.table, where, name, name=name, **told)


def _new(study: Study, value: np.ndarray) -> np.ndarray:
    """Rows at which a subject's value is another one than in the row before."""
    before = np.concatenate([[np.nan], value[:-1]])
    return study.first | (value != before)
