"""Which dose route or state a CMT cell means, and which observable a DVID cell means."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.codes import defect
from pkpd.data.table import MOST, Table, found
from pkpd.errors import Defect, choices


def resolve(cells: np.ndarray, names: tuple[str, ...], numbered: tuple[str, ...]) -> np.ndarray:
    """Each cell as a name: itself when it is one, the k-th of `numbered` when it is a number k, else ''."""
    code, distinct = pd.factorize(cells)
    return np.array([_one(cell, names, numbered) for cell in distinct], dtype=object)[code] if len(distinct) else cells


def _one(cell: str, names: tuple[str, ...], numbered: tuple[str, ...]) -> str:
    if cell in names:
        return cell
    place = _whole(cell)
    return numbered[place - 1] if place is not None and 1 <= place <= len(numbered) else ""


def _whole(cell: str) -> int | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value == np.floor(value) and abs(value) < 1e9 else None


def route_names(table: Table) -> tuple[str, ...]:
    """What a number in CMT counts: the states, or, where it is an administration number, the dose routes."""
    words = table.words
    return tuple(d.name for d in words.doses) if table.counts_routes and words.doses else words.state_names


def compartments(table: Table, target: np.ndarray) -> np.ndarray:
    """The compartment number of each dose, counted from 1: the one its CMT gives, else that of its state; 0 where neither tells."""
    code, distinct = pd.factorize(target)
    numbers = np.array([table.words.compartment(t) for t in distinct] + [0])[code]
    if table.counts_routes:
        return numbers
    code, distinct = pd.factorize(table["CMT"])
    own = np.array([_whole(cell) or 0 for cell in distinct] + [0])[code]
    return np.where(table.gives & (own > 0), own, numbers)


def targets(table: Table) -> np.ndarray:
    """Where each dose goes; '' on rows that give none or whose CMT is a defect."""
    if "targets" not in table.kept:
        table.kept["targets"] = _targets(table)
    return table.kept["targets"]


def _targets(table: Table) -> np.ndarray:
    cells = np.where(table.gives, table["CMT"], "")
    words = table.vocabulary
    if words is None:
        return cells
    found_ = resolve(cells, words.targets, route_names(table))
    default = words.doses[0].name if len(words.doses) == 1 else ""
    return np.where(table.gives & (cells == ""), default, found_)


def observables(table: Table) -> np.ndarray:
    """What each observation row holds; '' on other rows or where DVID is a defect."""
    if "observables" not in table.kept:
        table.kept["observables"] = _observables(table)
    return table.kept["observables"]


def _observables(table: Table) -> np.ndarray:
    sees = table.evid(0)
    cells = np.where(sees, table["DVID"], "")
    words = table.vocabulary
    if words is None:
        return np.where(sees & (cells == ""), "DV", cells)
    names = words.observable_names
    return np.where(sees & (cells == "") & (len(names) == 1), names[0] if names else "", resolve(cells, names, names))


def check_targets(table: Table) -> Iterator[Defect]:
    """Doses must go to a route or state of the model."""
    cells = table["CMT"]
    negative = np.isin(cells, [c for c in pd.unique(cells) if (_whole(c) or 0) < 0])
    yield from found("PK077", table, negative, "CMT", value=cells)
    words = table.vocabulary
    if words is None:
        return
    routes = [d.name for d in words.doses] or list(words.state_names)
    empty = table.gives & (cells == "")
    if len(words.doses) != 1:
        yield from found("PK053", table, empty, "CMT", value=len(words.doses), choices=choices("", routes))
    unresolved = table.gives & ~empty & ~negative & (targets(table) == "")
    yield from _unknown(table, unresolved, "CMT", ("PK054", "PK055"), words.targets, route_names(table))


def check_observables(table: Table) -> Iterator[Defect]:
    """Observation rows must hold an observable of the model."""
    words = table.vocabulary
    if words is None:
        return
    names, cells, sees = words.observable_names, table["DVID"], table.evid(0)
    empty = sees & (cells == "")
    if len(names) != 1 and "DVID" not in table.present and sees.any():
        yield defect("PK060", column="DVID", value=len(names), choices=choices("", names))
    elif len(names) != 1:
        yield from found("PK061", table, empty, "DVID", choices=choices("", names))
    yield from _unknown(table, sees & ~empty & (observables(table) == ""), "DVID", ("PK062", "PK063"), names, names)


def _unknown(
    table: Table, where: np.ndarray, column: str, codes: tuple[str, str], names: tuple[str, ...], numbered: tuple[str, ...]
) -> Iterator[Defect]:
    """A word that is no name earns the first code, a number out of range the second."""
    for cell in pd.unique(table[column][where])[:MOST]:
        rows = where & (table[column] == cell)
        if _whole(cell) is None:
            yield from found(codes[0], table, rows, column, value=cell, choices=choices(cell, names))
        else:
            kind = "observable" if column == "DVID" else "dose route" if table.counts_routes else "state"
            wanted = f"{len(numbered)} {kind}{'' if len(numbered) == 1 else 's'}"
            yield from found(codes[1], table, rows, column, value=cell, what=kind, wanted=wanted, choices=choices("", names))
