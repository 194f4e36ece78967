"""Measurements that look wrong beside the others of the file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pkpd.data.checks.observations import first_equal
from pkpd.data.checks.quality_covariates import WATCHED, WEIGHT, stands_for_missing
from pkpd.data.checks.study import Study, once, rounded, steps
from pkpd.data.table import found
from pkpd.errors import Defect, UnitError
from pkpd.units import factor, parse

FEW = 0.1
"""At most this part of the values: then it is an accident, else a manner of writing."""
CONSTANT, STEP, STEP_SUBJECTS, STEP_VALUES = 5, 300.0, 4, 3
OFF, SPREADS, FEWEST_TRIPLES = 10.0, 8.0, 20
LEAST_VOLUME = 0.01  # L/kg, a fifth of the plasma


def check_values(study: Study) -> Iterator[Defect]:
    """Zeros, signs, limits, repeats, sizes and neighbours of what was measured."""
    for code, label in enumerate(study.labels):
        mine = study.scored & (study.what == code)
        if label and mine.any():
            yield from _signs(study, mine, label)
            yield from _constant(study, mine & study.quantified)
            yield from _other_size(study, mine & study.quantified)
    yield from _limits(study)
    yield from _not_read(study)
    yield from _repeats(study)
    yield from _out_of_line(study)
    yield from _too_much(study)


def _signs(study: Study, mine: np.ndarray, label: str) -> Iterator[Defect]:
    value, unit = study.dv, study.unit_of(label)
    code = np.zeros(len(study), bool)
    code[mine] = stands_for_missing(value[mine])
    yield from found("PK131", study.table, code, "DV", name=study.name, value=value)
    below = mine & study.quantified & (value < 0) & ~code
    volume = unit is not None and dict(unit.dims).get("meter") == -3.0
    if volume or below.sum() <= FEW * mine.sum():
        yield from found("PK136", study.table, below, "DV", name=study.name, value=value)
    if (unit is None or not unit.dimensionless) and value[mine & ~code].min(initial=0.0) >= 0 and (value[mine] > 0).mean() >= 0.5:
        late = study.time > study.first_dose[study.subject]
        zero = mine & study.quantified & (value == 0) & late & np.isnan(study.table["LLOQ"])
        yield from found("PK134", study.table, zero, "DV", name=study.name)


def _constant(study: Study, mine: np.ndarray) -> Iterator[Defect]:
    table = pd.Series(study.dv[mine]).groupby(study.subject[mine]).agg(["min", "max", "size"]).reindex(range(study.count))
    same = (table["min"] == table["max"]).to_numpy()
    where = same & (table["size"] >= CONSTANT).to_numpy() & (table["min"] != 0).to_numpy()
    rest = study.dv[mine & ~where[study.subject]]
    if len(rest) and rest.min() < rest.max():
        count = np.nan_to_num(table["size"].to_numpy(float))[study.subject]
        at = once(mine & where[study.subject], study.subject)
        yield from found("PK143", study.table, at, "DV", name=study.name, value=study.dv, count=count)


def _other_size(study: Study, mine: np.ndarray) -> Iterator[Defect]:
    positive = mine & (study.dv > 0)
    table = pd.Series(np.log(study.dv[positive])).groupby(study.subject[positive]).agg(["mean", "size"])
    table = table[table["size"] >= STEP_VALUES]
    mean = np.exp(table["mean"].to_numpy(float))
    if len(table) < STEP_SUBJECTS or (split := steps(mean, STEP)) is None:
        return
    rare, low, high = split
    small = bool(mean[rare].max() <= low)
    own = np.full(study.count, np.nan)
    own[table.index.to_numpy()[rare]] = mean[rare]
    at = once(positive & ~np.isnan(own)[study.subject], study.subject)
    times = np.where(small, high / own, own / low)
    told = {"value": rounded(own)[study.subject], "times": rounded(times)[study.subject], "side": "smaller" if small else "larger"}
    yield from found("PK151", study.table, at, "DV", name=study.name, **told)


def _limits(study: Study) -> Iterator[Defect]:
    limit = study.table["LLOQ"]
    yield from found("PK135", study.table, study.quantified & (study.dv < limit), "DV", name=study.name, value=study.dv, other=limit)


def _not_read(study: Study) -> Iterator[Defect]:
    """Measurements on dose rows, and those that MDV sets aside."""
    table, set_aside = study.table, study.table["MDV"] == 1
    told = ~np.isnan(study.dv) & (study.dv != 0)
    yield from found("PK146", table, table.gives & told & ~set_aside, "DV", value=study.dv, evid=table["EVID"])
    yield from found("PK147", table, table.evid(0) & told & set_aside, "DV", value=study.dv)


def _repeats(study: Study) -> Iterator[Defect]:
    first = first_equal(study.table, exact=False)
    again = first >= 0
    if 0 < again.sum() <= FEW * study.scored.sum():
        again &= study.dv != study.dv[first]  # the same DV twice is PK065, which was allowed
        told = {"value": study.dv, "other": study.dv[first], "first": study.table["ROW"][first]}
        yield from found("PK145", study.table, again, "DV", name=study.name, **told)


def _out_of_line(study: Study) -> Iterator[Defect]:
    """Values far from the line through both their neighbours, on the logarithmic scale."""
    rows = np.flatnonzero(study.quantified & (study.dv > 0))
    rows = rows[np.lexsort((rows, study.subject[rows], study.what[rows]))]
    before, here, after = rows[:-2], rows[1:-1], rows[2:]
    time, value = study.time, np.log(np.where(study.dv > 0, study.dv, 1.0))
    fits = (time[before] < time[here]) & (time[here] < time[after])
    for key in (study.subject, study.what, study.doses_before):
        fits &= (key[before] == key[here]) & (key[here] == key[after])
    before, here, after = before[fits], here[fits], after[fits]
    share = (time[here] - time[before]) / (time[after] - time[before])
    off = value[here] - value[before] - share * (value[after] - value[before])
    beyond = np.maximum(value[here] - np.maximum(value[before], value[after]), np.minimum(value[before], value[after]) - value[here])
    wrong = (beyond >= np.log(OFF)) & (np.abs(off) > SPREADS * _spread(off, study.what[here]))
    where, lower, upper = np.zeros(len(study), bool), np.full(len(study), np.nan), np.full(len(study), np.nan)
    where[here[wrong]] = True
    lower[here], upper[here] = study.dv[before], study.dv[after]
    yield from found("PK144", study.table, where, "DV", name=study.name, value=study.dv, before=lower, after=upper)


def _spread(off: np.ndarray, what: np.ndarray) -> np.ndarray:
    """For each distance the robust standard deviation of all distances of its observable; infinity where there are too few."""
    groups = pd.Series(np.abs(off)).groupby(what)
    spread = 1.4826 * groups.transform("median").to_numpy(float)
    return np.where(groups.transform("size").to_numpy() >= FEWEST_TRIPLES, spread, np.inf)


def _too_much(study: Study) -> Iterator[Defect]:
    """More drug in a hundredth of a litre per kg than was given until then."""
    words, weight = study.table.words, _weight(study)
    if study.table.vocabulary is None or len(words.doses) != 1 or len(words.observables) != 1 or weight is None:
        return
    ratio = parse(words.doses[0].unit) / parse(words.observables[0].unit)
    if dict(ratio.dims) != {"meter": 3.0}:
        return
    litres = 1000 * ratio.scale * _given(study) / study.records["DV"].to_numpy(float)
    where = study.quantified & (study.dv > 0) & (litres > 0) & (litres < LEAST_VOLUME * weight)
    told = {"value": study.dv, "unit": study.units.get("DV", ""), "volume": rounded(litres)}
    yield from found("PK152", study.table, once(where, study.subject), "DV", name=study.name, **told)


def _weight(study: Study) -> np.ndarray | None:
    """Body weight (kg) by row."""
    columns = {name: study.table[name] for name in study.table.covariates} | dict(study.others)
    for name, value in columns.items():
        if WATCHED.get(name.upper()) is WEIGHT:
            try:
                return value * factor(study.units.get(name, "kg"), "kg")
            except UnitError:
                return None
    return None


def _given(study: Study) -> np.ndarray:
    """Everything given to the subject up to each row, in the model's unit; infinite from a dose at steady state on."""
    doses = study.given
    amount = np.where(doses["ss"].to_numpy() > 0, np.inf, doses["amount"].to_numpy(float))
    ordered = amount[np.lexsort((doses["rank"], doses["time"], doses["subject"]))]
    so_far = np.concatenate([[0.0], np.cumsum(ordered)])
    start = study.doses_before[study.first][study.subject]
    return so_far[study.doses_before] - so_far[start]
