"""What is measured: a name, a unit, and how it follows from states, parameters and signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pkpd.components.words import check_name, check_takes, check_unit


@dataclass(frozen=True)
class Observable:
    """A measured quantity: `value(y, p, s)` gives its prediction in `unit` from all states, parameters and signals of the model.

    >>> from pkpd import Observable
    >>> Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration").unit
    'mg/L'
    """

    name: str
    unit: str
    value: Callable[[Any, Any, Any], Any]
    meaning: str

    def __post_init__(self) -> None:
        check_name(self.name, "An observable")
        check_unit(self.unit, f"Observable '{self.name}'")
        check_takes(self.value, ("y", "p", "s"), f"Observable '{self.name}': value")
