"""Doses that collide with resets, observations, and each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.data.checks.study import Study, ends, once, steps
from pkpd.data.names import targets
from pkpd.data.table import found
from pkpd.errors import Defect

STEP, NEAR, SLACK = 300.0, 0.25, 0.01


def check_dosing(study: Study) -> Iterator[Defect]:
    """Resets, trains of doses, infusions, amounts, and samples at the time of a dose."""
    if len(study.given):
        yield from _into_resets(study)
        yield from _after_the_end(study)
        yield from _amounts(study)
        if study.ties == "rows":  # else the caller has said which comes first
            yield from _at_doses(study)
        line = _lines(study)
        yield from _trains(study, line)
        yield from _overlaps(study, line)


def _into_resets(study: Study) -> Iterator[Defect]:
    doses, place = study.given, study.given["place"].to_numpy(int)
    start = doses["time"].to_numpy(float) + np.nan_to_num(doses["lag"].to_numpy(float))
    end, reset = start + ends(doses), _next_reset(study, place)
    hit = (start < reset) & (end > reset * (1 + 1e-9) + 1e-9)
    until, at = np.full(len(study), np.nan), np.full(len(study), np.nan)
    until[place[hit][::-1]], at[place[hit][::-1]] = end[hit][::-1], reset[hit][::-1]  # the first of a train is told
    yield from found("PK137", study.table, ~np.isnan(at), "RATE" if "RATE" in study.table.present else "DUR", value=until, other=at)


def _next_reset(study: Study, place: np.ndarray) -> np.ndarray:
    """The time of the next reset row of the subject after each place; infinity for none."""
    resets = np.flatnonzero(study.table.evid(3, 4))
    j = np.searchsorted(resets, place, side="right")
    at = np.append(resets, 0)[j]
    there = (j < len(resets)) & (study.subject[at] == study.subject[place])
    return np.where(there, study.time[at], np.inf)


def _after_the_end(study: Study) -> Iterator[Defect]:
    seen, last = study.table.evid(0), np.full(study.count, np.inf)
    last[study.subject[seen]] = study.time[seen]  # rows are in the order of time: the last one stays
    late = study.table.gives & (study.time > last[study.subject])
    yield from found("PK138", study.table, once(late, study.subject), "TIME", value=study.time, other=last[study.subject])


def _amounts(study: Study) -> Iterator[Defect]:
    where, unit = targets(study.table), study.units.get("AMT", "")
    for name in pd.unique(where[study.table.gives]):
        mine = np.flatnonzero(study.table.gives & (where == name) & (study.table["AMT"] > 0))
        amount = study.table["AMT"][mine]
        if (split := steps(amount, STEP)) is None:
            continue
        rare, low, high = split
        small = bool(amount[rare].max() <= low)
        near = high if small else low
        rows, times = np.zeros(len(study), bool), np.full(len(study), np.nan)
        rows[mine[rare]] = True
        times[mine] = np.round(np.maximum(near / amount, amount / near))
        told = {"value": _with_unit(study.table["AMT"], rows, unit), "other": f"{near:.10g} {unit}".strip(), "times": times}
        side, into = "smaller" if small else "larger", f" into '{name}'" if name else ""
        yield from found("PK149", study.table, rows, "AMT", **told, side=side, into=into)


def _with_unit(values: np.ndarray, rows: np.ndarray, unit: str) -> np.ndarray:
    told = np.full(len(values), "", dtype=object)
    told[rows] = [f"{v:.10g} {unit}".strip() for v in values[rows]]
    return told


def _at_doses(study: Study) -> Iterator[Defect]:
    doses = study.given[(study.given["shape"] == "bolus").to_numpy() & ~(study.given["lag"] > 0).to_numpy()]
    first = doses.groupby(["subject", "time"], sort=False)["rank"].min().reset_index()
    rows = np.flatnonzero(study.scored)
    seen = pd.DataFrame({"subject": study.subject[rows], "time": study.time[rows], "place": rows})
    met = seen.merge(first, on=["subject", "time"])
    where = np.zeros(len(study), bool)
    where[met.loc[met["rank"] < met["place"], "place"].to_numpy(int)] = True
    yield from found("PK150", study.table, where, "TIME")


@dataclass(frozen=True, eq=False)
class _Lines:
    """Dose rows (additional doses left out): their place, time, how long they run, the time of the next dose row into the same
    compartment (infinity for none, or where a reset or a dose with SS 1 comes first), the number of additional doses, and II (h)."""

    place: np.ndarray
    time: np.ndarray
    lasts: np.ndarray
    following: np.ndarray
    more: np.ndarray
    apart: np.ndarray
    repeated: np.ndarray


def _lines(study: Study) -> _Lines:
    base = study.given[(study.given["k"] == 0).to_numpy()]
    place, time = base["place"].to_numpy(int), base["time"].to_numpy(float)
    each = base.groupby(["subject", "target", "time"], sort=True)["ss"].max().reset_index()
    group = each.groupby(["subject", "target"], sort=False)
    each["following"] = group["time"].shift(-1).where(group["ss"].shift(-1) != 1)
    following = base[["subject", "target", "time"]].merge(each, on=["subject", "target", "time"], how="left")["following"]
    ended = _next_reset(study, place) <= following.to_numpy(float)
    more = np.bincount(study.given["place"].to_numpy(int), minlength=len(study))[place] - 1
    next_time = np.where(ended | following.isna().to_numpy(), np.inf, following.to_numpy(float))
    apart = base["ii"].to_numpy(float)
    return _Lines(place, time, ends(base), next_time, more, apart, (more > 0) | (base["ss"] > 0).to_numpy())


def _trains(study: Study, line: _Lines) -> Iterator[Defect]:
    last = line.time + line.more * line.apart
    nearest = np.clip(np.round((line.following - line.time) / line.apart), 1, np.maximum(line.more, 1))
    off = np.abs(line.time + nearest * line.apart - line.following)
    slack = 1e-9 * np.maximum(1.0, np.abs(last))
    hit = (line.more > 0) & np.isfinite(line.following) & (last >= line.following - slack) & (off <= NEAR * line.apart)
    yield from _told(study, "PK148", "ADDL", line, hit, last, line.following)


def _overlaps(study: Study, line: _Lines) -> Iterator[Defect]:
    until = np.minimum(line.following - line.time, np.where(line.repeated & (line.apart > 0), line.apart, np.inf))
    hit = (line.lasts > 0) & (line.lasts > until * (1 + SLACK))
    column = "RATE" if "RATE" in study.table.present else "DUR"
    yield from _told(study, "PK153", column, line, hit, line.lasts, until)


def _told(study: Study, code: str, column: str, line: _Lines, hit: np.ndarray, value: np.ndarray, other: np.ndarray) -> Iterator[Defect]:
    where, one, two = np.zeros(len(study), bool), np.full(len(study), np.nan), np.full(len(study), np.nan)
    rows = line.place[hit]
    where[rows], one[rows], two[rows] = True, value[hit], other[hit]
    yield from found(code, study.table, where, column, value=one, other=two)
