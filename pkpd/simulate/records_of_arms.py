"""A what-if as NONMEM-style records and parameters, so that another program can run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.data import read_cohort, write_records
from pkpd.data.write import to_records
from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.events.body import SIZES
from pkpd.model import Model
from pkpd.simulate.grid import design
from pkpd.simulate.overrides import product_share
from pkpd.simulate.portable import portable


def write_arms(
    runs: xr.Dataset,
    model: Model,
    arms: Mapping[str, Regimen],
    folder: str | PathLike[str],
    *,
    draw: int = 0,
    product: str | Sequence[str] = (),
) -> tuple[Path, Path]:
    """Write records.csv and parameters.csv of one draw of runs: what NONMEM, mrgsolve or nlmixr2 need to predict the same.

    In records.csv every subject of every arm is a subject: ID (counted over arms and subjects), ARM (from 1, in the order of `arms`), doses and a look an
    observable and time, CMT and DVID by number, covariates, in hours and the model's units; amounts are those that enter the model (times `product` and a
    dose's own bioavailability), a duration is written as RATE = AMT / DUR, a dose's own lag is in its TIME.
    parameters.csv has a row an ID with ARM, the arm's name and every parameter. `simulate(model, records, parameters)` gives the runs' values back.
    Returns the two paths. Raises `FitError` for runs without parameters, or existing files.

    >>> write_arms(runs, one_compartment_oral, arms, "build/arms")                        # doctest: +SKIP
    """
    missing = [n for n in model.param_names if f"theta_{n}" not in runs]
    if missing:
        raise FitError(f"These runs do not hold the parameter '{missing[0]}' of {model.name}: make them by what_if or simulate_arms again.")
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    paths = place / "records.csv", place / "parameters.csv"
    for path in paths:
        if path.exists():
            raise FitError(f"{path} exists already and is left alone. Give another folder, or delete it first.")
    table, times = _covariates(runs), np.asarray(runs["time"].values, float)
    share = product_share(table, product)
    n = len(runs["subject"])
    parts = [_records(model, r, times, table, share, k, n) for k, r in enumerate(arms.values())]
    rows = pd.concat(parts, ignore_index=True)
    kept = [c for c in model.covariate_names if c in rows.columns]
    cohort = read_cohort(rows, model, units=parts[0].attrs["units"], covariates=["ARM", *kept], name="what-if")
    write_records(cohort, paths[0], numbered=model)
    parameters(runs, model, draw).to_csv(paths[1], index=False)
    return paths


def _covariates(runs: xr.Dataset) -> pd.DataFrame:
    names = [str(c) for c, v in runs.coords.items() if v.dims == ("subject",) and c != "subject"]
    return pd.DataFrame({c: runs[c].values for c in names}, index=range(len(runs["subject"])))


def _records(model: Model, regimen: Regimen, times: np.ndarray, table: pd.DataFrame, share: np.ndarray, arm: int, n: int) -> pd.DataFrame:
    read = {*model.covariate_names, *(SIZES[size][0] for size in regimen.for_model(model).sizes)}
    made = to_records(design(model, regimen, times, table[[c for c in table if c in read]], f"arm {arm + 1}").cohort)
    lane = made["ID"].astype(int).to_numpy() - 1
    amounts = made["AMT"].to_numpy(float) * share[lane]
    found = portable(made.assign(AMT=amounts, ID=lane + 1 + arm * n, ARM=arm + 1), model)
    found["ID"] = found["ID"].astype(str)
    found.attrs["units"] = {k: v for k, v in made.attrs["units"].items() if k in found.columns or k in ("DV",)}
    return found


def parameters(runs: xr.Dataset, model: Model, draw: int = 0) -> pd.DataFrame:
    """One row a subject of each arm: ID, ARM, arm, and every parameter of a draw."""
    arms, n = [str(a) for a in runs["arm"].values], len(runs["subject"])
    one = runs[[f"theta_{p}" for p in model.param_names]].isel(draw=draw).transpose("arm", "subject")
    columns = {p: np.asarray(one[f"theta_{p}"].values, float).ravel() for p in model.param_names}
    lead = {"ID": np.arange(len(arms) * n) + 1, "ARM": np.repeat(np.arange(len(arms)) + 1, n), "arm": np.repeat(arms, n)}
    return pd.DataFrame(lead | columns)


def xpose_table(runs: xr.Dataset, draws: int = 1) -> pd.DataFrame:
    """The predictions as a NONMEM table (sdtab): a line a subject, arm, draw, time and observable: ID, REP, ARM, TIME, DVID, IPRED (DV where
    runs have residual error), covariates.

    ID counts over arms and subjects, as in records.csv; REP is the draw (from 1), evenly spaced over those of the runs; DVID counts the observables. Lines
    without a prediction (a subject who could not be solved) are left out, since NONMEM would write 0; `attrs["notes"]` counts them.
    """
    names = [str(v) for v, x in runs.data_vars.items() if set(x.dims) == {"arm", "draw", "subject", "time"}]
    pick = np.unique(np.linspace(0, len(runs["draw"]) - 1, min(draws, len(runs["draw"]))).astype(int))
    a, s, t, n = len(runs["arm"]), len(runs["subject"]), len(runs["time"]), len(names)
    values = np.stack([runs[v].isel(draw=pick).transpose("draw", "arm", "subject", "time").values for v in names], -1)
    rep, arm, subject, time, dvid = (x.ravel().astype(int) for x in np.meshgrid(*map(np.arange, (len(pick), a, s, t, n)), indexing="ij"))
    columns: dict[str, Any] = {"ID": arm * s + subject + 1, "REP": rep + 1, "ARM": arm + 1, "TIME": np.take(runs["time"].values, time)}
    columns |= {"DVID": dvid + 1, "DV" if "residual" in runs.attrs.get("vary", ()) else "IPRED": values.ravel()}
    table = pd.DataFrame(columns | {c: np.take(v.to_numpy(), subject) for c, v in _covariates(runs).items()})
    lost = np.isnan(values.ravel())
    table = table[~lost].reset_index(drop=True)
    table.attrs["notes"] = [f"{lost.sum()} of {len(lost)} lines have no prediction (not solved) and are left out."] if lost.any() else []
    return table
