"""Doses as NONMEM-style records, and records as doses again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Vocabulary
from pkpd.data.unscored import read_unscored
from pkpd.errors import DoseError
from pkpd.events.administration import Administration
from pkpd.events.body import SIZES, body_sizes
from pkpd.events.wording import amount_in_words
from pkpd.units import CLOCK

COLUMNS = ["ID", "TIME", "EVID", "AMT", "RATE", "DUR", "CMT"]
CODES = {"modelled_rate": -1.0, "modelled_duration": -2.0}


def needed_sizes(doses: Iterable[Administration]) -> dict[str, str]:
    """The body sizes that doses count by, each with a dose that does, in words."""
    return {size: f"A dose of {amount_in_words(d)}" for d in reversed(tuple(doses)) for size in d.sizes}


def records_of(doses: Sequence[Administration], id: str, subjects: pd.DataFrame | None, bsa: str | None) -> pd.DataFrame:
    """The records of doses in a model's words, of the subject `id` or of each row of `subjects`; see `Regimen.to_records`."""
    needed = needed_sizes(doses)
    if subjects is None:
        for size, dose in needed.items():
            raise DoseError(f"{dose} needs the {SIZES[size][1]} of each subject: to_records(model, subjects=table), or for_body(...).")
        return write_records(doses, [id], {})
    if id != "1":
        raise DoseError(f"to_records(id={id!r}, subjects=...): the subjects carry their own names. Put them in column ID of the table.")
    ids = subjects["ID"].tolist() if "ID" in subjects.columns else [str(i + 1) for i in range(len(subjects))]
    return write_records(doses, ids, body_sizes(subjects, needed, bsa))


def write_records(doses: Sequence[Administration], ids: Sequence[Any], sizes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row a dose, subject by subject: columns ID, TIME, EVID, AMT, RATE, DUR, CMT, and SS, II, LAG, F where a dose has them.

    `doses` are in a model's words; `sizes` holds one value a subject. An infusion by duration has RATE = AMT / DUR beside its DUR.
    """
    n = len(ids)
    given = [d.given(sizes) for d in doses]
    amount, rate = (np.array([np.broadcast_to(pair[i], n) for pair in given]).reshape(len(doses), n).T.ravel() for i in (0, 1))
    each = pd.DataFrame([_plain(d) for d in doses], columns=["TIME", "EVID", "DUR", "CMT", "SS", "II", "LAG", "F", "shape"])
    rows = each.iloc[np.tile(np.arange(len(doses)), n)].reset_index(drop=True)
    speed = np.divide(amount, rows["DUR"].to_numpy(float), out=rate, where=rows["shape"].eq("duration").to_numpy())
    rows = rows.assign(
        ID=np.repeat(np.array(ids, dtype=object), len(doses)), AMT=amount, RATE=rows["shape"].map(CODES).fillna(pd.Series(speed))
    )
    table = rows[COLUMNS + _extra(doses)]
    table.attrs["units"] = {"TIME": CLOCK, "AMT": {d.target: d.record_unit for d in doses}}
    return table


def _plain(d: Administration) -> tuple:
    lag, share = (np.nan if x is None else x for x in (d.lag, d.bioavailability))
    return d.time, 1, d.duration, d.target, d.steady_state, d.interval, lag, share, d.shape


def _extra(doses: Sequence[Administration]) -> list[str]:
    """The columns that these doses need beside the usual ones."""
    steady = ["SS", "II"] if any(d.steady_state for d in doses) else []
    lag = ["LAG"] if any(d.lag is not None for d in doses) else []
    return [*steady, *lag, *(["F"] if any(d.bioavailability is not None for d in doses) else [])]


def read_records(records: Any, words: Vocabulary, units: Any) -> tuple[Administration, ...]:
    """The doses of one subject's records, additional doses written out; raises `DoseError` for what no regimen says."""
    cohort = read_unscored(records, replace(words, covariates=()), units=units).cohort
    if cohort.n_subjects > 1:
        raise DoseError(f"The records hold {cohort.n_subjects} subjects; a regimen is one subject's. Keep the rows of one ID.")
    if (cohort.doses["kind"] != "dose").any():
        raise DoseError("The records hold a reset (EVID 3 or 4), which no regimen has. Use simulate(model, records, ...).")
    doses = _without_cancelled(cohort.doses)
    rows: list[Any] = list(doses.itertuples(index=False))
    return tuple(_administration(d, words.dose_unit(d.target) or "") for d in rows)


def _without_cancelled(doses: pd.DataFrame) -> pd.DataFrame:
    """Without the additional doses that a later dose at steady state takes away: written out, they would be given."""
    gone = np.zeros(len(doses), bool)
    place, time, rank = (doses[name].to_numpy() for name in ("place", "time", "rank"))
    for s in np.flatnonzero(doses["ss"].to_numpy() == 1):
        gone |= (doses["k"].to_numpy() > 0) & (place < place[s]) & (time >= time[s])
        before = np.flatnonzero(~gone & (time == time[s]) & (rank < rank[s]))
        if len(before):
            raise DoseError(
                f"Row {doses['row'].iloc[before[0]]} gives a dose which row {doses['row'].iloc[s]}, at steady state (SS = 1) and at the same time, "
                "takes away. No regimen says this. Leave the first of them out, or give the second SS = 2."
            )
    return doses[~gone]


def _administration(d: Any, unit: str) -> Administration:
    by_rate = d.shape == "rate"
    return Administration(
        amount=float(d.amount),
        unit=unit,
        time=float(d.time),
        duration=float(d.duration) if d.shape == "duration" else 0.0,
        target=d.target,
        shape=d.shape,
        rate=float(d.rate) if by_rate else 0.0,
        rate_unit=unit if by_rate else "",
        steady_state=int(d.ss),
        interval=float(d.ii) if d.ss else 0.0,
        lag=None if np.isnan(d.lag) else float(d.lag),
        bioavailability=None if np.isnan(d.bioavailability) else float(d.bioavailability),
    )
