"""How mass moves: `flow` from one state to another, `gain` and `loss` for what truly appears or disappears, `total` to add them up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pkpd.errors import ModelError


@dataclass(frozen=True)
class Flow:
    """One term of the rates: `rate` (state unit per hour) leaves `source` and enters `target`; either may be None."""

    source: str | None
    target: str | None
    rate: Any


def flow(source: str, target: str, rate: Any) -> Flow:
    """Mass moving from one state to another at `rate` (unit of the states per hour): nothing is lost on the way.

    >>> flow("lung", "blood", 0.25 * 4.0).rate
    1.0
    """
    if source == target:
        raise ModelError(f"A flow from '{source}' to itself changes nothing; name two different states.")
    return Flow(source, target, rate)


def gain(target: str, rate: Any) -> Flow:
    """What appears in a state (production, zero-order input) at `rate`.

    >>> gain("il6", 2.0).target
    'il6'
    """
    return Flow(None, target, rate)


def loss(source: str, rate: Any) -> Flow:
    """What disappears from a state (death, elimination) at `rate`; give it positive.

    >>> loss("blood", 2.0).source
    'blood'
    """
    return Flow(source, None, rate)


def total(*flows: Flow | Iterable[Any]) -> tuple[Flow, ...]:
    """All terms of a component's rates; nested sequences are allowed.

    >>> len(total(loss("a", 1.0), [gain("a", 2.0)]))
    2
    """
    found: list[Flow] = []
    for item in flows:
        if isinstance(item, Flow):
            found.append(item)
        elif isinstance(item, Iterable) and not isinstance(item, str):
            found.extend(total(*item))
        else:
            raise ModelError(f"total() takes flow(...), gain(...) and loss(...), not {item!r}.")
    return tuple(found)
