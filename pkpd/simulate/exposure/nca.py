"""`nca`: non-compartmental analysis of a cohort's samples, one row a subject and dose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Cohort
from pkpd.errors import FitError, choices
from pkpd.simulate.exposure.blq import BlqRules, substituted
from pkpd.simulate.exposure.dose_checks import check_doses
from pkpd.simulate.exposure.parameters import Interval, over_baseline, parameters, units_of
from pkpd.simulate.exposure.segments import LOG_DOWN, METHODS

ROUTES = ("extravascular", "bolus", "infusion")


@dataclass(frozen=True, eq=False)
class _Dose:
    """A dose of a subject: samples until `end` (h; infinity after the last) are its own, `length` (h) is its dosing interval.

    `steady`: it begins at steady state, so that other doses stand before it; `cut`: the next dose comes before the interval of that state is over.
    """

    number: int
    time: float
    rank: float
    end: float
    end_rank: float
    amount: float
    duration: float
    length: float
    steady: bool
    cut: bool


def nca(
    cohort: Any,
    observable: str | None = None,
    *,
    route: str,
    method: str = LOG_DOWN,
    blq_before: str = "zero",
    blq_between: str = "missing",
    blq_after: str = "missing",
    tau: float | None = None,
    baseline: float | str | None = None,
    keep: Sequence[str] = (),
    least: int = 3,
    tolerance: float = 1e-4,
) -> pd.DataFrame:
    """Non-compartmental analysis: one row for each subject and dose, times counted from that dose.

    `observable` is one of the cohort's (it may be left out where there is one); `route` is "extravascular", "bolus" or "infusion", and the records must
    agree: no dose of a bolus lasts, every dose of an infusion does. `method` is the rule of the areas (see `auc`). A sample below its limit counts as
    "zero", "half" the limit, the "limit" or "missing": `blq_before` the first quantifiable one, `blq_between`, `blq_after` the last. `tau` (h) is the
    interval of the last dose, where the others are known by the next dose.
    `baseline` (a value in the observable's unit, or "predose": the subject's last sample that is not after the first dose) adds `peak_above_baseline` and
    `auc_above_baseline` to the last sample. `least` and `tolerance` rule the terminal slope (see `lambda_z`; with the peak after a bolus).

    Columns: subject, the covariates named by `keep` (to group by), dose_number, dose, dose_time; samples, blq; cmax, tmax, tfirst (first quantifiable),
    tlast, clast; auc_last, auc_all (to a first value of 0 after tlast), auc_inf = auc_last + clast / lambda_z, auc_inf_pred (clast of the line),
    extrapolated (share), aumc_inf, mrt; lambda_z, half_life, r2, adjusted_r2, points, lambda_z_first, lambda_z_last, span (half-lives); cl and vz (cl_f
    and vz_f if extravascular), vss (not if extravascular); and of a dosing interval auc_tau, cavg, cmin, ctau, fluctuation, swing, accumulation
    (auc_tau by dose against the first), cl_tau = dose / auc_tau, which is the clearance at steady state only. cl, vz, vss and mrt are those of a single
    dose, NaN for subjects with several or at steady state. mrt is aumc_inf / auc_inf, less half the duration of an infusion; of an extravascular dose it
    holds the mean absorption time.

    A dose at steady state (SS = 1) has the interval II of its record (until the next dose, where that comes sooner) and is neither a first nor a single
    dose: no accumulation is counted from it. SS = 2 and an infusion that has been running for ever are refused.

    At the time of a dose: a sample before it, else 0 for the first dose and the smallest value of the interval for a later one or one at steady state;
    after a bolus the line through the logs of the first two samples (the first sample where they do not fall). `attrs["units"]` has the unit of each
    column, `attrs["notes"]` what was assumed. Nothing is guessed where it cannot be known: NaN. Raises `FitError` with what cannot be used.
    Source: Gabrielsson and Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis; rules as in PKNCA.

    >>> nca(cohort, route="extravascular")[["subject", "cmax", "auc_inf", "half_life"]]   # doctest: +SKIP
    """
    if not isinstance(cohort, Cohort):
        raise FitError(f"nca takes a Cohort, not {type(cohort).__name__}: read_cohort(table, units=...) makes one of a table of records.")
    name = _observable(cohort, observable)
    for word, given, known in (("route", route, ROUTES), ("method", method, METHODS)):
        if given not in known:
            raise FitError(f"{word}={given!r} is not known. {choices(str(given), known)}")
    rules = BlqRules(blq_before, blq_between, blq_after)
    if tau is not None and not tau > 0:
        raise FitError(f"tau={tau!r}: the hours of a dosing interval.")
    carried = _carried(cohort, keep)
    lines, told = [], Counter()
    for i, subject in enumerate(cohort.subjects):
        rows = _samples(cohort, i, name)
        doses = list(_doses(cohort, i, tau, route))
        told["without doses or without samples: left out"] += not doses or rows.empty
        told["dose at steady state, its interval is II"] += sum(d.steady for d in doses)
        told["dose at steady state, its interval cut short by the next dose"] += sum(d.cut for d in doses)
        single = len(doses) == 1 and not doses[0].steady
        first, base = np.nan, _baseline(rows, doses, baseline, rules)
        for dose in doses if len(rows) else ():
            interval = _interval(rows, dose, route, rules, told)
            found = parameters(interval, route, method, single, least, tolerance) | over_baseline(interval, base, method)
            first = found.get("auc_tau", np.nan) / dose.amount if dose.number == 1 and not dose.steady else first
            found["accumulation"] = found.get("auc_tau", np.nan) / dose.amount / first if dose.number > 1 else np.nan
            lines.append(
                {"subject": subject, **carried[i], "dose_number": dose.number, "dose": dose.amount, "dose_time": dose.time, **found}
            )
    return _table(cohort, name, route, lines, told, rules)


def _observable(cohort: Cohort, name: str | None) -> str:
    scored = cohort.observations[cohort.observations["scored"]]
    known = sorted(map(str, scored["observable"].unique()))
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        given = "has several observables, say which" if name is None else f"has no samples of '{name}'"
        raise FitError(f"{cohort.name} {given}. {choices(name or '', known)}")
    return str(name)


def _carried(cohort: Cohort, keep: Sequence[str]) -> list[dict[str, Any]]:
    known = list(map(str, cohort.covariates.columns))
    for name in keep:
        if name not in known:
            raise FitError(f"keep names '{name}', which is no covariate of {cohort.name}. {choices(name, known)}")
    return [{name: cohort.covariates[name].iloc[i] for name in keep} for i in range(cohort.n_subjects)]


def _samples(cohort: Cohort, subject: int, name: str) -> pd.DataFrame:
    rows = cohort.observations
    mine = rows[(rows["subject"] == subject) & (rows["observable"] == name) & rows["scored"]]
    twice = mine[mine["time"].duplicated()]
    if len(twice):
        row = twice.iloc[0]
        raise FitError(
            f"row {row['row']} (subject {cohort.subjects[subject]}): a second sample of {name} at {row['time']:g} h. "
            "A non-compartmental analysis takes one a time: average them or leave one out (MDV = 1)."
        )
    above = mine[mine["cens"] == -1]
    if len(above):
        row = above.iloc[0]
        raise FitError(
            f"row {row['row']} (subject {cohort.subjects[subject]}): {name} is only known to be above {row['dv']:g}, which has no place in an area. "
            "Leave the row out (MDV = 1), or fit a model, which can use it."
        )
    return mine.sort_values("time")


def _doses(cohort: Cohort, subject: int, tau: float | None, route: str) -> Iterator[_Dose]:
    table, who = cohort.doses, cohort.subjects[subject]
    mine = table[table["subject"] == subject].sort_values(["time", "rank"])
    check_doses(mine, who, route, tau)
    mine = mine[mine["amount"] > 0]
    by_rate = mine["amount"] / mine["rate"].where(mine["rate"] > 0)
    hours = mine["duration"].where(mine["shape"] == "duration", by_rate.where(mine["shape"] == "rate", np.nan))
    mine = mine.assign(duration=hours.where(mine["shape"] != "bolus", 0.0))  # NaN where the model decides
    sums = {"rank": "first", "amount": "sum", "duration": "max", "ss": "max", "ii": "max"}
    together = mine.groupby("time", sort=True).agg(sums)
    times, ranks = [*together.index, np.inf], [*together["rank"], np.inf]
    for k, (time, line) in enumerate(together.iterrows()):
        start, steady = float(time), bool(line["ss"] > 0)
        end = start + tau if k == len(together) - 1 and tau else float(times[k + 1])
        gap, own = end - start, float(line["ii"])
        place = (float(line["rank"]), end, float(ranks[k + 1]))
        given = (float(line["amount"]), float(line["duration"]))
        yield _Dose(k + 1, start, *place, *given, min(gap, own) if steady else gap, steady, steady and gap < own * (1 - 1e-9))


def _baseline(rows: pd.DataFrame, doses: list[_Dose], baseline: Any, rules: BlqRules) -> float | None:
    if baseline is None or not isinstance(baseline, str):
        return None if baseline is None else float(baseline)
    if baseline != "predose":
        raise FitError(f"baseline={baseline!r}: a value in the unit of the observable, or 'predose'.")
    first = doses[0] if doses else None
    before = rows[(rows["time"] < first.time) | ((rows["time"] == first.time) & (rows["rank"] < first.rank))] if first else rows.iloc[:0]
    if before.empty:
        return np.nan
    last = before.iloc[[-1]]
    return float(substituted(last["dv"].to_numpy(float), (last["cens"] == 1).to_numpy(), rules)[0])


def _interval(rows: pd.DataFrame, dose: _Dose, route: str, rules: BlqRules, told: Counter) -> Interval:
    """The samples from a dose to the next (after the last, all), the value at the dose first."""
    here = rows[(rows["time"] >= dose.time) & ((rows["time"] <= dose.end) | (dose.end_rank == np.inf))]
    if route == "bolus":  # a value jumps at the dose, so that the row's place tells on which side a sample is
        before, until = here["rank"] < dose.rank, (here["time"] < dose.end) | (here["rank"] < dose.end_rank)
        here = here[~((here["time"] == dose.time) & before) & until]
    below = (here["cens"] == 1).to_numpy()
    told["samples below the limit"] += int(below.sum())
    t, c = here["time"].to_numpy(float) - dose.time, substituted(here["dv"].to_numpy(float), below, rules)
    kept = np.isfinite(c)
    t, c, quantified = t[kept], c[kept], ~below[kept]
    made = not len(t) or bool(t[0] > 0)
    if made and len(t):
        start, how = _at_dose(t, c, route, dose.number == 1 and not dose.steady)
        told[f"value at the dose {how}"] += 1
        t, c, quantified = np.concatenate([[0.0], t]), np.concatenate([[start], c]), np.concatenate([[False], quantified])
    return Interval(t, c, quantified, dose.amount, dose.length, dose.duration, len(below), int(below.sum()), made)


def _at_dose(t: Any, c: Any, route: str, fresh: bool) -> tuple[float, str]:
    if route == "bolus":
        if len(t) > 1 and c[0] > c[1] > 0:
            return float(c[0] * (c[0] / c[1]) ** (t[0] / (t[1] - t[0]))), "by the line through the logs of the first two samples"
        return float(c[0]), "taken as the first sample, as the first two do not fall"
    return (0.0, "taken as 0") if fresh else (float(c.min()), "taken as the smallest of the interval")


def _table(cohort: Cohort, name: str, route: str, lines: list[dict[str, Any]], told: Counter, rules: BlqRules) -> pd.DataFrame:
    if not lines:
        raise FitError(f"No subject of {cohort.name} has both a dose and samples of '{name}'.")
    table = pd.DataFrame(lines).dropna(axis="columns", how="all")
    doses = cohort.doses[cohort.doses["amount"] > 0]
    target = str(doses["target"].iloc[0])
    amounts, values = cohort.units.get("AMT", {}), cohort.units.get("DV", {})
    unit = amounts.get(target, "1") if isinstance(amounts, dict) else str(amounts or "1")
    value = values.get(name, "1") if isinstance(values, dict) else str(values or "1")
    units, scale = units_of(unit, value, route)
    for column in {"cl", "cl_f", "vz", "vz_f", "vss", "cl_tau"} & set(table.columns):
        table[column] = table[column] * scale
    table.attrs["units"] = {c: units.get(c, "1") for c in table.columns if c != "subject"}
    rule = f" (before: {rules.before}, between: {rules.between}, after: {rules.after})"
    words = {"samples below the limit": rule}
    table.attrs["notes"] = [f"{what}: {n}{words.get(what, '')}." for what, n in told.items() if n]
    table.attrs["observable"] = name
    return table
