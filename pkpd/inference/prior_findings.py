"""What a prior-predictive check found: numbers by observable, sentences where something is odd, and a form to store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

COLUMNS = [
    "observable",
    "unit",
    "kind",
    "rows",
    "low",
    "high",
    "q5",
    "q50",
    "q95",
    "outside",
    "above",
    "below",
    "lasts5",
    "lasts50",
    "lasts95",
]
_UNITS = (("years", 8766.0), ("days", 24.0), ("h", 1.0), ("min", 1 / 60))


@dataclass(frozen=True, eq=False)
class PriorCheck:
    """What `draws` simulations from the prior say before anything is fitted; `warnings` are sentences, `verdict` says it in one.

    `table` has a line per observable: kind ("values", or "mean" where values are whole numbers: all numbers are then those of the mean of its rows),
    quantified `rows`, their range `low` to `high`, 5, 50 and 95 % of what the prior simulates, the share of measured values `outside` the 99 % interval of
    their row, the shares of what is simulated more than 100-fold `above` the largest and `below` the smallest measured value, and for how
    long (h; 5, 50 and 95 %) the effect of the last dose `lasts` in a typical subject. `failed` is the share of subjects' solves that failed, `span` how
    long the subject looked at is followed (h).
    """

    draws: int = 0
    failed: float = 0.0
    span: float = 0.0
    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    warnings: tuple[str, ...] = ()
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Nothing odd, what is odd, or why nothing was checked."""
        if self.reason:
            return f"Not checked: {self.reason}."
        if self.warnings:
            return " ".join(self.warnings)
        return f"Nothing odd in {self.draws} simulations from the prior."

    def __repr__(self) -> str:
        return f"PriorCheck({self.verdict})"

    def to_json(self) -> str:
        """As text, to be stored with a fit."""
        return json.dumps({**asdict(self), "table": self.table.to_dict("records")})

    @classmethod
    def from_json(cls, text: str) -> PriorCheck:
        """What `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        return cls(table=pd.DataFrame(told.pop("table"), columns=COLUMNS), warnings=tuple(told.pop("warnings")), **told)


def duration(hours: float) -> str:
    """A time in words, in the largest unit of which there are at least two.

    >>> duration(20000.0), duration(0.5), duration(30.0)
    ('2.3 years', '30 min', '30 h')
    """
    unit, size = next(((u, s) for u, s in _UNITS if hours >= 2 * s), _UNITS[-1])
    return f"{hours / size:.2g} {unit}" if hours < 100 * size else f"{hours / size:.0f} {unit}"
