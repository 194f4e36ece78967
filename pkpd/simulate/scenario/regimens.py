"""The arms of a scenario: the regimen algebra as tables."""

from __future__ import annotations

from typing import Any

from pkpd.errors import DoseError
from pkpd.events import Regimen, bolus, cells, day, infusion, sum_of
from pkpd.model import Model
from pkpd.simulate.scenario.keys import Table

DOSE_KEYS = (
    "amount", "viability", "car_fraction", "into", "over", "rate", "at", "day", "every", "times", "lag", "bioavailability", "at_most", "steady_state"
)  # fmt: skip
NUMBER, TEXT = "a number", "text"


def arm(table: Table, model: Model | None, extra: tuple[str, ...] = ("overrides",)) -> tuple[str, Regimen, dict[str, Any]]:
    """The name, regimen and overrides of one arm; doses that cannot be read are told and left out. `extra` are keys beside those of a regimen."""
    table.known("name", "doses", "scaled", *extra)
    name = table.get("name", str, 'text, as in name = "once a day"', None, required=True)
    parts = [dose(d, model) for d in table.tables("doses")]
    regimen = sum_of([p for p in parts if p is not None])
    factor = table.get("scaled", (int, float), "a number above 0, by which every dose is multiplied")
    if factor is not None:
        regimen = table.mistakes.attempt(table.place, lambda: regimen.scaled(factor), regimen)
    return name or table.place, regimen, dict(table.get("overrides", dict, "a table of parameters", {}) or {})


def dose(table: Table, model: Model | None) -> Regimen | None:
    """One dose, or the same dose at several times; its mistakes are collected."""
    table.known(*DOSE_KEYS)
    amount = table.quantity("amount", "320 mg", required=True)
    if amount is None:
        return None
    made = table.mistakes.attempt(table.place, lambda: _shaped(table, _amount(table, amount)))
    if made is None:
        return None
    made = table.mistakes.attempt(table.place, lambda: _changed(table, made))
    if made is None:
        return None
    made = table.mistakes.attempt(table.place, lambda: _placed(table, made))
    if made is not None and model is not None:
        table.mistakes.attempt(table.place, lambda: made.for_model(model))
    return made


def _amount(table: Table, amount: tuple[float, str]) -> tuple[float, str]:
    shares = {n: table.get(n, (int, float), "a fraction above 0 and at most at 1") for n in ("viability", "car_fraction")}
    given = {n: v for n, v in shares.items() if v is not None}
    if not given:
        return amount
    if amount[1] != "cells":
        raise DoseError(
            f"{next(iter(given))} belongs to an amount of cells, as in amount = \"5e9 cells\", and this one is in '{amount[1]}'."
        )
    return cells(amount[0], **given)


def _shaped(table: Table, amount: tuple[float, str]) -> Regimen:
    into = table.get("into", str, "the name of a dose route or state of the model")
    over = _speed(table, "over", "30 min")
    rate = _speed(table, "rate", "50 mg/h")
    return bolus(amount, into) if over is None and rate is None else infusion(amount, into, over, rate)


def _speed(table: Table, key: str, example: str) -> Any:
    return "modelled" if table.values.get(key) == "modelled" else table.quantity(key, example)


def _changed(table: Table, made: Regimen) -> Regimen:
    lag, most, steady = table.quantity("lag", "30 min"), table.quantity("at_most", "500 mg"), table.quantity("steady_state", "24 h")
    share = table.get("bioavailability", (int, float), "a number above 0")
    made = made if lag is None else made.lagged(lag)
    made = made if share is None else made.bioavailable(share)
    made = made if most is None else made.at_most(most)
    every, times = table.quantity("every", "12 h"), table.get("times", int, "a whole number of doses")
    if (every is None) != (times is None):
        raise DoseError('every and times stand together, as in every = "12 h", times = 10.')
    made = made if every is None else made.every(every, times)
    return made if steady is None else made.steady_state(steady)


def _placed(table: Table, made: Regimen) -> Regimen:
    """At the times given: `at` ("48 h") or `day` (3, which begins at 48 h), one or several; at 0 h where nothing is said."""
    at = table.get("at", (str, list), 'a time as "48 h", or a list of them')
    days = table.get("day", (int, float, list), "a day of the trial from 1 on, or a list of them")
    if at is not None and days is not None:
        raise DoseError("A dose has 'at' or 'day', not both.")
    if at is not None:
        pairs = [table.pair("at", x, "48 h") for x in (at if isinstance(at, list) else [at])]
        return sum_of(made.at(x) for x in pairs if x is not None)
    if days is not None:
        return sum_of(made.at(day(d)) for d in (days if isinstance(days, list) else [days]))
    return made
