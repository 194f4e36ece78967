"""Dose rows as single doses: additional doses written out. What a reset or a steady state takes away is decided where doses are scheduled.

Dose k of a row with ADDL stands at TIME + k II, k = 0..ADDL. An additional dose has a rank below zero, so at the time of any row it
acts before that row (pinned by NONMEM's numbers); a row's own rank is its place among the rows, unless `ties=` says otherwise.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.data.ties import ranks

KINDS = {1: "dose", 3: "reset", 4: "reset_dose"}
COLUMNS = ["subject", "time", "rank", "place", "k", "kind", "target", "amount", "shape", "duration", "rate", "ss", "ii", "lag"]
COLUMNS += ["bioavailability", "stated", "row"]
SOURCE = {
    "subject": "subject",
    "target": "CMT",
    "amount": "AMT",
    "shape": "SHAPE",
    "duration": "DUR",
    "rate": "RATE",
    "ii": "II",
    "row": "row",
}
SOURCE |= {"lag": "LAG", "bioavailability": "F"}


def expand_doses(records: pd.DataFrame, ties: str = "rows") -> pd.DataFrame:
    """The dose table of validated records: one line per dose or reset, ordered by subject, time and rank.

    `records` has the columns subject, row, TIME (h), EVID, CMT, AMT, SHAPE, DUR (h), RATE (per h), SS, ADDL, II (h), LAG (h) and F.

    >>> rows = {"row": [2, 3], "subject": 0, "TIME": [0.0, 12.0], "EVID": [1, 0], "CMT": ["depot", ""], "AMT": [5.0, 0.0], "SHAPE": "bolus"}
    >>> more = {"ADDL": [1, 0], "II": [12.0, 0.0], "SS": 0, "DUR": np.nan, "RATE": np.nan, "LAG": np.nan, "F": np.nan}
    >>> expand_doses(pd.DataFrame(rows | more))[["time", "rank", "k", "amount"]].values.tolist()
    [[0.0, 0.0, 0.0, 5.0], [12.0, -2.0, 1.0, 5.0]]
    """
    evid = records["EVID"].to_numpy()
    place = np.flatnonzero((evid == 1) | (evid == 3) | (evid == 4))
    times = np.where(evid[place] == 3, 0, records["ADDL"].to_numpy()[place]) + 1
    source = np.repeat(place, times)
    k = np.arange(len(source)) - np.repeat(np.cumsum(times) - times, times)
    table = {new: records[old].to_numpy()[source] for new, old in SOURCE.items()}
    table["time"] = _snap(records["TIME"].to_numpy()[source] + k * table["ii"], table["subject"], k > 0, records)
    table |= {"place": source, "k": k, "rank": _rank(records, source, k, ties)}
    table["stated"] = records["STATED"].to_numpy()[source] if "STATED" in records else np.zeros(len(source), bool)
    table["ss"] = np.where(k > 0, 0, records["SS"].to_numpy()[source])
    table["kind"] = np.where(k > 0, "dose", np.array([KINDS.get(i, "") for i in range(5)], dtype=object)[evid[source]])
    order = np.lexsort((source, table["rank"], table["time"], table["subject"]))
    return pd.DataFrame({name: table[name][order] for name in COLUMNS}, copy=False)


def _rank(records: pd.DataFrame, source: np.ndarray, k: np.ndarray, ties: str) -> np.ndarray:
    """Additional doses act before every row of their time; after every row where observations are to come first."""
    count = len(records)
    return np.where(k > 0, source + (count if ties == "observations_first" else -count), ranks(records, ties)[source])


def _snap(time: np.ndarray, subject: np.ndarray, added: np.ndarray, records: pd.DataFrame) -> np.ndarray:
    """TIME + k II may miss a row's time by a rounding (3 x 0.1 against 0.3): such a dose takes the row's time."""
    if not added.any():
        return time
    near = 1e-12 * max(1.0, float(np.abs(time).max()))
    rows, own = records["TIME"].to_numpy(), records["subject"].to_numpy()
    times, owners = np.concatenate([rows, time[added]]), np.concatenate([own, subject[added]])
    order = np.lexsort((times, owners))
    before, after = _neighbours(order < len(rows))
    best, distance = time[added], np.full(int(added.sum()), np.inf)
    at = np.empty(len(order), int)
    at[order] = np.arange(len(order))
    for beside in (before, after):
        candidate = beside[at[len(rows) :]]
        row = order[candidate]
        far = np.where((candidate >= 0) & (owners[row] == subject[added]), np.abs(times[row] - time[added]), np.inf)
        better = (far <= near) & (far < distance)
        best, distance = np.where(better, times[row], best), np.where(better, far, distance)
    snapped = time.copy()
    snapped[added] = best
    return snapped


def _neighbours(is_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each place of a sorted list the nearest row at or before it, and at or after it; -1 where there is none."""
    place = np.arange(len(is_row))
    before = np.maximum.accumulate(np.where(is_row, place, -1))
    after = np.minimum.accumulate(np.where(is_row, place, len(is_row))[::-1])[::-1]
    return before, np.where(after == len(is_row), -1, after)
