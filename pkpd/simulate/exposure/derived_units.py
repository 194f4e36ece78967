"""The units of what is computed from a profile in some unit and a dose in another."""

from __future__ import annotations

from pkpd.errors import UnitError
from pkpd.units import factor, parse


def area(unit: str) -> str:
    """Unit x hour.

    >>> area("mg/L"), area("1")
    ('mg/L*h', 'h')
    """
    return "h" if _plain(unit) else f"{unit}*h"


def moment(unit: str) -> str:
    """Unit x hour squared."""
    return "h**2" if _plain(unit) else f"{unit}*h**2"


def volume(dose: str, unit: str) -> tuple[float, str]:
    """The number that turns dose / value into the unit beside it: litres where it is a volume.

    >>> volume("mg", "ng/mL")
    (1000.0, 'L')
    """
    made = f"({dose})/({unit})" if not _plain(unit) else dose
    try:
        return factor(made, "L"), "L"
    except UnitError:
        return 1.0, made


def over_hour(unit: str) -> str:
    """Unit a hour, in few signs.

    >>> over_hour("L")
    'L/h'
    """
    return f"{unit}/h"


def _plain(unit: str) -> bool:
    return unit.strip() in ("", "1", "-", "dimensionless", "ratio") or parse(unit).same(parse("1"))
