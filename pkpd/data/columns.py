"""Which column of the file is which: standard names, aliases, the user's own names, and units written in the header."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pkpd.data.codes import defect
from pkpd.errors import Defect, choices, nearest

NUMERIC = ("TIME", "EVID", "AMT", "RATE", "DUR", "ADDL", "II", "DV", "MDV", "CENS", "LIMIT", "SS", "LLOQ", "ULOQ", "VIAB", "CAR_FRAC")
NAMES = ("ID", "CMT", "DVID", "LABEL")
STANDARD = NUMERIC + NAMES
ALIASES = {"TIME_H": ("TIME", "h"), "AMT_E9": ("AMT", "1e9 cells")}
LAGS = re.compile(r"A?LAG\d*|LAGT|TLAG|F\d*|BIOAV")
DATES = re.compile(r"DAT[E123]")
_BRACKET = re.compile(r"(.*?)\s*\[(.*)\]\s*")


@dataclass(frozen=True)
class Columns:
    """Where each name stands (`at`: name -> position), and the units the header gives (`units`: name -> unit)."""

    at: dict[str, int]
    units: dict[str, str]
    unused: tuple[str, ...]
    defects: tuple[Defect, ...]


def match_columns(header: tuple[str, ...], renamed: Mapping[str, str], covariates: tuple[str, ...]) -> Columns:
    """Find every standard column and covariate in a header; names are read in any case."""
    bare, header_units = _bare(header)
    defects = [defect("PK012", value=i + 1) for i, name in enumerate(bare) if not name]
    wanted, mistakes = _renamed(bare, renamed, covariates)
    spots: dict[str, list[int]] = {}
    for i, name in enumerate(bare):
        for standard in _meanings(name, wanted, covariates):
            spots.setdefault(standard, []).append(i)
    defects += mistakes + list(_twice(spots, bare)) + list(_refused(bare, spots))
    at = {name: places[0] for name, places in spots.items()}
    used = set(at.values())
    unused = tuple(bare[i] for i in range(len(bare)) if i not in used and bare[i])
    return Columns(at, _units(at, bare, header_units), unused, tuple(defects))


def _bare(header: tuple[str, ...]) -> tuple[list[str], list[str | None]]:
    """The header without the units in square brackets, and those units."""
    found = [_BRACKET.fullmatch(text.strip()) for text in header]
    return [m[1].strip() if m else t.strip() for m, t in zip(found, header, strict=True)], [m[2].strip() if m else None for m in found]


def _units(at: dict[str, int], bare: list[str], header_units: list[str | None]) -> dict[str, str]:
    units = {name: header_units[i] or ALIASES.get(bare[i].upper(), (None, None))[1] for name, i in at.items()}
    return {name: unit for name, unit in units.items() if unit}


def _renamed(bare: list[str], renamed: Mapping[str, str], covariates: tuple[str, ...]) -> tuple[dict[str, str], list[Defect]]:
    """The user's own names (upper case) -> what they mean."""
    known = {name.upper(): name for name in STANDARD} | {name.upper(): name for name in covariates}
    wanted, defects = {}, []
    for standard, own in renamed.items():
        if str(standard).upper() not in known:
            defects.append(defect("PK015", value=standard, choices=choices(str(standard), known.values())))
        elif str(own).upper() not in [name.upper() for name in bare]:
            defects.append(
                defect("PK016", column=str(standard).upper(), name=standard, value=own, choices=choices(str(own), filter(None, bare)))
            )
        else:
            wanted[str(own).upper()] = known[str(standard).upper()]
    return wanted, defects


def _meanings(name: str, wanted: dict[str, str], covariates: tuple[str, ...]) -> list[str]:
    """What a column of the file means: what the user said, else its own name or alias; a covariate of that name besides."""
    upper, taken = name.upper(), set(wanted.values())
    own = [wanted[upper]] if upper in wanted else []
    standard = ALIASES.get(upper, (upper, None))[0]
    plain = [standard] if not own and standard in STANDARD and standard not in taken else []
    also = [c for c in covariates if c.upper() == upper and c not in taken and c not in plain]
    return own + plain + also


def _twice(spots: dict[str, list[int]], bare: list[str]) -> Iterator[Defect]:
    for name, places in spots.items():
        if len(places) > 1:
            yield defect("PK013", column=name, value=", ".join(bare[i] for i in places), name=name)


def _refused(bare: list[str], spots: dict[str, list[int]]) -> Iterator[Defect]:
    taken = {i for places in spots.values() for i in places}
    for i, name in enumerate(bare):
        for code, pattern in (("PK018", LAGS), ("PK019", DATES)):
            if i not in taken and pattern.fullmatch(name.upper()):
                yield defect(code, column=name, value=name)


def missing_column(name: str, why: str, unused: tuple[str, ...]) -> Defect:
    """The defect of a standard column that is not there, with the nearest unused one."""
    near = nearest(name, unused)
    return defect("PK014", column=name, name=name, why=why, near=f"Did you mean '{near}'? " if near else "")


def missing_covariate(name: str, header: tuple[str, ...]) -> Defect:
    """The defect of a covariate without a column."""
    return defect("PK017", column=name, name=name, choices=choices(name, filter(None, header)))
