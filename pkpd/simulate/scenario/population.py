"""Who a scenario simulates: how many, with which covariates, from which file; every name, number and unit checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import choices
from pkpd.events.body import SIZES
from pkpd.model import Model
from pkpd.simulate.draws import VARY
from pkpd.simulate.scenario.keys import Table
from pkpd.units import quantity

BODY = {column: size for size, (column, _) in SIZES.items()}
HEADER = re.compile(r"(.*?)\s*(?:\[(.*)\])?\s*")
WHOLE = "a whole number of at least 1"


def population(root: Table, path: str | Path, model: Model, read: tuple[str, ...] = ()) -> dict[str, Any]:
    """The table [population] as plain values; "covariates" becomes numbers, "patients" a DataFrame. `read` are covariates that a fit reads besides."""
    table = root.table("population").known("subjects", "draws", "vary", "patients", "product", "covariates")
    found: dict[str, Any] = {n: table.get(n, int, WHOLE) for n in ("subjects", "draws")}
    for n, v in found.items():
        if v is not None and v < 1:
            table.mistakes.add(table.place, f"{n} = {v}; accepted is {WHOLE}.")
    for n in ("vary", "product"):
        found[n] = table.get(n, list, 'a list of words, as in ["WT"]')
    for word in found["vary"] or ():
        if word not in VARY:
            table.mistakes.add(table.place, f"vary names {word!r}; accepted are {', '.join(VARY)}.")
    product = [str(c) for c in found["product"] or ()]
    units = known_units(model, (*read, *product))
    found["covariates"] = same_covariates(table.table("covariates"), units)
    place = table.get("patients", str, "the path of a csv file")
    if place is not None:
        _alone(table, "patients")
        found["patients"] = _patients(table, Path(path).parent / place, units, [*model.covariate_names, *read, *product])
    return {n: v for n, v in found.items() if v is not None and not (n == "covariates" and not v)}


def known_units(model: Model, others: tuple[str, ...]) -> dict[str, str | None]:
    """The unit of every covariate that may be given: those of the model, sizes of a body, and others, whose unit nobody has said (None)."""
    return dict.fromkeys(others) | BODY | {c.name: c.unit for c in model.covariates}


def _alone(table: Table, key: str) -> None:
    """Patients of a file are its rows, with its covariates."""
    for other, why in (("subjects", "as many as it has"), ("covariates", "with the covariates of their row")):
        if other in table.values:
            table.mistakes.add(
                table.place, f"{other} and {key} stand together; the patients are the rows of the file, {why}: leave {other} out."
            )


def same_covariates(table: Table, units: Mapping[str, str | None]) -> dict[str, float]:
    """The covariates that all patients share."""
    table.known(*units)
    given = {n: _number(table, n, units[n]) for n in table.values if n in units}
    return {n: v for n, v in given.items() if v is not None}


def _number(table: Table, name: str, unit: str | None) -> float | None:
    plain = unit in ("1", "")
    value = table.get(
        name, (int, float) if plain else (int, float, str), f"a number{f' in {unit}, or with its unit' if unit and not plain else ''}"
    )
    if isinstance(value, str):
        if unit is None:
            table.mistakes.add(
                table.place, f"{name} = {value!r}; nobody has said the unit of {name} here: give the number that stands in the data."
            )
            return None
        pair = table.pair(name, value, f"2 {unit}")
        value = None if pair is None else table.mistakes.attempt(table.place, lambda: quantity(pair, unit, f"Covariate '{name}'"))
    if value is not None and not np.isfinite(value):
        table.mistakes.add(table.place, f"{name} = {value!r}; accepted is a finite number.")
        return None
    return None if value is None else float(value)


def _patients(table: Table, path: Path, units: Mapping[str, str | None], wanted: list[str]) -> pd.DataFrame:
    """The columns of a file of virtual patients that are covariates, in the units that are read; a header may say another, as in "WT [lb]".

    `attrs["unread"]` has the names of the other columns.
    """
    place, add = f"{table.place}.patients", table.mistakes.add
    if not path.is_file():
        add(place, f"there is no file {path} of virtual patients.")
        return pd.DataFrame()
    try:
        rows = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        add(place, f"{path.name} cannot be read as a csv file ({error}).")
        return pd.DataFrame()
    if rows.empty:
        add(place, f"{path.name} has no rows, so there are no patients.")
    found, unread = {}, []
    for column in rows.columns:
        match = HEADER.fullmatch(str(column).strip())
        name, unit = (match[1], match[2]) if match else (str(column), None)
        if name in units:
            found[name] = _column(table, f"{place} ({path.name})", name, rows[column], unit, units[name])
        elif name != "ID":
            unread.append(str(column))
    for name in dict.fromkeys(wanted):
        if name not in found:
            add(place, f"{path.name} has no column {name}, which is read. {choices(name, map(str, rows.columns))}")
    made = pd.DataFrame(found, index=rows.index)
    made.attrs["unread"] = unread
    return made


def _column(table: Table, place: str, name: str, values: pd.Series, unit: str | None, wanted: str | None) -> np.ndarray:
    scale = 1.0
    if unit is not None and wanted is None:
        table.mistakes.add(
            place, f"column {name} [{unit}]: nobody has said the unit of {name} here; give the numbers that stand in the data."
        )
    elif unit is not None:
        scale = table.mistakes.attempt(place, lambda: quantity((1.0, unit), wanted or "1", f"Column {name}"), 1.0)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        more = f" ({len(bad) - 1} more like it)" if len(bad) > 1 else ""
        table.mistakes.add(place, f"row {bad[0] + 1}: {name} is '{values.iloc[bad[0]]}'{more}; accepted is a finite number.")
    return numbers * scale
