"""Samples below the limit of quantification in a non-compartmental analysis: a rule each for those before, between and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.errors import FitError, choices

RULES = ("zero", "half", "limit", "missing")


@dataclass(frozen=True)
class BlqRules:
    """What a sample below the limit counts as: "zero", "half" the limit, the "limit", or "missing", by where it stands among the quantifiable ones."""

    before: str
    between: str
    after: str

    def __post_init__(self) -> None:
        for place in ("before", "between", "after"):
            if getattr(self, place) not in RULES:
                raise FitError(f"blq_{place}={getattr(self, place)!r} is no rule. {choices(str(getattr(self, place)), RULES)}")


def substituted(values: Any, below: Any, rules: BlqRules) -> Any:
    """Values [n] in time order, those `below` (which hold their limit) replaced by the rules; missing ones are NaN.

    >>> substituted(np.array([1.0, 5.0, 1.0, 3.0, 1.0]), np.array([1, 0, 1, 0, 1], bool), BlqRules("zero", "missing", "half"))
    array([0. , 5. , nan, 3. , 0.5])
    """
    place = np.arange(len(values))
    seen = place[~below]
    first, last = (seen[0], seen[-1]) if len(seen) else (len(values), len(values))
    found = values.astype(float)
    for rule, here in ((rules.before, place < first), (rules.between, (place > first) & (place < last)), (rules.after, place > last)):
        share = {"zero": 0.0, "half": 0.5, "limit": 1.0, "missing": np.nan}[rule]
        found = np.where(below & here, share * values, found)
    return found
