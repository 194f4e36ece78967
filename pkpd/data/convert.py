"""From the file's units to the model's: hours, the unit of each dose route, the unit of each observable."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.data.codes import defect
from pkpd.data.doses import Factor, convert_doses, per_name, whole
from pkpd.data.names import observables, targets
from pkpd.data.scales import Declared, clock, conversion
from pkpd.data.table import Table
from pkpd.errors import Defect
from pkpd.units import CLOCK

TOLD = {"clock": "times of day", "date": "times of day", "iso": "dates with times"}


def convert(table: Table, declared: Declared) -> tuple[pd.DataFrame, list[Defect]]:
    """The validated rows in the model's units, and every unit that does not fit.

    Runs on tables with defects too, so that units are checked at once with the rest; the numbers of those go nowhere.
    """
    with np.errstate(all="ignore"):
        return _convert(table, declared)


def _convert(table: Table, declared: Declared) -> tuple[pd.DataFrame, list[Defect]]:
    times, defects = _times(table, declared)
    target, what = targets(table), observables(table)
    doses, wrong_doses = convert_doses(table, declared, target, times)
    measures, wrong_measures = _measures(table, declared, what)
    named = {"row": table["ROW"], "subject": table["SUBJECT"], "TIME": table["TIME"] * times["TIME"], "CMT": target, "DVID": what}
    flags = {name: whole(table[name]) for name in ("EVID", "MDV", "CENS")}
    return pd.DataFrame({**named, **flags, **doses, **measures}, copy=False), defects + wrong_doses + wrong_measures


def _times(table: Table, declared: Declared) -> tuple[dict[str, float], list[Defect]]:
    """The factors that make hours of TIME, II and DUR; a clock has been counted in hours already."""
    unit, wrong = declared.flat.get("TIME"), []
    if table.clock:
        scale, unfit = conversion("TIME", unit or CLOCK, CLOCK)
        wrong = [defect("PK103", column="TIME", value=unit, kind=TOLD[table.clock])] if unfit or abs(scale - 1.0) > 0 else []
        unit = CLOCK
    elif unit is None and table.vocabulary is not None and "TIME" in table.present:
        return dict.fromkeys(("TIME", "II", "DUR"), np.nan), [defect("PK020", column="TIME")]
    made = {"TIME": conversion("TIME", unit or CLOCK, CLOCK)} | {name: clock(declared, name, unit or CLOCK) for name in ("II", "DUR")}
    wrong += made["TIME"][1] or [d for name in ("II", "DUR") for d in made[name][1]]
    return {name: scale for name, (scale, _) in made.items()}, wrong


def _measures(table: Table, declared: Declared, what: np.ndarray) -> tuple[dict[str, np.ndarray], list[Defect]]:
    seen = table.evid(0) & ~np.isnan(table["DV"])
    distinct = [w for w in pd.unique(what[seen]) if w] if table.vocabulary else []
    scale, wrong = per_name(what, distinct, {w: _measure(table, declared, w) for w in distinct}, table)
    sees = table.evid(0)
    return {name: np.where(sees, table[name] * scale, np.nan) for name in ("DV", "LIMIT", "LLOQ", "ULOQ")}, wrong


def _measure(table: Table, declared: Declared, name: str) -> Factor:
    wanted, given = table.words.observable_unit(name) or "", declared.measured(name)
    if given is None:
        return np.nan, [defect("PK022", column="DV", name=name, unit=wanted)]
    return conversion(f"DV of {name}", given, wanted)
