"""Dose rows as single doses: additional doses written out, and what a reset cancels taken away.

Dose k of a row with ADDL stands at TIME + k II, k = 0..ADDL. An additional dose has a rank below zero, so at the time of any row it
acts before that row (pinned by NONMEM's numbers); a row's own rank is its place among the rows. A reset (EVID 3, 4) cancels additional
doses still to come and cuts infusions that run: the rate stays, duration and amount shrink.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = {1: "dose", 3: "reset", 4: "reset_dose"}
COLUMNS = ["subject", "time", "rank", "kind", "target", "amount", "duration", "truncated", "row"]


def expand_doses(records: pd.DataFrame) -> pd.DataFrame:
    """The dose table of validated records: one line per dose or reset, ordered by subject, time and rank.

    >>> rows = {"row": [2, 3], "subject": [0, 0], "TIME": [0.0, 12.0], "EVID": [1, 0], "AMT": [5.0, 0.0]}
    >>> more = {"DUR": [0.0, 0.0], "ADDL": [1, 0], "II": [12.0, 0.0], "CMT": ["depot", ""]}
    >>> expand_doses(pd.DataFrame(rows | more))[["time", "rank", "amount"]].values.tolist()
    [[0.0, 0.0, 5.0], [12.0, -2.0, 5.0]]
    """
    events = records.assign(place=np.arange(len(records)))[records["EVID"].isin(KINDS).to_numpy()]
    doses = _repeat(events, len(records))
    doses["time"] = _snap(doses, records)
    doses = _cancel(doses, records)
    ordered = doses.sort_values(["subject", "time", "rank"], kind="stable", ignore_index=True)
    return ordered[COLUMNS]


def _repeat(events: pd.DataFrame, count: int) -> pd.DataFrame:
    times = events["ADDL"].to_numpy() + 1
    source = np.repeat(np.arange(len(events)), times)
    k = np.arange(len(source)) - np.repeat(np.cumsum(times) - times, times)
    each = events.iloc[source]
    place = each["place"].to_numpy()
    kind = np.where(k > 0, "dose", each["EVID"].map(KINDS).to_numpy(dtype=object))
    columns = {"subject": "subject", "amount": "AMT", "duration": "DUR", "target": "CMT", "row": "row"}
    table = {new: each[old].to_numpy() for new, old in columns.items()}
    time = each["TIME"].to_numpy() + k * each["II"].to_numpy()
    rank = np.where(k > 0, place - count, place)
    return pd.DataFrame({**table, "time": time, "rank": rank, "kind": kind, "place": place, "k": k, "truncated": False})


def _snap(doses: pd.DataFrame, records: pd.DataFrame) -> np.ndarray:
    """TIME + k II may miss a row's time by a rounding (3 x 0.1 against 0.3): such a dose takes the row's time."""
    time, later = doses["time"].to_numpy().copy(), doses["k"].to_numpy() > 0
    if not later.any():
        return time
    near = 1e-12 * max(1.0, float(np.abs(time).max()))
    left = pd.DataFrame({"time": time[later], "subject": doses["subject"].to_numpy()[later], "at": np.flatnonzero(later)})
    right = pd.DataFrame({"time": records["TIME"], "subject": records["subject"], "own": records["TIME"]}).sort_values("time")
    # pandas takes a float tolerance though its annotation does not say so
    met = pd.merge_asof(left.sort_values("time"), right, on="time", by="subject", direction="nearest", tolerance=near)  # ty: ignore
    hit = met["own"].notna().to_numpy()
    time[met["at"].to_numpy()[hit]] = met["own"].to_numpy()[hit]
    return time


def _cancel(doses: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Drop what a reset cancels, and cut what runs into it."""
    until, seen = _next_reset(doses, records)
    time, duration = doses["time"].to_numpy(), doses["duration"].to_numpy()
    added = doses["k"].to_numpy() > 0
    gone = added & ((time > until) | ((time == until) & ~seen))
    left = np.clip(until - time, 0.0, duration)
    cut = (duration > 0) & (time + duration > until) & ~gone
    part = np.divide(left, duration, out=np.ones(len(doses)), where=cut)
    amount = np.where(cut, doses["amount"] * part, doses["amount"])
    empty = cut & (left == 0)
    kind = np.where(empty & (doses["kind"] == "reset_dose"), "reset", doses["kind"])
    kept = ~gone & ~(empty & (doses["kind"] == "dose").to_numpy())
    new = doses.assign(amount=amount, duration=np.where(cut, left, duration), truncated=cut, kind=kind)
    return new[kept]


def _next_reset(doses: pd.DataFrame, records: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """For each dose the time of the next reset row of its subject (infinity if none), and whether a row of that time comes before it."""
    subject, time = records["subject"].to_numpy(), records["TIME"].to_numpy()
    resets = np.flatnonzero(records["EVID"].isin([3, 4]).to_numpy())
    j = np.searchsorted(resets, doses["place"].to_numpy(), side="right")
    at = np.append(resets, 0)[j]
    there = (j < len(resets)) & (subject[at] == doses["subject"].to_numpy())
    before = (at > 0) & (subject[at - 1] == subject[at]) & (time[at - 1] == time[at])
    return np.where(there, time[at], np.inf), there & before
