"""What a file says about single doses beside their amount: lag, bioavailability, and the duration or rate that RATE -2 or -1 asks for.

A column LAG, F, D or R says it of every dose, a numbered one (ALAG2) of doses into that compartment. An empty cell leaves it to the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pkpd.data.aliases import split_number
from pkpd.data.columns import DOSE_ITEMS
from pkpd.data.names import compartments
from pkpd.data.table import Table, found
from pkpd.errors import Defect

Scale = Callable[[str, str], tuple[np.ndarray | float, list[Defect]]]
BOUNDS = {
    "LAG": ("a lag", "is not below zero", lambda x: x >= 0),
    "F": ("a bioavailability", "lies above zero", lambda x: x > 0),
    "D": ("a modelled duration", "lies above zero", lambda x: x > 0),
    "R": ("a modelled rate", "lies above zero", lambda x: x > 0),
}


def used_rows(table: Table, item: str) -> np.ndarray:
    """The rows whose dose an item counts for."""
    code = {"D": -2, "R": -1}.get(item)
    return table.gives if code is None else table.gives & (table["RATE"] == code)


def columns_of(table: Table, item: str) -> list[tuple[str, int]]:
    """The file's columns of one item, each with its compartment (0: every one)."""
    own = [(item, 0)] if item in table.present and item not in table.covariates else []
    return own + [(name, split_number(name)[1]) for name in table.numbered if split_number(name)[0] == item]


def dose_items(table: Table, target: np.ndarray, scale: Scale) -> tuple[dict[str, np.ndarray], list[Defect]]:
    """LAG (h), F, D (h) and R (amount per h) of each row, NaN where the model decides; `scale(item, column)` converts units."""
    numbers = compartments(table, target) if table.numbered else np.zeros(len(table), int)
    values, wrong = {}, []
    for item in DOSE_ITEMS:
        values[item], defects = _item(table, item, numbers, scale)
        wrong += defects
    return values, wrong


def _item(table: Table, item: str, numbers: np.ndarray, scale: Scale) -> tuple[np.ndarray, list[Defect]]:
    used, value, before, wrong = used_rows(table, item), np.full(len(table), np.nan), "", []
    for name, number in columns_of(table, item):
        factor, unfit = scale(item, name)
        acts = used & ~np.isnan(table[name])
        wrong += [*unfit, *_out_of_range(table, acts & ((number == 0) | (numbers == number)), item, name)]
        if number:
            wrong += found("PK109", table, acts & (numbers == 0), name, name=name, number=number, value=_whither(table), plain=item)
            acts = acts & (numbers == number)
        mine = table[name] * factor
        twice = acts & ~np.isnan(value) & ~np.isclose(mine, value, rtol=1e-9, atol=0)
        wrong += found("PK108", table, twice, name, name=before, value=value, second=name, other=mine)
        value, before = np.where(acts, mine, value), name
    return value, wrong


def _out_of_range(table: Table, where: np.ndarray, item: str, name: str) -> Iterator[Defect]:
    what, bound, fits = BOUNDS[item]
    yield from found("PK018", table, where & ~fits(table[name]), name, name=name, value=table[name], what=what, bound=bound)


def _whither(table: Table) -> np.ndarray:
    cells = table["CMT"]
    return np.where(cells == "", "the only dose route", cells)


def items_used(table: Table) -> Iterator[tuple[str, str, int, int]]:
    """Each column of a dose item: its item, its name, its compartment, and how many rows it says something for."""
    for item in DOSE_ITEMS:
        for name, number in columns_of(table, item):
            yield item, name, number, int((used_rows(table, item) & ~np.isnan(table[name])).sum())
