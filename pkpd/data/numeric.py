"""Cells as numbers: '.' and empty are missing, everything else must be one."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

MISSING = ("", ".")
COMMA = re.compile(r"[+-]?\d+,\d+")
LARGEST = 1e30


def numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """A column as floats (missing is NaN), and the rows that hold something else."""
    if pd.api.types.is_numeric_dtype(column) and column.dtype.kind in "iuf":
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return values, np.zeros(len(values), bool)
    cells, code = distinct_cells(column)
    values = np.array([_number(cell) for cell in cells])
    wrong = np.isnan(values) & ~np.isin(cells, MISSING)
    return values[code], wrong[code]


def texts(column: pd.Series) -> np.ndarray:
    """A column as stripped text, an object array; a missing cell is '' and a whole number has no '.0'."""
    cells, code = distinct_cells(column)
    return cells[code]


def distinct_cells(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The distinct cells as text (the last is '' for missing ones) and where each row finds its own."""
    code, distinct = pd.factorize(column.map(_text, na_action=None) if column.dtype == object else column)
    return np.array([_text(cell) for cell in distinct] + [""], dtype=object), code


def _text(cell: object) -> str:
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    if isinstance(cell, (float, np.floating)):
        return "" if np.isnan(cell) else _plain(float(cell))
    return str(cell).strip()


def _plain(value: float) -> str:
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else repr(value)


def _number(cell: str) -> float:
    """Python's own reading of a float, without the digits of other scripts and the underscores it allows."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else np.nan
    except ValueError:
        return np.nan


def code_of(cell: str) -> str:
    """Which defect a cell that is no number earns."""
    return "PK028" if COMMA.fullmatch(cell) else "PK027"
