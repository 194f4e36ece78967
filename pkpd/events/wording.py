"""Doses in words, on one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pkpd.events.administration import Administration
from pkpd.events.body import split_size

SHOWN = 6


def describe(doses: Iterable[Administration]) -> str:
    """Doses in words, those that differ in time only taken together.

    >>> describe([Administration(100.0, "mg", 24.0 * k, target="depot") for k in range(3)])
    '100 mg into depot at 0, 24, 48 h'
    """
    times: dict[Administration, list[float]] = {}
    for d in doses:
        times.setdefault(replace(d, time=0.0), []).append(d.time)
    lines = [_line(d, at) for d, at in times.items()]
    more = [f"... ({sum(map(len, times.values()))} doses in all)"] if len(lines) > SHOWN else []
    return "; ".join([*lines[:SHOWN], *more]) or "no doses"


def amount_in_words(d: Administration) -> str:
    """How much, in which shape.

    >>> amount_in_words(Administration(5.0, "mg/kg", duration=1.0, shape="duration"))
    '5 mg/kg over 1 h'
    """
    if d.constant:
        return f"constant {_much(d.rate, d.rate_unit)}/h"
    shapes = {
        "bolus": "",
        "duration": f" over {d.duration:g} h",
        "rate": f" by {_much(d.rate, d.rate_unit)}/h",
        "modelled_duration": " over a modelled duration",
        "modelled_rate": " by a modelled rate",
    }
    return _much(d.amount, d.unit) + shapes[d.shape]


def _much(number: float, unit: str) -> str:
    if unit == "1":
        return f"{number:g}"
    return f"{number:g} x {unit}" if unit[:1].isdigit() else f"{number:g} {unit}"


def _line(d: Administration, at: list[float]) -> str:
    shown = [f"{t:g}" for t in at] if len(at) <= SHOWN else [*(f"{t:g}" for t in at[:3]), "...", f"{at[-1]:g}"]
    remarks = ", ".join(([f"{len(at)} doses"] if len(at) > SHOWN else []) + _remarks(d))
    where = f" into {d.target}" if d.target else ""
    return f"{amount_in_words(d)}{where} at {', '.join(shown)} h{f' ({remarks})' if remarks else ''}"


def _remarks(d: Administration) -> list[str]:
    steady = {0: "", 1: "at steady state", 2: "added at steady state"}[d.steady_state] + (f" every {d.interval:g} h" if d.interval else "")
    said = [
        f"at most {_much(d.at_most, split_size(d.unit)[0])}" if d.at_most is not None else "",
        f"lag {d.lag:g} h" if d.lag is not None else "",
        f"bioavailability {d.bioavailability:g}" if d.bioavailability is not None else "",
        steady,
    ]
    return [s for s in said if s]
