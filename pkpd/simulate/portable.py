"""Dose records in the columns that every program has: a duration as a rate, a dose's own lag and bioavailability worked into time and amount."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.errors import FitError
from pkpd.model import Model

EXTRA = ("DUR", "LAG", "F")


def portable(records: pd.DataFrame, model: Model) -> pd.DataFrame:
    """The same doses without the columns DUR, LAG and F, which NONMEM and mrgsolve do not have: RATE = AMT / DUR, TIME + LAG, AMT x F.

    Rows stay in the order in which they act. Raises `FitError` where that would not be the same: a duration where the model gives the route a
    bioavailability, and a lag before a steady state.
    """
    found = records.assign(**{c: records[c].astype(float) if c in records else np.nan for c in EXTRA})
    dose = (found["EVID"] == 1).to_numpy()
    own_lag, own_share = dose & found["LAG"].notna().to_numpy(), dose & found["F"].notna().to_numpy()
    lasts = dose & (found["DUR"].fillna(0.0) > 0).to_numpy()
    _refuse(found, model, own_lag, lasts)
    amount = found["AMT"].astype(float) * np.where(own_share, found["F"], 1.0)
    rate = found["RATE"].astype(float) if "RATE" in found else pd.Series(0.0, index=found.index)
    rate = rate.where(~lasts | (rate < 0), amount / found["DUR"].where(lasts, 1.0))
    time = found["TIME"].astype(float) + np.where(own_lag, found["LAG"].fillna(0.0), 0.0)
    made = found.assign(
        AMT=amount, RATE=rate, TIME=time, order=np.arange(len(found)) - len(found) * own_lag
    )  # a late dose stands before looks of its time
    made = made.sort_values(["ID", "TIME", "order"], key=lambda c: c.astype(float), kind="stable")
    return made.drop(columns=[*EXTRA, "order"]).reset_index(drop=True)


def _refuse(rows: pd.DataFrame, model: Model, own_lag: np.ndarray, lasts: np.ndarray) -> None:
    typical, q = model.typical, {c.name: c.reference for c in model.covariates}
    for target in sorted(set(rows.loc[lasts, "CMT"])):
        if model.dose_value(target, "bioavailability", typical, q) is not None:
            raise FitError(
                f"A dose into '{target}' is infused over a duration, and {model.name} gives that route a bioavailability, which scales the duration of an "
                "infusion that NONMEM reads (RATE > 0) and the rate of this one. Give the dose by its rate."
            )
    if "SS" in rows and (own_lag & (rows["SS"].fillna(0) > 0)).any():
        raise FitError("A dose at steady state has a lag of its own, which no records of NONMEM say. Leave the lag out.")
