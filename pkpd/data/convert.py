"""From the file's units to the model's: hours, the unit of each dose route, the unit of each observable."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pkpd.data.codes import defect
from pkpd.data.names import observables, targets
from pkpd.data.numeric import LARGEST
from pkpd.data.scales import SHARES, Declared, clock, conversion, per_hour
from pkpd.data.table import Table, found
from pkpd.errors import Defect
from pkpd.units import CLOCK, parse

Factor = tuple[float, list[Defect]]


def convert(table: Table, declared: Declared) -> tuple[pd.DataFrame, list[Defect]]:
    """The validated rows in the model's units, and every unit that does not fit.

    Runs on tables with defects too, so that units are checked at once with the rest; the numbers of those go nowhere.
    """
    with np.errstate(all="ignore"):
        return _convert(table, declared)


def _convert(table: Table, declared: Declared) -> tuple[pd.DataFrame, list[Defect]]:
    times, defects = _times(table, declared)
    target, what = targets(table), observables(table)
    doses, wrong_doses = _doses(table, declared, target, times)
    measures, wrong_measures = _measures(table, declared, what)
    named = {"row": table["ROW"], "subject": table["SUBJECT"], "TIME": table["TIME"] * times["TIME"], "CMT": target, "DVID": what}
    whole = {name: _whole(table[name]) for name in ("EVID", "MDV", "CENS")}
    more = np.where(table.gives, _whole(table["ADDL"]), 0)
    interval = np.where(table.gives, np.nan_to_num(table["II"]), 0) * times["II"]
    frame = pd.DataFrame({**named, **whole, **doses, "ADDL": more, "II": interval, **measures})
    return frame, defects + wrong_doses + wrong_measures


def _whole(values: np.ndarray) -> np.ndarray:
    """Whole numbers; what is none is a defect already and must only not stop the search for others."""
    return np.clip(np.nan_to_num(values), -1e9, 1e9).astype(int)


def _times(table: Table, declared: Declared) -> tuple[dict[str, float], list[Defect]]:
    unit = declared.flat.get("TIME")
    if unit is None and table.vocabulary is not None and "TIME" in table.present:
        return dict.fromkeys(("TIME", "II", "DUR"), np.nan), [defect("PK020", column="TIME")]
    made = {name: clock(declared, name, unit or CLOCK) for name in ("TIME", "II", "DUR")}
    wrong = made["TIME"][1] or [d for name in ("II", "DUR") for d in made[name][1]]
    return {name: scale for name, (scale, _) in made.items()}, wrong


def _per_name(names: np.ndarray, distinct: Iterable[str], make: dict[str, Factor]) -> tuple[np.ndarray, list[Defect]]:
    scale = np.full(len(names), np.nan)
    for name in distinct:
        scale[names == name] = make[name][0]
    return scale, [d for name in distinct for d in make[name][1]]


def _doses(table: Table, declared: Declared, target: np.ndarray, times: dict[str, float]) -> tuple[dict[str, np.ndarray], list[Defect]]:
    distinct = [t for t in pd.unique(target) if t] if table.vocabulary else []
    amounts, wrong = _per_name(target, distinct, {t: _amount(table, declared, t) for t in distinct})
    rates, wrong_rates = _per_name(target, distinct, {t: _rate(table, declared, t, times["TIME"]) for t in distinct})
    if table.vocabulary is None:
        amounts, rates = np.ones(len(table)), np.full(len(table), 1 / times["TIME"])
    gives = table.gives
    amount = np.where(gives, table["AMT"] * amounts, 0.0)
    rate = np.where(gives, np.nan_to_num(table["RATE"]), 0.0) * rates
    lasts = np.where(gives, np.nan_to_num(table["DUR"]), 0.0) * times["DUR"]
    duration, wrong_ends = _duration(table, amount, rate, lasts)
    share, wrong_shares = _share(table, declared, target)
    once = list(dict.fromkeys(wrong))
    return {"AMT": amount * share, "DUR": duration}, once + wrong_rates + wrong_ends + wrong_shares


def _amount(table: Table, declared: Declared, target: str) -> Factor:
    wanted, given = table.words.dose_unit(target), declared.amount(target)
    if wanted is None:
        return np.nan, [defect("PK057", column="CMT", name=target)]
    if given is None:
        return np.nan, [defect("PK021", column="AMT", unit=wanted)] if "AMT" in table.present else []
    return conversion("AMT", given, wanted)


def _rate(table: Table, declared: Declared, target: str, hours: float) -> Factor:
    """RATE is in AMT's unit by TIME's unit unless declared."""
    wanted, own = table.words.dose_unit(target), declared.flat.get("RATE")
    if own is not None and wanted is not None:
        return conversion("RATE", own, per_hour(wanted))
    return _amount(table, declared, target)[0] / hours, []


def _duration(table: Table, amount: np.ndarray, rate: np.ndarray, lasts: np.ndarray) -> tuple[np.ndarray, list[Defect]]:
    """AMT/RATE or DUR; where both are given they must agree within 0.1 % (a printed rate is rounded) and DUR counts."""
    by_rate = np.divide(amount, rate, out=np.zeros(len(table)), where=rate > 0)
    endless = ~np.isnan(by_rate) & ~(np.abs(by_rate) <= LARGEST)
    both = (rate > 0) & (lasts > 0) & ~endless & ~np.isclose(by_rate, lasts, rtol=1e-3, atol=0)
    wrong = list(found("PK059", table, endless, "RATE", amount=table["AMT"], value=table["RATE"]))
    wrong += found("PK051", table, both & ~np.isnan(by_rate), "DUR", value=by_rate, other=lasts)
    return np.where(lasts > 0, lasts, by_rate), wrong


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


def _measures(table: Table, declared: Declared, what: np.ndarray) -> tuple[dict[str, np.ndarray], list[Defect]]:
    seen = table.evid(0) & ~np.isnan(table["DV"])
    distinct = [w for w in pd.unique(what[seen]) if w] if table.vocabulary else []
    scale, wrong = _per_name(what, distinct, {w: _measure(table, declared, w) for w in distinct})
    scale = np.ones(len(table)) if table.vocabulary is None else scale
    sees = table.evid(0)
    return {name: np.where(sees, table[name] * scale, np.nan) for name in ("DV", "LIMIT", "LLOQ", "ULOQ")}, wrong


def _measure(table: Table, declared: Declared, name: str) -> Factor:
    wanted, given = table.words.observable_unit(name) or "", declared.measured(name)
    if given is None:
        return np.nan, [defect("PK022", column="DV", name=name, unit=wanted)]
    return conversion(f"DV of {name}", given, wanted)
