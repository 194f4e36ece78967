"""Names that other programs give to the standard columns, and the columns that carry a property of a dose.

An alias counts only when no column has the standard name. Of an alias group the first tuple that is there counts; two names of one tuple in
one file are ambiguous. Only names whose meaning is documented stand here: Monolix's column types (old and new names), CDISC's ADPPK and ADPC
variables (AFRLT is the actual, NFRLT the nominal time after the first dose), and the lag and bioavailability columns seen in NONMEM files.
"""

from __future__ import annotations

import re

Groups = tuple[tuple[str, ...], ...]

ALIASES: dict[str, Groups] = {
    "ID": (("SUBJECT ID", "SUBJECT IDENTIFIER", "USUBJID"),),
    "TIME": (("TIME_H", "AFRLT"), ("NFRLT",)),
    "AMT": (("AMOUNT", "AMT_E9"),),
    "DV": (("Y", "OBSERVATION", "AVAL"),),
    "DVID": (("YTYPE", "OBSERVATION ID"), ("PARAMCD",)),
    "CMT": (("ADM", "ADMINISTRATION ID"),),
    "RATE": (("INFUSION RATE",),),
    "DUR": (("TINF", "INFUSION DURATION"),),
    "ADDL": (("ADDITIONAL DOSES",),),
    "II": (("INTERDOSE INTERVAL",),),
    "SS": (("STEADY STATE",),),
    "EVID": (("EVENT ID",),),
    "MDV": (("IGNORED OBSERVATION",),),
    "CENS": (("CENSORING",),),
    "LLOQ": (("ALLOQ",),),
    "LAG": (("ALAG", "LAGT", "TLAG", "LAGTIME"),),
    "F": (("BIOAV", "BIO"),),
    "OCC": (("OCCASION",),),
}
HEADER_UNITS = {"TIME_H": "h", "AMT_E9": "1e9 cells"}
"""Names that carry their unit."""
ROUTE_NUMBERS = ("ADM", "ADMINISTRATION ID")
"""Their numbers count dose routes, not compartments."""
UNIT_COLUMNS = {"AVALU": "DV"}
"""Columns whose cells are units: CDISC's unit of AVAL."""
DATES = ("DATE", "DAT1", "DAT2", "DAT3")
ITEMS = {"ALAG": "LAG", "F": "F", "D": "D", "R": "R"}
"""Numbered columns, as in ALAG2, and the column that says the same of every dose."""
_NUMBERED = re.compile(r"(ALAG|LAG|F|D|R)([1-9]\d?)")


def plain(name: str) -> str:
    """A column's name for comparing: capitals, with blanks for underscores in names of two words."""
    upper = name.upper()
    return upper if upper in HEADER_UNITS else upper.replace("_", " ")


def numbered(name: str) -> str | None:
    """The standard name of a numbered column ('LAG2' is 'ALAG2'), or None for any other.

    >>> numbered("lag2"), numbered("F1"), numbered("WT2")
    ('ALAG2', 'F1', None)
    """
    found = _NUMBERED.fullmatch(name.upper())
    return f"{'ALAG' if found[1] == 'LAG' else found[1]}{found[2]}" if found else None


def split_number(name: str) -> tuple[str, int]:
    """The item and the compartment of a numbered column's standard name.

    >>> split_number("ALAG2")
    ('LAG', 2)
    """
    letters = name.rstrip("0123456789")
    return ITEMS[letters], int(name[len(letters) :])
