"""Who is simulated: covariates of the cohort's own subjects, resampled ones, a table, a csv file of virtual patients, or a function that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from pkpd.errors import FitError, choices
from pkpd.events.body import SIZES
from pkpd.inference.problem import FitProblem

N_SUBJECTS = 100
SIZE_COLUMNS = {column for column, *_ in SIZES.values()}


def virtual_subjects(problem: FitProblem, given: Any, n: int | None, also: Sequence[str], key: Any) -> pd.DataFrame:
    """One row a virtual subject, with finite numbers in every column that is read.

    `given` is None (rows of the cohort, drawn with replacement), a DataFrame, the path of a csv file, or a function (key, n) that gives a
    DataFrame; a table is taken as it is, or where `n` is not its length drawn from with replacement. `also` are columns needed beside those of model and
    population.
    """
    check_count(n)
    pick, draw = jax.random.split(key)
    if given is None:
        own = own_subjects(problem)
        _need(own, needed(problem, also), "the cohort's subjects")
        return _drawn(own, n or N_SUBJECTS, key)
    if callable(given):
        table, said = given(draw, n or N_SUBJECTS), "what the function covariates(key, n) gives"
        if not isinstance(table, pd.DataFrame) or len(table) != (n or N_SUBJECTS):
            raise FitError(f"covariates(key, n) gives a DataFrame with n rows; for n = {n or N_SUBJECTS} it gave {_what(table)}.")
        return _checked(table, problem, also, said)
    if isinstance(given, str | Path):
        table, said = _read(Path(given)), str(Path(given).name)
    elif isinstance(given, pd.DataFrame):
        table, said = given, "the table of covariates"
    else:
        raise FitError(f"covariates={type(given).__name__}: a DataFrame, the path of a csv file, a function (key, n), or None.")
    found = _checked(table, problem, also, said)
    return found if n in (None, len(found)) else _drawn(found, n, pick)


def check_count(n: Any) -> None:
    """Raise `FitError` for a number of subjects that is none; None is left to the caller."""
    if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
        raise FitError(f"n_subjects={n!r}: a whole number of subjects, at least 1.")


def with_values(problem: FitProblem, values: Mapping[str, float]) -> Any:
    """Covariates of virtual subjects: the cohort's rows drawn again, some columns set to a number for all; None where nothing is set.

    Raises `FitError` for a covariate that the cohort does not have.
    """
    own = own_subjects(problem)
    unknown = next((name for name in values if name not in own.columns), None)
    if unknown is not None:
        raise FitError(f"Covariate '{unknown}' is none of the cohort's. {choices(unknown, map(str, own.columns))}")
    return (lambda key, n: _drawn(own, n, key).assign(**{c: float(v) for c, v in values.items()})) if values else None


def own_subjects(problem: FitProblem) -> pd.DataFrame:
    """The covariates of the cohort's own subjects."""
    return pd.DataFrame(problem.covariates, index=range(len(problem.cohort.subjects)))


def needed(problem: FitProblem, also: Sequence[str] = ()) -> list[str]:
    """Columns that the model, the population's effects and levels, and `also` read."""
    names = list(problem.fitted_model.covariate_names)
    for spec in problem.population.parameters.values():
        names += [e.covariate for e in spec.effects]
    names += [*problem.population.levels.values(), *also]
    return list(dict.fromkeys(n for n in names if n not in problem.levels.get("changing", ())))


def _drawn(table: pd.DataFrame, n: int, key: Any) -> pd.DataFrame:
    rows = np.asarray(jax.random.randint(key, (n,), 0, len(table)))
    return table.iloc[rows].reset_index(drop=True)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FitError(f"There is no file {path} of virtual patients.")
    try:
        return pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise FitError(f"{path.name} cannot be read as a csv file ({error}).") from None


def _need(table: pd.DataFrame, names: Sequence[str], said: str) -> None:
    for name in names:
        if name not in table.columns:
            raise FitError(f"Covariate '{name}' is read and {said} do not have it. {choices(name, map(str, table.columns))}")


def _checked(table: pd.DataFrame, problem: FitProblem, also: Sequence[str], said: str) -> pd.DataFrame:
    if table.empty:
        raise FitError(f"There are no virtual subjects: no rows in {said}.")
    names = needed(problem, also)
    _need(table, names, "the rows of " + said)
    known = [c for c in table.columns if c in problem.covariates or c in names or c in SIZE_COLUMNS]
    numbers = table[known].apply(pd.to_numeric, errors="coerce").astype(float).reset_index(drop=True)
    for name in known:
        bad = np.flatnonzero(~np.isfinite(numbers[name].to_numpy()))
        if len(bad) and name not in problem.population.missing:
            raise FitError(f"{said}, row {bad[0] + 1}: {name} is {table[name].iloc[bad[0]]!r}; give a finite number.")
    _check_categories(problem, numbers, said)
    return numbers


def _check_categories(problem: FitProblem, numbers: pd.DataFrame, said: str) -> None:
    effects = [e for v in problem.population.parameters.values() for e in v.effects if e.kind == "categorical"]
    for name in [c for c in dict.fromkeys(e.covariate for e in effects) if c in numbers]:
        known = problem.levels[f"levels:{name}"]
        strange = np.flatnonzero(~np.isin(numbers[name].to_numpy(), known))
        if len(strange):
            raise FitError(
                f"{said}, row {strange[0] + 1}: {name} is {numbers[name].iloc[strange[0]]:g}, a level whose effect is not known; "
                f"the data have {', '.join(f'{x:g}' for x in known)}."
            )


def _what(value: Any) -> str:
    return f"{len(value)} rows" if isinstance(value, pd.DataFrame) else type(value).__name__
