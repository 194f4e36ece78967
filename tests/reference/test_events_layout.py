"""The events floor alone, in numpy: plans and layouts of random tables, walked by matrix exponentials, against the oracle. No solver, no data reader."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.events.layout import Given, lay_out, static_of
from pkpd.events.plan import build_plan
from tests.oracle import Record, System, follow, linear, solved
from tests.reference.tables import agree, random_parameters, random_records, system

KINDS = {1: "dose", 3: "reset", 4: "reset_dose"}


def dose_lines(subject: int, first: int, count: int, records: list[Record]) -> list[dict]:
    """The dose table of one subject as the data floor hands it over, written again here: additional doses spelled out, nothing cancelled."""
    lines = []
    for i, r in enumerate(records):
        if r.evid not in KINDS:
            continue
        for k in range(r.addl + 1 if r.evid != 3 else 1):
            shape, duration, rate = _shape(r)
            lines.append({
                "subject": subject, "time": r.time + k * r.ii, "rank": first + i - (count if k else 0), "place": first + i, "k": k,
                "kind": "dose" if k else KINDS[r.evid], "target": "" if r.evid == 3 else str(r.into), "amount": r.amt, "shape": shape,
                "duration": duration, "rate": rate, "ss": 0 if k else r.ss, "ii": r.ii, "lag": r.lag, "bioavailability": r.f, "row": first + i,
            })  # fmt: skip
    return lines


def _shape(r: Record) -> tuple[str, float, float]:
    if r.evid == 3:
        return "", np.nan, np.nan
    if r.rate > 0 or r.rate == -1:
        return "rate", np.nan, r.rate if r.rate > 0 else r.speed
    length = r.duration if r.rate == -2 else r.dur
    return ("duration", length, np.nan) if length else ("bolus", np.nan, np.nan)


def plan_of(subjects: list[list[Record]]):
    """The plan, with a look half a rank after every record."""
    count = sum(map(len, subjects))
    firsts = np.cumsum([0, *(len(r) for r in subjects)])
    lines = [line for b, r in enumerate(subjects) for line in dose_lines(b, int(firsts[b]), count, r)]
    looks = [(b, r.time, firsts[b] + i + 0.5) for b, records in enumerate(subjects) for i, r in enumerate(records)]
    columns = pd.DataFrame(lines)
    return build_plan(columns, pd.DataFrame(looks, columns=["subject", "time", "rank"]), len(subjects), ("0", "1", "2"))


def given_of(plan) -> Given:
    d = plan.doses
    return Given(np.nan_to_num(d.lag), np.nan_to_num(d.bioavailability, nan=1.0), d.value, d.value, np.zeros(d.time.shape, bool))


def train_state(laid, s: int, b: int, at: System) -> np.ndarray:
    """A steady-state record's state, from the layout's own numbers."""
    t = laid.steady
    jump, rate, lasts, period, phase = (float(np.asarray(x)[s, b]) for x in (t.jump, t.rate, t.duration, t.period, t.phase))
    amount, form = (rate * lasts, -2.0) if rate else (jump, 0.0)
    return solved(at, Record(0.0, 1, amount, form, into=int(t.target[s, b]), ii=period, lag=period - phase, duration=lasts))


def walked(plan, laid, b: int, at: System) -> np.ndarray:
    """The state at every look of lane b."""
    y, out = np.zeros(at.n), {}
    move, looks, wanted = linear(at.matrix), plan.look_time[:, b], laid.segment[:, b]
    trains = (
        {}
        if laid.steady is None
        else {int(laid.steady.segment[s, b]): s for s in range(len(laid.steady.segment)) if laid.steady.target[s, b] >= 0}
    )
    for e in range(laid.amount.shape[0]):
        y = y * (1 - laid.reset[e, b] - laid.clear[e, b])
        if e in trains:
            y = y + train_state(laid, trains[e], b, at)
        y = y + laid.amount[e, : at.n, b]
        begin, end, u = laid.edges[e, b], laid.edges[e + 1, b], laid.rate[e, : at.n, b]
        for m in np.flatnonzero(wanted == e):
            assert begin <= looks[m] <= end
            out[m] = move(begin, looks[m], y, u)
        y = move(begin, end, y, u) if end > begin else y
    rows = plan.row_time[plan.row_lane == b]
    return np.stack([out[m] for m in rows])


@pytest.mark.parametrize("seed", range(3))
def test_layouts_of_random_tables(seed):
    rng = np.random.default_rng(seed)
    parameters = [random_parameters(rng, 2) for _ in range(15)]
    subjects = [random_records(rng, 3) for _ in parameters]
    plan = plan_of(subjects)
    given = given_of(plan)
    laid = lay_out(plan, given, static_of(plan, given))
    assert not laid.fault.any()
    assert (np.diff(laid.edges, axis=0) >= 0).all()
    systems = [system(p) for p in parameters]
    found = [walked(plan, laid, b, s) for b, s in enumerate(systems)]
    agree(found, [follow(r, s) for r, s in zip(subjects, systems, strict=True)], subjects, 1e-11)
