"""Rows in words, for a report: how many are exact, below, between or above limits, and how often each value was seen.

`rows` is an `ObservedRows` everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MOST = 12


def many(n: Any, word: str = "row") -> str:
    """A count with its noun: "1 row", "2 rows"."""
    return f"{int(n)} {word}{'' if n == 1 else 's'}"


def listed(values: np.ndarray, name: Callable[[float], str] = lambda v: f"{v:g}") -> str:
    """Distinct values with the rows that have them, at most twelve: "10 (3 rows), 50 (18 rows)".

    >>> import numpy as np
    >>> listed(np.array([50.0, 10.0, 50.0]))
    '10 (1 row), 50 (2 rows)'
    """
    levels, counts = np.unique(values, return_counts=True)
    said = ", ".join(f"{name(v)} ({many(n)})" for v, n in zip(levels[:MOST], counts[:MOST], strict=True))
    return said + (f", and {len(levels) - MOST} more" if len(levels) > MOST else "")


def exact(rows: Any) -> list[str]:
    """A sentence on rows that carry a measured value."""
    return [f"Exact: {many((rows.cens == 0).sum())}."]


def below(rows: Any, counted: str = "P(y < limit), the M3 method") -> list[str]:
    """Sentences on rows below one limit, and between two; `counted` says what the former count as."""
    left, between = (rows.cens == 1) & ~np.isfinite(rows.lower), (rows.cens == 1) & np.isfinite(rows.lower)
    found = [f"Left-censored: {many(left.sum())}, counted as {counted}; limits {listed(rows.dv[left])}."] if left.any() else []
    if between.any():
        pairs = sorted({(rows.lower[i], rows.dv[i]) for i in np.flatnonzero(between)})
        spans = ", ".join(f"{a:g} to {b:g}" for a, b in pairs[:MOST]) + (f", and {len(pairs) - MOST} more" if len(pairs) > MOST else "")
        found.append(f"Intervals (detected, not quantifiable): {many(between.sum())}, counted as P(lower < y < limit); {spans}.")
    return found


def above(rows: Any) -> list[str]:
    """A sentence on rows above a limit."""
    right = rows.cens == -1
    return [f"Right-censored: {many(right.sum())}, counted as P(y > limit); limits {listed(rows.dv[right])}."] if right.any() else []


def given_limits(rows: Any) -> list[str]:
    """A sentence on the limits of quantification that the data state, censored or not; none where they state none."""
    known = rows.columns.get("lloq", np.array([]))
    known = known[np.isfinite(known)]
    return [f"LLOQ given in the data: {listed(known)}."] if len(known) else []


def frequencies(rows: Any, word: str) -> list[str]:
    """A sentence with the frequency table of an endpoint in whole numbers."""
    return [f"{word}: {listed(rows.dv)}."]
