"""Parameters as people hand them over (one number, one a subject, a table by ID) as one array a parameter, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.numeric import texts
from pkpd.errors import ModelError, choices
from pkpd.model import Model

MOST = 5


def subject_parameters(model: Model, parameters: Any, subjects: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Each named parameter as one value a subject [N], in the order of `subjects`.

    `parameters` maps names to a number, to N numbers in the order of the subjects, or to a Series indexed by subject; or it is a table
    (a DataFrame, or a mapping with the key "ID") with one row a subject, known by its column ID or else its index. Numbers are in the
    model's units. Raises `ModelError` with everything wrong at once: unknown names, subjects without a row or with two, values that are
    missing, not finite or outside the parameter's support (its edge is allowed, so that a process can be switched off).

    >>> from pkpd.models.classic import one_compartment_iv
    >>> table = pd.DataFrame({"ID": [2, 1], "CL": [3.0, 2.0]})
    >>> subject_parameters(one_compartment_iv, table, ("1", "2"))
    {'CL': array([2., 3.])}
    """
    columns, wrong = _columns(parameters, subjects)
    values: dict[str, np.ndarray] = {}
    for name, given in columns.items():
        if name not in model.param_names:
            wrong.append(f"There is no parameter '{name}'. {choices(str(name), model.param_names)}")
            continue
        value, mistake = _values(name, given, subjects)
        values[name] = value
        wrong += [mistake] if mistake else list(_outside(model, name, value, subjects))
    if wrong:
        raise ModelError(f"{model.name}: parameters to simulate with: " + " ".join(wrong))
    return values


def _columns(parameters: Any, subjects: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    if isinstance(parameters, Mapping):
        if "ID" not in parameters:
            return dict(parameters), []
        parameters = pd.DataFrame(dict(parameters))
    if not isinstance(parameters, pd.DataFrame):
        raise ModelError(
            f"Parameters are a mapping of names to numbers, or a DataFrame with a row a subject, not {type(parameters).__name__}."
        )
    table = parameters.set_index("ID") if "ID" in parameters.columns else parameters
    wrong = _ids(table.index, subjects)
    if wrong:
        return {str(c): np.ones(len(subjects)) for c in table.columns}, wrong
    return {str(c): table[c] for c in table.columns}, []


def _ids(index: pd.Index, subjects: tuple[str, ...]) -> list[str]:
    ids = texts(pd.Series(index))
    missing = [s for s in subjects if s not in set(ids)]
    twice = sorted({s for s in ids[pd.Series(ids).duplicated()] if s in subjects})
    wrong = [f"No row for {_some(missing)} of the records; give one (by column ID or index)."] if missing else []
    return wrong + ([f"More than one row for {_some(twice)}; give one each."] if twice else [])


def _some(ids: list[str]) -> str:
    rest = f" and {len(ids) - MOST} more" if len(ids) > MOST else ""
    return f"subject{'' if len(ids) == 1 else 's'} {', '.join(ids[:MOST])}{rest}"


def _values(name: str, given: Any, subjects: tuple[str, ...]) -> tuple[np.ndarray, str]:
    """One value a subject, or the sentence that says why there is none."""
    nothing = np.full(len(subjects), np.nan)
    if isinstance(given, pd.Series):
        wrong = _ids(given.index, subjects)
        if wrong:
            return nothing, f"Parameter '{name}': " + " ".join(wrong)
        given = given.set_axis(texts(pd.Series(given.index))).loc[list(subjects)]
    try:
        value = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        return nothing, f"Parameter '{name}' is {given!r}, which is no number; give plain numbers in the model's unit."
    if value.ndim > 1 or (value.ndim == 1 and len(value) != len(subjects)):
        return nothing, f"Parameter '{name}' has shape {value.shape}; give one number, or one for each of the {len(subjects)} subjects."
    return np.broadcast_to(value, (len(subjects),)).copy(), ""


def _outside(model: Model, name: str, value: np.ndarray, subjects: tuple[str, ...]) -> Iterator[str]:
    support = model.param(name).support
    low, high = (-np.inf if support == "real" else 0.0), (1.0 if support == "unit" else np.inf)
    bad = ~(np.isfinite(value) & (value >= low) & (value <= high))
    if bad.any():
        who = "" if bad.all() else f" for {_some([s for s, b in zip(subjects, bad, strict=True) if b])}"
        words = {"real": "a finite number", "unit": "a number from 0 to 1"}.get(support, "a finite number, not below 0")
        yield f"Parameter '{name}' is {value[bad][0]:g}{who}; it must be {words}."
