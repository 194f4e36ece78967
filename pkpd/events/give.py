"""The words a regimen begins with: one dose each, and the sum of several regimens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pkpd.errors import DoseError
from pkpd.events.administration import Administration
from pkpd.events.amounts import read_amount, read_rate
from pkpd.events.regimen import Regimen, together


def bolus(amount: Any, into: Any = None) -> Regimen:
    """One dose given at once, at 0 h: `amount` is a pair like `(100, "mg")` or `cells(5e9)`; `into` names a dose route or state.

    A unit by body size, `(5, "mg/kg")` or `(75, "mg/m^2")`, becomes an amount when records are made for subjects. Raises `UnitError` for an
    amount without a unit, `DoseError` for one that is not above zero.

    >>> bolus((100, "mg"), into="depot") + bolus((50, "mg"), into="depot").at((12, "h"))
    Regimen(100 mg into depot at 0 h; 50 mg into depot at 12 h)
    """
    number, unit = read_amount(amount)
    return Regimen((Administration(number, unit, target=_target(into)),))


def infusion(amount: Any, into: Any = None, over: Any = None, rate: Any = None) -> Regimen:
    """One dose given at a constant rate from 0 h on; otherwise as `bolus`. Its duration and its rate are two different things.

    `over` is its duration (0.5 h if nothing is said): bioavailability F scales the rate. `rate`, a pair like `(50, "mg/h")`: F scales the
    duration, as NONMEM does for RATE > 0. `over="modelled"` and `rate="modelled"` leave it to the model (RATE = -2 and -1).
    Raises `DoseError` when both are given.

    >>> from pkpd.events import cells, day
    >>> infusion(cells(5e9), over=(30, "min")).at(day(3))
    Regimen(5 x 1e9 cells over 0.5 h at 48 h)
    >>> infusion((100, "mg"), rate=(50, "mg/h"))
    Regimen(100 mg by 50 mg/h at 0 h)
    """
    if over is not None and rate is not None:
        raise DoseError(
            f"infusion(..., over={over!r}, rate={rate!r}): an infusion is given by its duration or by its rate, for bioavailability "
            "scales the other of the two. Leave one out."
        )
    once = bolus(amount, into)
    return once.at_rate(rate) if rate is not None else once.over((0.5, "h") if over is None else over)


def constant_infusion(rate: Any, into: Any = None) -> Regimen:
    """The steady state of an infusion that has always run at `rate`, a pair like `(50, "mg/h")`: the state at 0 h (AMT 0, SS 1, II 0).

    The infusion itself ends there; what is given from then on is added.

    >>> constant_infusion((50, "mg/h")) + infusion((1200, "mg"), rate=(50, "mg/h"))
    Regimen(constant 50 mg/h at 0 h (at steady state); 1200 mg by 50 mg/h at 0 h)
    """
    number, unit = read_rate(rate)
    return Regimen((Administration(0.0, unit, target=_target(into), shape="rate", rate=number, rate_unit=unit, steady_state=1),))


def oral(amount: Any, into: Any = None) -> Regimen:
    """One dose swallowed at 0 h, into the route `oral` unless `into` names another; otherwise as `bolus`.

    >>> oral((320, "mg")).every((8, "h"), times=3)
    Regimen(320 mg into oral at 0, 8, 16 h)
    """
    return bolus(amount, into or "oral")


def sum_of(regimens: Iterable[Any]) -> Regimen:
    """Several regimens given together; of none, an arm without doses.

    >>> from pkpd.events import cells, day
    >>> sum_of(bolus(cells(n)).at(day(d)) for n, d in ((0.5e9, 1), (1.5e9, 3)))
    Regimen(0.5 x 1e9 cells at 0 h; 1.5 x 1e9 cells at 48 h)
    """
    parts = tuple(regimens)
    wrong = [r for r in parts if not isinstance(r, Regimen)]
    if wrong:
        raise DoseError(f"sum_of(...) takes regimens made by bolus, infusion or oral; got {wrong[0]!r}.")
    return together(parts)


def _target(into: Any) -> str | None:
    if not (into is None or isinstance(into, str)):
        raise DoseError(f"into={into!r}: name a dose route or state of the model, as in into='depot'.")
    return into
