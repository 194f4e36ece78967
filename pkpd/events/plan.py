"""What is known about a cohort's events before any parameter is: doses, resets, looks and covariate intervals as padded arrays, subject lanes last.

Nothing here depends on parameters; `pkpd.events.layout` turns a plan into segments once lags, bioavailabilities, rates and durations are known.
Within one time the order is: infusion ends, changes of covariates, doses that arrive late (lagged or additional), then records by their rank; at a
record's own rank a reset comes first, then its steady state, then its dose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.events.intervals import Intervals, constant_intervals

SHAPES = ("bolus", "duration", "rate", "modelled_duration", "modelled_rate")
BOLUS, DURATION, RATE, MODELLED_DURATION, MODELLED_RATE = range(5)
LATE = 1e15  # moves the rank of a dose that arrives late before (or behind) every record of its time
LAST = 1e300


@dataclass(frozen=True, eq=False)
class Doses:
    """Doses [A, B], those of a lane first; `target` is -1 where there is none. `until` is the record time that cancels what is left of a dose,
    `record` the time of its own record (an additional dose comes later) and `place` that record's place in the file; `stated` marks a duration or
    rate that a column states where the record leaves it to the model.
    """

    time: Any
    rank: Any
    target: Any
    amount: Any
    shape: Any
    value: Any
    lag: Any
    bioavailability: Any
    steady: Any
    period: Any
    until: Any
    record: Any
    place: Any
    stated: Any
    row: Any


@dataclass(frozen=True, eq=False)
class Plan:
    """D dose targets, A doses, R resets, M looks, B subjects; row r of the long table is read at `(row_time[r], row_lane[r])`.

    `by_record[j, records]` are the covariates on each record of the file, for doses and looks that stand on one (None where no covariate changes).
    """

    targets: tuple[str, ...]
    doses: Doses
    reset_time: Any
    reset_rank: Any
    look_time: Any
    look_rank: Any
    look_place: Any
    row_time: Any
    row_lane: Any
    start: Any
    end: Any
    intervals: Intervals
    late: float = -LATE
    by_record: np.ndarray | None = None

    @property
    def lanes(self) -> int:
        return len(self.start)


def build_plan(
    doses: pd.DataFrame,
    looks: pd.DataFrame,
    n_subjects: int,
    targets: Sequence[str] | None = None,
    intervals: Intervals | None = None,
    late_last: bool = False,
    by_record: np.ndarray | None = None,
) -> Plan:
    """Lay out the long tables of a cohort (columns as in `Cohort`), vectorised over subjects.

    `doses` needs subject, time, rank, kind, target, amount; its other columns count where they are (a table without `shape` holds boluses, and
    infusions where `duration` is above zero). `late_last` puts a lagged dose after the records of the time it arrives at, not before them.
    """
    doses = _complete(doses)
    targets = tuple(dict.fromkeys(t for t in doses["target"] if isinstance(t, str) and t)) if targets is None else tuple(targets)
    given = doses["kind"].isin(["dose", "reset_dose"]).to_numpy() & (doses["target"] != "").to_numpy()
    until = _cancelled_at(doses)
    atoms = _scatter(doses[given].assign(until=until[given], record=_own_record(doses)[given]), n_subjects, targets)
    resets = doses[doses["kind"].isin(["reset", "reset_dose"])]
    lane, place = resets["subject"].to_numpy(int), _positions(resets["subject"].to_numpy(int))
    shape = (int(place.max(initial=-1)) + 1, n_subjects)
    looks = looks if "place" in looks else looks.assign(place=-1)
    slot, slots = _slots(looks, doses, by_record)
    look_lane = looks["subject"].to_numpy(int)
    start, end = _span(doses, looks, n_subjects)
    m = max(1, int(slot.max(initial=-1)) + 1)
    last = np.zeros((m, n_subjects)) + end
    return Plan(
        targets, atoms,
        _filled(shape, np.inf, (place, lane), resets["time"]), _filled(shape, LAST, (place, lane), resets["rank"]),
        _padded(last, (slot, look_lane), looks["time"]), _filled((m, n_subjects), LAST, (slot, look_lane), slots),
        _filled((m, n_subjects), -1, (slot, look_lane), looks["place"]), slot, look_lane, start, end,
        intervals or constant_intervals(np.zeros((0, n_subjects))),
        LATE if late_last else -LATE, by_record,
    )  # fmt: skip


def _complete(doses: pd.DataFrame) -> pd.DataFrame:
    """A dose table with every column; what a short table leaves out is a plain bolus or infusion."""
    n = len(doses)
    duration = doses["duration"].to_numpy(float) if "duration" in doses else np.zeros(n)
    plain = np.where(duration > 0, "duration", "bolus").astype(object)
    defaults = {"shape": plain, "duration": duration, "rate": np.nan, "ss": 0, "ii": 0.0, "lag": np.nan, "bioavailability": np.nan}
    defaults |= {"k": 0, "stated": False, "place": doses.get("rank", 0), "row": 0, "target": "", "amount": 0.0, "kind": "dose"}
    table = doses.assign(**{name: value for name, value in defaults.items() if name not in doses})
    return table.assign(target=table["target"].fillna("")).sort_values(["subject", "time", "rank"], kind="stable", ignore_index=True)


def _cancelled_at(doses: pd.DataFrame) -> np.ndarray:
    """For each dose the time of the next row of its subject that resets or sets a steady state (infinity if none)."""
    wipes = doses["kind"].isin(["reset", "reset_dose"]) | ((doses["ss"] == 1) & (doses["k"] == 0))
    table = doses[wipes].sort_values(["subject", "place"])
    width = float(doses["place"].max() if len(doses) else 0) + 2.0
    key = table["subject"].to_numpy(float) * width + table["place"].to_numpy(float)
    own = doses["subject"].to_numpy(float) * width + doses["place"].to_numpy(float)
    at = np.searchsorted(key, own, side="right")
    subject, time = np.append(table["subject"].to_numpy(), -1), np.append(table["time"].to_numpy(float), np.inf)
    return np.where(subject[at] == doses["subject"].to_numpy(), time[at], np.inf)


def _own_record(doses: pd.DataFrame) -> np.ndarray:
    """For each dose the time of its own record."""
    first = doses[doses["k"] == 0]
    width = float(doses["place"].max() if len(doses) else 0) + 2.0
    key, own = (t["subject"].to_numpy(float) * width + t["place"].to_numpy(float) for t in (first, doses))
    order = np.argsort(key, kind="stable")
    at = np.searchsorted(key[order], own)
    return first["time"].to_numpy(float)[order[np.minimum(at, len(order) - 1)]] if len(order) else np.zeros(0)


def _positions(lane: np.ndarray) -> np.ndarray:
    """The place of each item within its lane, lanes in blocks."""
    if not len(lane):
        return np.zeros(0, int)
    first = np.flatnonzero(np.diff(lane, prepend=lane[0] - 1))
    return np.arange(len(lane)) - np.repeat(first, np.diff(np.append(first, len(lane))))


def _filled(shape: tuple[int, int], empty: Any, where: tuple[np.ndarray, np.ndarray], values: Any) -> np.ndarray:
    return _padded(np.full(shape, empty), where, values)


def _padded(table: np.ndarray, where: tuple[np.ndarray, np.ndarray], values: Any) -> np.ndarray:
    table[where] = np.asarray(values)
    return table


def _scatter(doses: pd.DataFrame, n: int, targets: tuple[str, ...]) -> Doses:
    lane = doses["subject"].to_numpy(int)
    place = _positions(lane)
    size, where = (int(place.max(initial=0)) + 1, n), (place, lane)  # one empty dose where there is none
    shape = doses["shape"].map({name: i for i, name in enumerate(SHAPES)}).fillna(BOLUS).to_numpy(int)
    value = np.where(shape == DURATION, doses["duration"].to_numpy(float), np.where(shape == RATE, doses["rate"].to_numpy(float), np.nan))
    named = doses["target"].map({t: i for i, t in enumerate(targets)}).fillna(-1).to_numpy(int)
    fill = lambda empty, values: _filled(size, empty, where, values)  # noqa: E731
    return Doses(
        time=fill(0.0, doses["time"]), rank=fill(LAST, doses["rank"]), target=fill(-1, named), amount=fill(0.0, doses["amount"]),
        shape=fill(BOLUS, shape), value=fill(np.nan, value), lag=fill(np.nan, doses["lag"]),
        bioavailability=fill(np.nan, doses["bioavailability"]), steady=fill(0, doses["ss"]), period=fill(0.0, doses["ii"]),
        until=fill(np.inf, doses["until"]), record=fill(0.0, doses["record"]),
        place=fill(-1, doses["place"]), stated=fill(False, doses["stated"]), row=fill(0, doses["row"]),
    )  # fmt: skip


def _slots(looks: pd.DataFrame, doses: pd.DataFrame, by_record: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The slot of each look in its lane, and its rank: looks of one time share one unless a dose record or a change of covariates parts them."""
    events = doses[doses["k"] == 0]
    lane = np.concatenate([looks["subject"], events["subject"]]).astype(int)
    time = np.concatenate([looks["time"], events["time"]]).astype(float)
    rank = np.concatenate([looks["rank"], events["rank"] + 0.05]).astype(float)
    order = np.lexsort((rank, time, lane))
    is_look = order < len(looks)
    seen = np.cumsum(~is_look)[is_look]
    mine = order[is_look]
    new = (np.diff(seen, prepend=-1) != 0) | (np.diff(time[mine], prepend=np.nan) != 0) | (np.diff(lane[mine], prepend=-1) != 0)
    if by_record is not None and len(mine):
        own = by_record[:, looks["place"].to_numpy(int)[mine]]
        new |= np.append(True, (np.diff(own, axis=1) != 0).any(0))
    block = np.cumsum(new)
    first_of_lane = np.zeros(lane.max(initial=-1) + 2, int)
    starts = np.flatnonzero(np.diff(lane[mine], prepend=-1))
    first_of_lane[lane[mine][starts]] = block[starts]
    slot = np.zeros(len(looks), int)
    slot[mine] = block - first_of_lane[lane[mine]]
    return slot, rank[: len(looks)]


def _span(doses: pd.DataFrame, looks: pd.DataFrame, n: int) -> tuple[np.ndarray, np.ndarray]:
    lane = np.concatenate([looks["subject"], doses["subject"]]).astype(int)
    time = np.concatenate([looks["time"], doses["time"]]).astype(float)
    start, end = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(start, lane, time)
    np.maximum.at(end, lane, time)
    empty = ~np.isfinite(start)
    return np.where(empty, 0.0, start), np.where(empty, 0.0, end)


def tile(plan: Plan, n: int) -> Plan:
    """`n` copies of a plan side by side, copy by copy, its rows likewise: a virtual cohort is laid out once and repeated.

    >>> none, looks = pd.DataFrame({"subject": [], "time": [], "rank": [], "place": []}), pd.DataFrame({"subject": [0], "time": [1.0], "rank": [0]})
    >>> tile(build_plan(none, looks, 1), 3).row_lane.tolist()
    [0, 1, 2]
    """
    wide = {
        f: np.tile(getattr(plan, f), n)
        for f in ("reset_time", "reset_rank", "look_time", "look_rank", "look_place", "row_time", "start", "end")
    }
    doses = Doses(**{f: np.tile(getattr(plan.doses, f), n) for f in Doses.__dataclass_fields__})
    copies = plan.lanes * np.repeat(np.arange(n), len(plan.row_lane))
    return replace(plan, **wide, doses=doses, intervals=plan.intervals.tile(n), row_lane=np.tile(plan.row_lane, n) + copies)
