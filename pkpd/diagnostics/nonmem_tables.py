"""A fit as the tables that NONMEM writes, so that xpose, xpose4 and PsN draw it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import absent, eta_names, need, pooled
from pkpd.diagnostics.residuals import median_over_draws, residual_table
from pkpd.diagnostics.rows import covariates, numeric, observables, rows, subject_ids

CATEGORIES = 6
"""A covariate of whole numbers with at most so many values is categorical."""


def nonmem_tables(fit: Any) -> dict[str, pd.DataFrame]:
    """The tables sdtab (rows), patab (parameters), cotab and catab (covariates) of a fit, one line a scored row each, as xpose expects them.

    sdtab: ID, TIME (h), DV, MDV 0, CENS, DVID (from 1, in the order of the observables), IPRED and PRED (medians over draws), NPDE (randomised quantile
    residual against new subjects), IQRES (against the subject's own replicates), IWRES where the fit has it; NaN where an observable is no amount.
    patab: ID, each varying parameter and its ETA1, ETA2, ... as posterior means. IDs that are no whole numbers count from 1. `attrs` of sdtab has "ids",
    "dvid" and "etas" (what the numbers stand for) and "notes" (which zeros are measured, and which stand for a value that is not known).
    Raises `FitError` for a tree without rows.

    >>> nonmem_tables(fit)["sdtab"].head()                                               # doctest: +SKIP
    """
    table = rows(fit)
    kept = table["scored"].to_numpy()
    numbers = _numbers(subject_ids(fit))
    ids = table["subject"].map(numbers).to_numpy()[kept]
    seen = {name: i + 1 for i, name in enumerate(observables(fit))}
    sd = pd.DataFrame({"ID": ids, "TIME": table["time"][kept], "DV": table["dv"][kept], "MDV": 0, "CENS": table["cens"][kept]})
    sd["DVID"] = table["observable"][kept].map(seen)
    sd = sd.assign(**{n: x[kept] for n, x in _predictions(fit, table).items()})
    etas = {f"ETA{i + 1}": n for i, n in enumerate(eta_names(fit))}
    sd.attrs = {"ids": {str(v): k for k, v in numbers.items()}, "dvid": {str(v): k for k, v in seen.items()}, "etas": etas}
    sd.attrs["notes"] = _zeros(sd)
    found = {"sdtab": sd.reset_index(drop=True), "patab": _by_row(_parameters(fit, etas), table["subject"][kept], ids)}
    known = covariates(fit)
    whole = [c for c in known if known[c].nunique() <= CATEGORIES and (known[c] % 1 == 0).all()]
    for name, columns in (("cotab", [c for c in known if c not in whole]), ("catab", whole)):
        if columns:
            found[name] = _by_row(known[columns], table["subject"][kept], ids)
    return found


def _zeros(sd: pd.DataFrame) -> list[str]:
    """What a 0 is in the file, where NONMEM writes one for every value that there is none of."""
    told = [
        "sdtab has the scored rows only, all MDV 0: no dose rows, which NONMEM writes with DV 0. Of a row with CENS 1 (or -1), DV is the limit."
    ]
    for number, part in sd.groupby("DVID"):
        measured = int((part["DV"] == 0).sum())
        told += [f"dvid {number}: DV is a measured 0 in {measured} of {len(part)} rows."] if measured else []
        unknown = [str(c) for c in part.columns if part[c].isna().any()]
        rows = int(part[unknown].isna().any(axis=1).sum())
        told += [f"dvid {number}: 0 in {', '.join(unknown)} stands for no value, in {rows} of {len(part)} rows."] if unknown else []
    return told


def write_nonmem_tables(fit: Any, folder: str | PathLike[str], run: int = 1) -> list[Path]:
    """Write sdtab<run>, patab<run>, cotab<run> and catab<run> of a fit, as NONMEM does; what their numbers stand for in tables<run>.txt.

    In R: `xpose::read_nm_tables(c("sdtab1", "patab1", "cotab1"))`. Returns the paths. Raises `FitError` for a tree without rows.

    >>> write_nonmem_tables(fit, "build/theophylline/xpose")                             # doctest: +SKIP
    """
    place, tables = Path(folder), nonmem_tables(fit)
    place.mkdir(parents=True, exist_ok=True)
    paths = [write_nonmem_table(table, place / f"{name}{run}", run) for name, table in tables.items()]
    told = [f"{what} {number}: {name}" for what in ("ids", "dvid", "etas") for number, name in tables["sdtab"].attrs[what].items()]
    told += [f"note {sentence}" for sentence in tables["sdtab"].attrs["notes"]]
    note = place / f"tables{run}.txt"
    note.write_text("\n".join(told) + "\n", encoding="utf-8")
    return [*paths, note]


def write_nonmem_table(table: pd.DataFrame, path: str | PathLike[str], number: int = 1) -> Path:
    """Write a table as NONMEM does ("TABLE NO.  1", a header, columns of fixed width; 0 where a value is not known). Returns the path.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_nonmem_table(pd.DataFrame({"ID": [1], "IPRED": [2.5]}), f"{folder}/sdtab1").read_text().rstrip())
    TABLE NO.  1
     ID          IPRED
      1.0000E+00  2.5000E+00
    """
    lines = [f"TABLE NO. {number:2d}", " " + " ".join(f"{str(c)[:20]:<11}" for c in table.columns).rstrip()]
    form = " ".join(["% .4E"] * len(table.columns))
    lines += [" " + form % tuple(row) for row in np.nan_to_num(table.to_numpy(float), nan=0.0)]
    place = Path(path)
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place


def _numbers(subjects: list[str]) -> dict[str, int]:
    whole = pd.to_numeric(pd.Series(subjects, dtype=object), errors="coerce")
    plain = bool((whole.notna() & (whole % 1 == 0)).all())
    return {s: int(float(s)) if plain else i + 1 for i, s in enumerate(subjects)}


def _predictions(fit: Any, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """By name a value of every row, NaN where an observable is no amount."""
    amount = table["observable"].isin(numeric(fit)).to_numpy()
    found = {n: median_over_draws(pooled(fit, "posterior_predictive", n.lower(), "obs")) for n in ("IPRED", "PRED")}
    for name, against in (("NPDE", "population"), ("IQRES", "individual")):
        found[name] = residual_table(fit, against)["residual"].reindex(table.index).to_numpy(float)
    if not absent(fit, "residuals/iwres"):
        iwres = np.asarray(need(fit, "residuals")["residuals"]["iwres"].values, float)
        if len(iwres) == len(table):
            found["IWRES"] = iwres
        elif len(iwres) == int(table["scored"].sum()):
            found["IWRES"] = np.full(len(table), np.nan)
            found["IWRES"][table["scored"].to_numpy()] = iwres
    return {n: np.where(amount, x, np.nan) for n, x in found.items()}


def _parameters(fit: Any, etas: dict[str, str]) -> pd.DataFrame:
    """One row a subject: posterior means of its parameters and random effects."""
    columns = {n: pooled(fit, "posterior", f"{n}_i", "subject").mean(0) for n in etas.values() if not absent(fit, f"posterior/{n}_i")}
    columns |= {eta: pooled(fit, "posterior", f"eta_{n}", "subject").mean(0) for eta, n in etas.items()}
    return pd.DataFrame(columns, index=subject_ids(fit))


def _by_row(table: pd.DataFrame, subjects: pd.Series, ids: np.ndarray) -> pd.DataFrame:
    found = table.loc[subjects.to_numpy()].reset_index(drop=True)
    found.insert(0, "ID", ids)
    return found
