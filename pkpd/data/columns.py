"""Which column of the file is which: standard names, aliases, the user's own names, and units written in the header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pkpd.data.aliases import ALIASES, DATES, HEADER_UNITS, UNIT_COLUMNS, numbered, plain
from pkpd.data.codes import defect
from pkpd.errors import Defect, choices, nearest

DOSE_ITEMS = ("LAG", "F", "D", "R")
NUMERIC = (
    "TIME",
    "EVID",
    "AMT",
    "RATE",
    "DUR",
    "ADDL",
    "II",
    "DV",
    "MDV",
    "CENS",
    "LIMIT",
    "SS",
    "LLOQ",
    "ULOQ",
    "VIAB",
    "CAR_FRAC",
    *DOSE_ITEMS,
)
NAMES = ("ID", "CMT", "DVID", "LABEL")
STANDARD = (*NUMERIC, *NAMES, *DATES)
_BRACKET = re.compile(r"(.*?)\s*\[(.*)\]\s*")


@dataclass(frozen=True)
class Columns:
    """Where each name stands (`at`: name -> position), the units the header gives (`units`: name -> unit), the numbered columns, and the
    aliases used (`taken`: name, and the file's own), and the file's own name of each (`own`).
    """

    at: dict[str, int]
    units: dict[str, str]
    unused: tuple[str, ...]
    defects: tuple[Defect, ...]
    numbered: tuple[str, ...] = ()
    taken: tuple[tuple[str, str], ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)


def match_columns(header: tuple[str, ...], renamed: Mapping[str, str], covariates: tuple[str, ...]) -> Columns:
    """Find every standard column and covariate in a header; names are read in any case."""
    bare, header_units = _bare(header)
    defects = [defect("PK012", value=i + 1) for i, name in enumerate(bare) if not name]
    wanted, mistakes = _renamed(bare, renamed, covariates)
    spots: dict[str, list[int]] = {}
    for i, name in enumerate(bare):
        for standard in _meanings(name, wanted, covariates):
            spots.setdefault(standard, []).append(i)
    taken = _aliases(spots, bare, covariates)
    defects += mistakes + list(_twice(spots, bare))
    at = {name: places[0] for name, places in spots.items()}
    used = set(at.values())
    unused = tuple(bare[i] for i in range(len(bare)) if i not in used and bare[i])
    items = tuple(name for name in at if numbered(name) == name and name not in covariates)
    return Columns(at, _units(at, bare, header_units), unused, tuple(defects), items, taken, {n: bare[i] for n, i in at.items()})


def _bare(header: tuple[str, ...]) -> tuple[list[str], list[str | None]]:
    """The header without the units in square brackets, and those units."""
    found = [_BRACKET.fullmatch(text.strip()) for text in header]
    return [m[1].strip() if m else t.strip() for m, t in zip(found, header, strict=True)], [m[2].strip() if m else None for m in found]


def _units(at: dict[str, int], bare: list[str], header_units: list[str | None]) -> dict[str, str]:
    units = {name: header_units[i] or HEADER_UNITS.get(bare[i].upper()) for name, i in at.items()}
    return {name: unit for name, unit in units.items() if unit}


def _renamed(bare: list[str], renamed: Mapping[str, str], covariates: tuple[str, ...]) -> tuple[dict[str, str], list[Defect]]:
    """The user's own names (upper case) -> what they mean."""
    known = {name.upper(): name for name in STANDARD} | {name.upper(): name for name in covariates}
    wanted, defects = {}, []
    for standard, own in renamed.items():
        name = known.get(str(standard).upper()) or numbered(str(standard))
        if name is None:
            defects.append(defect("PK015", value=standard, choices=choices(str(standard), known.values())))
        elif str(own).upper() not in [name.upper() for name in bare]:
            defects.append(
                defect("PK016", column=str(standard).upper(), name=standard, value=own, choices=choices(str(own), filter(None, bare)))
            )
        else:
            wanted[str(own).upper()] = name
    return wanted, defects


def _meanings(name: str, wanted: dict[str, str], covariates: tuple[str, ...]) -> list[str]:
    """What a column of the file means: what the user said, else its own name; a covariate of that name besides.

    A covariate named like a property of a dose (F, LAG2) is the covariate only: the model reads it, so it is not the dose's.
    """
    upper, taken = name.upper(), set(wanted.values())
    own = [wanted[upper]] if upper in wanted else []
    also = [c for c in covariates if c.upper() == upper and c not in taken]
    standard = numbered(upper) or upper
    of_dose = standard in DOSE_ITEMS or numbered(upper) is not None
    plainly = not own and standard not in taken and (of_dose or standard in STANDARD or standard in UNIT_COLUMNS)
    found = [standard] if plainly and not (of_dose and also) else []
    return own + found + [c for c in also if c not in found]


def _aliases(spots: dict[str, list[int]], bare: list[str], covariates: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Fill in standard columns that are absent from what other programs call them; says which were used."""
    used = {i for places in spots.values() for i in places}
    free = {i: plain(name) for i, name in enumerate(bare) if i not in used}
    taken = []
    for standard, groups in ALIASES.items():
        name = next((c for c in covariates if c.upper() == standard), standard)
        if name in spots or (name not in covariates and standard not in STANDARD):
            continue
        places = next((found for group in groups if (found := [i for i, own in free.items() if own in group])), [])
        if places:
            spots[name] = places
            taken += [(name, bare[places[0]])]
    return tuple(taken)


def _twice(spots: dict[str, list[int]], bare: list[str]) -> Iterator[Defect]:
    for name, places in spots.items():
        if len(places) > 1:
            yield defect("PK013", column=name, value=", ".join(bare[i] for i in places), name=name)
    days = [name for name in DATES if name in spots]
    if len(days) > 1:
        yield defect("PK013", column=days[0], value=", ".join(days), name="the date")


def missing_column(name: str, why: str, unused: Iterable[str]) -> Defect:
    """The defect of a standard column that is not there, with the nearest unused one."""
    near = nearest(name, unused)
    return defect("PK014", column=name, name=name, why=why, near=f"Did you mean '{near}'? " if near else "")


def missing_covariate(name: str, header: tuple[str, ...]) -> Defect:
    """The defect of a covariate without a column."""
    return defect("PK017", column=name, name=name, choices=choices(name, filter(None, header)))
