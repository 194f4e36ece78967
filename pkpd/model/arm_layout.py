"""One regimen given to many virtual subjects, every observable looked at every time: laid out for one subject, then repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pkpd.data import Cohort, read_cohort
from pkpd.events import Regimen, tile
from pkpd.events.intervals import constant_intervals
from pkpd.model.model import Model
from pkpd.model.predict import Predictor, predictor
from pkpd.solve import Solver


def lay_out(
    model: Model,
    regimen: Regimen,
    times: np.ndarray,
    table: pd.DataFrame,
    name: str,
    *,
    at_dose: str = "after",
    solver: Solver | None = None,
) -> tuple[Cohort, Predictor]:
    """The cohort that was read (of one subject, or of all where doses go by body size), and the predictor of every row of `table`.

    `times` [T] in h; `table` has a finite number for each covariate; `at_dose` says whether a look at the time of a dose is "after" or "before" it.
    `.observables(theta)[0]` of the predictor is [T, observables, rows of `table`].
    """
    by_size = bool(regimen.for_model(model).sizes)  # such doses differ between subjects, all others are laid out once
    each = table if by_size else table.iloc[:1]
    doses = regimen.to_records(model, subjects=each if by_size else None)
    rows = _records(model, doses, times, each, at_dose)
    read = read_cohort(rows, model, units=doses.attrs["units"], covariates=list(table.columns), name=name)
    bound = predictor(model, read, solver)
    bound = replace(bound, plan=replace(bound.plan, start=np.minimum(bound.plan.start, 0.0)))  # the trial begins at 0 h in every arm
    return read, bound if by_size else _repeated(bound, table)


def _repeated(bound: Predictor, table: pd.DataFrame) -> Predictor:
    n, model = len(table), bound.model
    wide = np.array([table[c].to_numpy(float) for c in model.covariate_names]).reshape(len(model.covariates), n)
    plan = replace(tile(bound.plan, n), intervals=constant_intervals(wide))
    return replace(bound, plan=plan, row_observable=np.tile(bound.row_observable, n))


def _records(model: Model, doses: pd.DataFrame, times: np.ndarray, table: pd.DataFrame, at_dose: str) -> pd.DataFrame:
    """Dose rows and looks of the subjects 1, 2, ... (the rows of `table`), in the order in which they act."""
    n, names = len(table), model.observable_names
    doses = doses.assign(RATE=doses["RATE"].where(doses["DUR"] == 0, 0.0), place=1, MDV=1, DVID="")
    one = pd.DataFrame({"TIME": np.repeat(times, len(names)), "EVID": 0, "MDV": 1, "DVID": list(names) * len(times)})
    one = one.assign(AMT=0.0, RATE=0.0, DUR=0.0, CMT="", place=2 if at_dose == "after" else 0)
    looks = one.iloc[np.tile(np.arange(len(one)), n)].assign(ID=np.repeat([str(i + 1) for i in range(n)], len(one)))
    rows = looks if doses.empty else pd.concat([doses, looks], ignore_index=True)
    rows = rows.assign(lane=rows["ID"].astype(int) - 1).sort_values(["lane", "TIME", "place"], kind="stable")
    values = {c: table[c].to_numpy()[rows["lane"]] for c in table.columns}
    return rows.drop(columns=["lane", "place"]).assign(**values)
