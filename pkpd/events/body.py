"""Doses by the size of the body: what "mg/kg" and "mg/m^2" say, body surface by a named formula, and the sizes of a table of subjects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd import units
from pkpd.errors import DoseError, UnitError, choices

SIZES = {"kg": ("WT", "body weight"), "m^2": ("BSA", "body surface")}
_WRITTEN = {"kg": "kg", "m^2": "m^2", "m2": "m^2", "m**2": "m^2", "m²": "m^2"}
_HEADER = re.compile(r"(.*?)\s*(?:\[(.*)\])?\s*")
_HUMAN = (20.0, 280.0)
FORMULAS = {"mosteller": (1 / 60, 0.5, 0.5), "du_bois": (0.007184, 0.425, 0.725), "haycock": (0.024265, 0.5378, 0.3964)}


def split_size(unit: str) -> tuple[str, str]:
    """A unit of amount and the size it counts by: "kg", "m^2", or nothing.

    >>> split_size("mg/kg"), split_size("1e6 cells / m2"), split_size("mg")
    (('mg', 'kg'), ('1e6 cells', 'm^2'), ('mg', ''))
    """
    first, *rest = [part.strip() for part in unit.split("/")]
    size = next((part for part in rest if part in _WRITTEN), None)
    if size is None or not first:
        return unit.strip(), ""
    rest.remove(size)
    return "/".join([first, *rest]), _WRITTEN[size]


def by_size(plain: str, size: str) -> str:
    """The unit that `split_size` splits."""
    return f"{plain}/{size}" if size else plain


def fit_unit(given: str, wanted: str, what: str) -> tuple[float, str]:
    """The factor from a unit of amount into a model's, and the unit then: by size still where the model's is not.

    Raises `UnitError` when the two measure different things.

    >>> fit_unit("g/kg", "mg", "A dose")
    (1000.0, 'mg/kg')
    """
    (plain, size), (want, model_size) = split_size(given), split_size(wanted)
    if size == model_size:
        return units.factor(plain, want, what), wanted
    if model_size:
        raise UnitError(f"{what} is given in '{given}', and the model counts in '{wanted}'. Write the dose in '{wanted}'.")
    return units.factor(plain, want, what), by_size(want, size)


def body_surface(weight: Any, height: Any, formula: str = "mosteller") -> Any:
    """Body surface (m^2) from weight (kg) and height (cm), numbers or arrays: c weight^a height^b.

    `formula` is "mosteller" (sqrt(weight height / 3600)), "du_bois" (0.007184, 0.425, 0.725) or "haycock" (0.024265, 0.5378, 0.3964).
    Raises `DoseError` for another name. Sources: Mosteller, N Engl J Med 1987;317:1098; Du Bois and Du Bois, Arch Intern Med 1916;17:863;
    Haycock et al., J Pediatr 1978;93:62.

    >>> float(body_surface(80.0, 180.0))
    2.0
    """
    if formula not in FORMULAS:
        raise DoseError(f"'{formula}' is no formula of body surface. {choices(str(formula), FORMULAS)}")
    if formula == "mosteller":
        return np.sqrt(weight * height / 3600.0)
    factor, a, b = FORMULAS[formula]
    return factor * weight**a * height**b


def body_sizes(subjects: pd.DataFrame, needed: Mapping[str, str], bsa: str | None = None) -> dict[str, np.ndarray]:
    """The sizes that doses count by, one value a subject: "kg" from column WT, "m^2" from BSA, or from HT and WT where `bsa` names a formula.

    `needed` maps a size to the dose that needs it, in words. Columns are in kg, m^2 and cm, or in the unit of a header like "HT [m]".
    Raises `DoseError` for a column that is not there or a value that is no positive number.
    """
    found = {"kg": lambda: _column(subjects, "WT", "kg", needed["kg"]), "m^2": lambda: _surface(subjects, needed["m^2"], bsa)}
    return {size: found[size]() for size in needed}


def one_body(needed: Mapping[str, str], weight: Any, surface: Any) -> dict[str, float]:
    """The sizes of one body, given with units; `needed` as in `body_sizes`. Raises `DoseError` for one that is missing or not above zero."""
    given = {"kg": ("weight", weight), "m^2": ("surface", surface)}
    for size, dose in needed.items():
        if given[size][1] is None:
            raise DoseError(f"{dose} needs the {SIZES[size][1]}: for_body({given[size][0]}=(..., '{size}')).")
    return {size: _size(value, size, f"for_body({name}=...)") for size, (name, value) in given.items() if value is not None}


def _size(value: Any, wanted: str, what: str) -> float:
    number = units.quantity(value, wanted, what)
    if not (np.isfinite(number) and number > 0):
        raise DoseError(f"{what} is {value!r}; a number above zero is needed.")
    return number


def _surface(subjects: pd.DataFrame, dose: str, bsa: str | None) -> np.ndarray:
    own, there = _named(subjects, "BSA"), [_named(subjects, name) for name in ("WT", "HT")]
    if own is not None and bsa is not None:
        raise DoseError(f"The subjects have a column BSA, and bsa='{bsa}' asks for a formula. Leave out one of the two.")
    if own is None and bsa is None and None not in there:
        raise DoseError(
            f"{dose} needs the body surface of each subject; the table has WT and HT but no BSA. "
            f"Name the formula, as in bsa='mosteller' ({', '.join(FORMULAS)}), or add a column BSA in m^2."
        )
    if bsa is None:
        return _column(subjects, "BSA", "m^2", dose)
    height = _column(subjects, "HT", "cm", dose)
    wrong = np.flatnonzero((height < _HUMAN[0]) | (height > _HUMAN[1]))
    if len(wrong):
        raise DoseError(f"HT is {height[wrong[0]]:g} cm in row {wrong[0] + 1} of the subjects. Is it in another unit? Write HT [m].")
    return body_surface(_column(subjects, "WT", "kg", dose), height, bsa)


def _column(subjects: pd.DataFrame, name: str, wanted: str, dose: str) -> np.ndarray:
    at = _named(subjects, name)
    if at is None:
        known = choices(name, map(str, subjects.columns))
        raise DoseError(f"{dose} needs column {name} ({wanted}), which the table of subjects does not have. {known}")
    unit = _parts(at)[1]
    scale = units.factor(unit, wanted, f"Column {name}") if unit else 1.0
    numbers = pd.to_numeric(subjects[at], errors="coerce").to_numpy(float) * scale
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0)))
    if len(wrong):
        row = int(wrong[0])
        raise DoseError(
            f"{name} is {subjects[at].iloc[row]!s} in row {row + 1} of the subjects; {dose[0].lower()}{dose[1:]} needs a number above zero."
        )
    return numbers


def _named(subjects: pd.DataFrame, name: str) -> Any:
    """The column of that name, in any case and with or without its unit in brackets."""
    return next((c for c in subjects.columns if _parts(c)[0].upper() == name), None)


def _parts(column: Any) -> tuple[str, str | None]:
    match = _HEADER.fullmatch(str(column).strip())
    return (match[1], match[2]) if match else (str(column), None)
