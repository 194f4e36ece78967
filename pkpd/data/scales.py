"""Units: what the user declares, what the header says, what the model wants, and the factors between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pkpd.data.codes import defect
from pkpd.data.columns import NUMERIC
from pkpd.data.vocabulary import Vocabulary
from pkpd.errors import Defect, UnitError, choices
from pkpd.units import CLOCK, factor, parse

SHARES = ("VIAB", "CAR_FRAC")


@dataclass(frozen=True)
class Declared:
    """Units as declared: `flat` by column, `by_target` for AMT, `by_observable` for DV."""

    flat: dict[str, str]
    by_target: dict[str, str]
    by_observable: dict[str, str]

    def amount(self, target: str) -> str | None:
        return self.by_target.get(target, self.flat.get("AMT"))

    def measured(self, observable: str) -> str | None:
        return self.by_observable.get(observable, self.flat.get("DV"))


def declared_units(
    header: dict[str, str], given: Mapping[str, Any], vocabulary: Vocabulary | None, others: tuple[str, ...]
) -> tuple[Declared, list[Defect]]:
    """Put the units of the header and of `units=` together; `others` are the further columns of the file."""
    flat, by_target, by_observable, defects = dict(header), {}, {}, []
    known = {name.upper(): name for name in (*others, *NUMERIC)}
    observables = vocabulary.observable_names if vocabulary else ()
    nested = {"AMT": (by_target, vocabulary.targets if vocabulary else None), "DV": (by_observable, observables if vocabulary else None)}
    for key, unit in given.items():
        name = known.get(str(key).upper())
        if isinstance(unit, Mapping) and name in nested:
            place, names = nested[name]
            defects += _unknown(unit, names)
            place.update({str(k): v for k, v in unit.items()})
        elif key in observables:
            by_observable[key] = unit
        elif name:
            defects += _conflict(name, header.get(name), unit)
            flat[name] = unit
        else:
            defects.append(defect("PK026", value=key, choices=choices(str(key), [*known.values(), *observables])))
    places = (flat, by_target, by_observable)
    defects += [d for place in places for name, unit in place.items() for d in _unreadable(name, unit)]
    return Declared(*({k: u if isinstance(u, str) else repr(u) for k, u in place.items()} for place in places)), defects


def _unknown(units: Mapping[str, Any], names: tuple[str, ...] | None) -> Iterator[Defect]:
    for name in units:
        if names is not None and name not in names:
            yield defect("PK026", value=name, choices=choices(str(name), names))


def _conflict(name: str, header: str | None, given: Any) -> Iterator[Defect]:
    if header is None or header == given:
        return
    try:
        same = parse(header).same(parse(str(given)))
    except UnitError:
        return
    if not same:
        yield defect("PK025", column=name, name=name, value=header, other=given)


def _unreadable(name: str, unit: Any) -> Iterator[Defect]:
    try:
        parse(unit if isinstance(unit, str) else repr(unit))
    except UnitError as error:
        yield defect("PK023", column=name, name=name, reason=error)


def conversion(name: str, given: str, wanted: str) -> tuple[float, list[Defect]]:
    """The factor from one unit to another, or NaN and the defect that says why there is none."""
    try:
        return factor(given, wanted, name), []
    except UnitError as error:
        return float("nan"), [] if list(_unreadable(name, given)) else [defect("PK024", column=name, name=name, reason=error, unit=wanted)]


def clock(declared: Declared, name: str, time_unit: str) -> tuple[float, list[Defect]]:
    """The factor that turns a time column into hours; II and DUR are in TIME's unit unless declared."""
    return conversion(name, declared.flat.get(name, time_unit), CLOCK)


def per_hour(unit: str) -> str:
    """The unit of a rate that fills `unit` by the hour."""
    return f"({unit or 1})/{CLOCK}"
