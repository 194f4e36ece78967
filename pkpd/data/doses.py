"""Dose rows in the model's units: how much, in which shape, how fast or how long, at steady state or not, with what lag and bioavailability."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pkpd.data.codes import defect
from pkpd.data.dose_items import dose_items
from pkpd.data.numeric import LARGEST
from pkpd.data.scales import SHARES, Declared, clock, conversion, per_hour
from pkpd.data.table import Table, found
from pkpd.errors import Defect
from pkpd.units import parse

Factor = tuple[float, list[Defect]]
MODELLED = {-1: "rate", -2: "duration"}


def convert_doses(
    table: Table, declared: Declared, target: np.ndarray, times: dict[str, float]
) -> tuple[dict[str, np.ndarray], list[Defect]]:
    """AMT, SHAPE, DUR, RATE, SS, ADDL, II, LAG and F of every row (0, "" or NaN where there is none), and what does not fit."""
    distinct = [t for t in pd.unique(target) if t] if table.vocabulary else []
    amounts, wrong = per_name(target, distinct, {t: _amount(table, declared, t) for t in distinct}, table)
    share, wrong_shares = _share(table, declared, target)
    rates, wrong_rates = _rates(table, declared, target, times["TIME"], "RATE")
    items, wrong_items = dose_items(table, target, _scales(table, declared, target, times))
    amount = np.where(table.gives, np.nan_to_num(table["AMT"]) * amounts, 0.0)
    rate = np.where(table.gives, np.nan_to_num(table["RATE"]), 0.0) * rates
    lasts = np.where(table.gives, np.nan_to_num(table["DUR"]), 0.0) * times["DUR"]
    wrong_ends = _check_ends(table, amount, rate, lasts)
    shape, duration, speed = _shapes(table, rate, lasts, items)
    again = _repeated(table, times["II"])
    late = found(
        "PK107",
        table,
        (again["SS"] > 0) & (again["II"] > 0) & (items["LAG"] > again["II"] * (1 + 1e-9)),
        "SS",
        value=items["LAG"],
        other=again["II"],
    )
    rows = {"AMT": amount * share, "SHAPE": shape, "DUR": duration, "RATE": speed * share, **again, "LAG": items["LAG"], "F": items["F"]}
    rows["STATED"] = np.isin(np.where(table.gives, table["RATE"], 0.0), (-1, -2)) & np.isin(shape, ("duration", "rate"))
    return rows, list(dict.fromkeys(wrong)) + wrong_rates + wrong_items + wrong_ends + wrong_shares + list(late)


def per_name(names: np.ndarray, distinct: Iterable[str], make: dict[str, Factor], table: Table) -> tuple[np.ndarray, list[Defect]]:
    """A factor for each row by its name; 1 everywhere where no model says what is wanted."""
    if table.vocabulary is None:
        return np.broadcast_to(1.0, len(names)), []
    scale = np.full(len(names), np.nan)
    for name in distinct:
        scale[names == name] = make[name][0]
    return scale, [d for name in distinct for d in make[name][1]]


def _amount(table: Table, declared: Declared, target: str) -> Factor:
    wanted, given = table.words.dose_unit(target), declared.amount(target)
    if wanted is None:
        return np.nan, [defect("PK057", column="CMT", name=target)]
    if given is None:
        return np.nan, [defect("PK021", column="AMT", unit=wanted)] if "AMT" in table.present else []
    return conversion("AMT", given, wanted)


def _rates(table: Table, declared: Declared, target: np.ndarray, hours: float, name: str) -> tuple[np.ndarray, list[Defect]]:
    """The factors of a column of rates, which are in AMT's unit by TIME's unit unless declared."""
    if table.vocabulary is None:
        return np.broadcast_to(1 / hours, len(table)), []
    distinct = [t for t in pd.unique(target) if t]
    return per_name(target, distinct, {t: _rate(table, declared, t, hours, name) for t in distinct}, table)


def _rate(table: Table, declared: Declared, target: str, hours: float, name: str) -> Factor:
    wanted, own = table.words.dose_unit(target), declared.flat.get(name)
    if own is not None and wanted is not None:
        return conversion(name, own, per_hour(wanted))
    return _amount(table, declared, target)[0] / hours, []


def _scales(table: Table, declared: Declared, target: np.ndarray, times: dict[str, float]):
    """How the columns of dose items become hours, shares and amounts per hour."""

    def scale(item: str, name: str) -> tuple[np.ndarray | float, list[Defect]]:
        if item == "F":
            return conversion(name, declared.flat.get(name, "1"), "1")
        if item == "R":
            return _rates(table, declared, target, times["TIME"], name)
        return clock(declared, name, declared.flat[name]) if name in declared.flat else (times["TIME"], [])

    return scale


def _check_ends(table: Table, amount: np.ndarray, rate: np.ndarray, lasts: np.ndarray) -> list[Defect]:
    """An infusion ends, and where RATE and DUR are both given they agree within 0.1 % (a printed rate is rounded)."""
    by_rate = np.divide(amount, rate, out=np.zeros(len(table)), where=rate > 0)
    endless = ~np.isnan(by_rate) & ~(np.abs(by_rate) <= LARGEST)
    both = (rate > 0) & (lasts > 0) & ~endless & ~np.isclose(by_rate, lasts, rtol=1e-3, atol=0)
    wrong = list(found("PK059", table, endless, "RATE", amount=table["AMT"], value=table["RATE"]))
    return wrong + list(found("PK051", table, both & ~np.isnan(by_rate), "DUR", value=by_rate, other=lasts))


def _shapes(table: Table, rate: np.ndarray, lasts: np.ndarray, items: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shape, duration (NaN unless it is what is given) and rate (likewise); a column D or R answers RATE -2 or -1 at once."""
    code = np.where(table.gives, table["RATE"], 0.0)
    duration = np.where(lasts > 0, lasts, np.where(code == -2, items["D"], np.nan))
    speed = np.where(lasts > 0, np.nan, np.where(rate > 0, rate, np.where(code == -1, items["R"], np.nan)))
    cases = [~table.gives, ~np.isnan(duration), ~np.isnan(speed), code == -2, code == -1]
    names = ["", "duration", "rate", "modelled_duration", "modelled_rate"]
    return np.select(cases, [np.array(name, dtype=object) for name in names], np.array("bolus", dtype=object)), duration, speed


def _repeated(table: Table, hours: float) -> dict[str, np.ndarray]:
    """SS, ADDL and II of dose rows; II counts with one of the others only."""
    steady, more = (np.where(table.gives, whole(table[name]), 0) for name in ("SS", "ADDL"))
    interval = np.where((steady > 0) | (more > 0), np.nan_to_num(table["II"]), 0.0) * hours
    return {"SS": steady, "ADDL": more, "II": interval}


def whole(values: np.ndarray) -> np.ndarray:
    """Whole numbers; what is none is a defect already and must only not stop the search for others."""
    return np.clip(np.nan_to_num(values), -1e9, 1e9).astype(int)


def _share(table: Table, declared: Declared, target: np.ndarray) -> tuple[np.ndarray, list[Defect]]:
    """Of a dose of cells only the viable, CAR-positive ones count: AMT x VIAB x CAR_FRAC."""
    share, wrong = np.ones(len(table)), []
    cells = np.isin(target, [t for t in pd.unique(target) if t and counts_cells(table, t)])
    for name in SHARES:
        if name in table.present and cells.any():
            scale, unfit = conversion(name, declared.flat.get(name, "1"), "1")
            part = table[name] * scale
            outside = cells & ~((part > 0) & (part <= 1)) & ~table.bad.get(name, np.zeros(len(table), bool))
            wrong += unfit or found("PK058", table, outside, name, name=name, value=table[name])
            share = np.where(cells, share * part, share)
    return share, wrong


def counts_cells(table: Table, target: str) -> bool:
    """Whether the model counts a dose into `target` in cells."""
    unit = table.words.dose_unit(target)
    return unit is not None and parse(unit).same_dimension(parse("cells"))
