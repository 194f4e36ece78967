"""Laws of dosing events. Each example draws seeds, makes a dozen random tables and their transformed twins, and predicts all in one cohort.

One cohort an example, because a cohort is compiled once: a few examples of many tables are cheaper than many examples of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pkpd import Component, Dose, Observable, Param, State, compose, flow, simulate, total
from tests.oracle import Record
from tests.reference.tables import UNITS, errors, frame, model, predicted, random_parameters, random_records

ROUNDING = 1e-10
"""Of a subject's largest amount. Each row is a sum of exponentials of up to a few hundred segments: rounding stays below 1e-12, and where a pole of
the divided differences is near, at sqrt of that much less often than the tests would see; the oracle tests hold 1e-9."""

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=int(os.environ.get("PKPD_EXAMPLES", "1")))  # more for a thorough run
TABLES = 12


def drawn(seed: int, n: int = TABLES, rows: int = 8, keep: Callable[[Record], Record] = lambda r: r):
    """Random tables with columns for lag, F and modelled values, one compartment; `keep` may change each record."""
    rng = np.random.default_rng(seed)
    grid = lambda r: replace(r, time=round(8 * r.time) / 8)  # noqa: E731  times that floats add without rounding
    return [[keep(grid(r)) for r in random_records(rng, 2, n=rows)] for _ in range(n)], [random_parameters(rng, 1) for _ in range(n)]


def both(left: Sequence, right: Sequence, parameters: Sequence) -> tuple[list, list]:
    """Predictions of two versions of the same subjects, one cohort."""
    found = predicted([*left, *right], [*parameters, *parameters])
    return found[: len(left)], found[len(left) :]


def same(a: Sequence[np.ndarray], b: Sequence[np.ndarray], tolerance: float = ROUNDING) -> None:
    worst = errors(a, b)
    assert (worst <= tolerance).all(), f"subject {int(worst.argmax())} differs by {worst.max():.3g} of its largest amount"


def silent(r: Record) -> Record:
    """A row that only advances time."""
    return Record(r.time, 2)


def gives(r: Record) -> bool:
    return r.evid in (1, 4)


# Superposition and splitting


def _adds(r: Record) -> Record:
    """No record that replaces: SS 1 becomes SS 2, EVID 4 becomes EVID 1; EVID 3 stays, since it acts on every part alike."""
    r = replace(r, evid=1 if r.evid == 4 else r.evid)
    return silent(r) if r.ss and r.amt == 0 else replace(r, ss=2 if r.ss else 0)


@few
@given(seeds)
def test_superposition(seed):
    tables, parameters = drawn(seed, keep=_adds)
    parts = [[silent(r) if gives(r) and (i + j) % 2 else r for i, r in enumerate(t)] for t in tables for j in (0, 1)]
    found = predicted([*tables, *parts], [*parameters, *(p for p in parameters for _ in (0, 1))])
    whole, halves = found[:TABLES], found[TABLES:]
    same([a + b for a, b in zip(halves[::2], halves[1::2], strict=True)], whole)


def _split(r: Record) -> list[Record]:
    """A dose as three tenths and seven tenths of itself, the second on top of the first."""
    if not gives(r):
        return [r, silent(r)]
    share = lambda part, **more: replace(r, amt=r.amt * part, rate=r.rate * part if r.rate > 0 else r.rate, speed=r.speed * part, **more)  # noqa: E731
    second = {"evid": 1, "ss": 2 if r.ss else 0}
    return [share(0.3), silent(r) if r.ss and r.amt == 0 else share(0.7, **second)]


@few
@given(seeds)
def test_a_dose_in_two_parts(seed):
    """At steady state the second part is added (SS 2). A constant infusion is no dose and is left out."""
    tables, parameters = drawn(seed, keep=lambda r: silent(r) if r.ss and r.amt == 0 else r)
    left, right = both(
        [[x for r in t for x in (r, silent(r))] for t in tables], [[x for r in t for x in _split(r)] for t in tables], parameters
    )
    same([a[1::2] for a in left], [b[1::2] for b in right])


# Repeated doses


def _explicit(table: list[Record], size: int) -> list[Record]:
    """Additional doses as rows of their own, before the rows of their time; what a later reset or SS 1 cancels is not written."""
    extra = []
    for i, r in enumerate(table):
        until = min((x.time for x in table[i + 1 :] if x.evid in (3, 4) or (gives(x) and x.ss == 1)), default=np.inf)
        times = [r.time + k * r.ii for k in range(1, r.addl + 1)] if gives(r) else []
        extra += [replace(r, time=t, evid=1, ss=0, addl=0, ii=0.0) for t in times if t <= until]
    plain = [replace(r, addl=0, ii=r.ii if r.ss else 0.0) for r in table]
    rows = sorted([*extra, *plain], key=lambda r: r.time)  # stable: additional doses stand before the rows of their time
    assert len(rows) <= size
    return rows + [Record(rows[-1].time, 2)] * (size - len(rows))


@few
@given(seeds)
def test_additional_doses_are_explicit_doses(seed):
    tables, parameters = drawn(seed)
    size = 40
    written = [_explicit(t, size) for t in tables]
    padded = [t + [Record(max(w[-1].time, t[-1].time), 2)] * (size - len(t)) for t, w in zip(tables, written, strict=True)]
    left, right = both(padded, written, parameters)
    for a, b, t, w in zip(left, right, tables, written, strict=True):
        ends = _last_rows(t, w)
        same([a[[i for i, _ in ends]]], [b[[j for _, j in ends]]])


def _last_rows(table: list[Record], written: list[Record]) -> list[tuple[int, int]]:
    """The last row of each time of a table, in both versions."""
    last = lambda rows, t: max(i for i, r in enumerate(rows) if r.time == t)  # noqa: E731
    return [(last(table, t), last(written, t)) for t in sorted({r.time for r in table})]


@few
@given(seeds)
def test_steady_state_is_a_long_run_in(seed):
    """A train of 90 doses, begun so early that what the first left behind is below exp(-0.45 x 2 x 90) at its slowest here."""
    rng = np.random.default_rng(seed)
    tables, twins, parameters = [], [], []
    for _ in range(TABLES):
        ii, lag = float(rng.choice([2.0, 2.5, 3.0])), float(rng.choice([0.0, 0.5, 2.0]))
        rate = float(rng.choice([0.0, 0.5, 1.0, 4.0]))
        dose = Record(0.0, 1, 3.0, rate, addl=2, ii=ii, into=int(rng.integers(2)), lag=lag, f=float(rng.uniform(0.5, 1.5)))
        looks = [Record(t) for t in (0.0, 0.5, 1.0, 2.0, 4.0, 7.0, 11.0)]
        tables.append([Record(-90 * ii, 2), replace(dose, ss=1), *looks])
        twins.append([replace(dose, time=-90 * ii, addl=92), Record(0.0, 2), *looks])
        parameters.append({"ka": float(rng.uniform(0.6, 2.0)), "k": float(rng.uniform(0.45, 0.9))})
    left, right = both(tables, twins, parameters)
    same([a[2:] for a in left], [b[2:] for b in right])


# Limits and changes of frame


@few
@given(seeds)
def test_a_short_infusion_is_a_bolus(seed):
    """An infusion of length h is a bolus up to what moves within h: below h x (fastest rate) x (all that was given), at rows away from the doses."""
    h = 1e-8
    keep = lambda r: replace(r, rate=0.0, dur=0.0, ss=0 if r.amt == 0 else r.ss, amt=r.amt or 1.0) if gives(r) else r  # noqa: E731
    tables, parameters = drawn(seed, keep=keep)
    looks = [[x for r in t for x in (r, Record(r.time + 0.0625))] for t in _spread(tables)]
    short = [[replace(r, dur=h) if gives(r) else r for r in t] for t in looks]
    left, right = both(looks, short, parameters)
    same([a[1::2] for a in left], [b[1::2] for b in right], 1e-6)


def _spread(tables: Sequence[list[Record]]) -> list[list[Record]]:
    """Rows at least an eighth of an hour apart, so that a look can stand between; lags on the grid of a quarter, never a sixteenth."""
    grid = lambda x: round(4 * x) / 4  # noqa: E731
    return [
        [replace(r, time=grid(r.time) + i, lag=grid(r.lag), ii=max(grid(r.ii), grid(r.lag)) if r.ii else 0.0) for i, r in enumerate(t)]
        for t in tables
    ]


@few
@given(seeds, st.sampled_from([-64.0, 16.0, 1024.0]))
def test_only_time_since_counts(seed, shift):
    """Shifts that floats add without rounding to times on a grid; the rest (lags, ends of infusions) loses digits of the shifted clock: 1024 eps."""
    tables, parameters = drawn(seed)
    left, right = both(tables, [[replace(r, time=r.time + shift) for r in t] for t in tables], parameters)
    same(left, right)


@few
@given(seeds)
def test_units_change_nothing(seed):
    """The same tables in minutes and micrograms: lag, II, DUR and D are times, RATE and R amounts by time."""
    tables, parameters = drawn(seed)
    theta = {n: np.array([p[n] for p in parameters]) for n in parameters[0]}
    hours = frame(tables)
    minutes = hours.assign(
        **{c: hours[c] * 60 for c in ("TIME", "II", "DUR", "LAG", "D")}, AMT=hours["AMT"] * 1000, R=hours["R"] * 1000 / 60
    )
    minutes["RATE"] = np.where(hours["RATE"] > 0, hours["RATE"] * 1000 / 60, hours["RATE"])
    a, b = (
        simulate(model(1, False), t, theta, units=u)[["mg_depot", "mg_central"]].to_numpy()
        for t, u in ((hours, UNITS), (minutes, {"TIME": "min", "AMT": "ug"}))
    )
    cuts = np.cumsum([len(t) for t in tables])[:-1]
    same(np.split(a, cuts), np.split(b, cuts), 1e-9)


# Conservation


def closed_model():
    """Depot, central, and what has left: nothing is lost."""
    rates = lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot), flow("central", "gone", p.k * y.central))  # noqa: E731
    states = [State(n, "mg", n) for n in ("depot", "central", "gone")]
    params = [Param(n, v, "1/h", n, source="assumption: test") for n, v in (("ka", 1.0), ("k", 0.2))]
    part = Component("closed", states=states, params=params, rates=rates, doses=Dose("central", into="central"))
    whole = Observable("all", "mg", lambda y, p, s: y.depot + y.central + y.gone, "everything")
    return compose("closed", part, observables=[whole])


def _arrived(table: list[Record]) -> list[float]:
    """What has come in at each row since the last reset, by counting."""
    doses, out = [], []
    for r in table:
        if r.evid in (3, 4):
            doses = []
        if gives(r):
            doses += [(r.time + r.lag + k * r.ii, *r.form) for k in range(r.addl + 1)]
        out.append(sum(b + u * min(length, r.time - t) for t, b, u, length in doses if t <= r.time))
    return out


@few
@given(seeds)
def test_nothing_is_lost(seed):
    """Amounts in all states add up to what was given; no steady state, which this system does not have."""
    tables, parameters = drawn(seed, keep=lambda r: silent(r) if gives(r) and r.amt == 0 else replace(r, ss=0, ii=r.ii if r.addl else 0.0))
    theta = {n: np.array([p[n] for p in parameters]) for n in ("ka", "k")}
    found = simulate(closed_model(), frame(tables), theta, units=UNITS)["all"].to_numpy()
    cuts = np.cumsum([len(t) for t in tables])[:-1]
    same(np.split(found, cuts), [np.array(_arrived(t)) for t in tables])


# The company a subject keeps


@few
@given(seeds)
def test_order_partition_and_padding_of_subjects_change_nothing(seed):
    """Lanes of one compiled solve do not meet. Another number of lanes may be vectorised otherwise, so that sums associate otherwise: rounding."""
    tables, parameters = drawn(seed)
    found = predicted(tables, parameters)
    long = [Record(0.5 * i, 1, 1.0, addl=3, ii=0.125) for i in range(20)]  # more segments than any other: all are padded
    backwards = predicted([long, *tables[::-1]], [parameters[0], *parameters[::-1]])[:0:-1]
    part = predicted(tables[:5], parameters[:5])
    same(backwards, found, 1e-12)
    same(part, found[:5], 1e-12)
