"""Covariates that change between records and events that depend on them, against matrix exponentials interval by interval (USERS.md section 4)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pkpd import Component, Covariate, Dose, Observable, Param, State, compose, loss, simulate, total
from tests.oracle import Record, System, follow
from tests.reference.tables import UNITS, agree, frame

K, BIO, TLAG = 0.2, 0.8, 0.5


@functools.cache
def model():
    """Elimination, bioavailability and lag all grow with weight; a peripheral state is not needed to see when."""
    params = [("k", K, "1/h"), ("bio", BIO, "1"), ("tlag", TLAG, "h"), ("w70", 70.0, "kg")]
    body = Component(
        "body",
        states=State("central", "mg", "drug"),
        params=[Param(n, v, u, n, source="assumption: test") for n, v, u in params],
        rates=lambda t, y, p, s: total(loss("central", p.k * s.WT / p.w70 * y.central)),
        covariates=Covariate("WT", "kg", "weight", 70.0),
        doses=Dose("drug", into="central", bioavailability=lambda p, s: p.bio * s.WT / p.w70, lag=lambda p, s: p.tlag * s.WT / p.w70),
    )
    return compose("weighed", body, observables=Observable("amount", "mg", lambda y, p, s: y.central, "amount"))


def random_table(rng: np.random.Generator, ss: bool, addl: bool) -> tuple[list[Record], list[float]]:
    """Rows at different times, each with a weight of its own; lag and F follow from the weight of the dose's row."""
    records, weights = [], []
    for time in np.cumsum(rng.choice([0.5, 1.0, 1.75, 3.0], 10)):
        wt = float(rng.choice([50.0, 70.0, 90.0]))
        words = {"lag": TLAG * wt / 70, "f": BIO * wt / 70}
        form = {"rate": float(rng.choice([0.0, 1.0]))}
        more = {"ss": int(rng.choice([0, 1, 2])) if ss else 0, "addl": int(rng.choice([0, 2])) if addl else 0, "ii": 2.25}
        more["ii"] = more["ii"] if more["ss"] or more["addl"] else 0.0
        gives = rng.random() < 0.4
        records.append(
            Record(float(time), 1, 4.0, **form, **more, **words) if gives else Record(float(time), int(rng.choice([0, 0, 2, 3])))
        )
        weights.append(wt)
    return records, weights


def exact(records: Sequence[Record], weights: Sequence[float], method: str) -> np.ndarray:
    own = [System(np.array([[-K * w / 70]])) for w in weights]
    return follow(records, own, approach=own if method == "nocb" else [own[0], *own[:-1]])


def found(tables: Sequence, method: str) -> list[np.ndarray]:
    bare = [[replace(r, lag=0.0, f=1.0) for r in records] for records, _ in tables]
    rows = frame(bare, words_in_columns=False).assign(
        CMT=lambda t: np.where(t["AMT"] > 0, "drug", ""), WT=[w for _, ws in tables for w in ws]
    )
    values = simulate(model(), rows, {}, units=UNITS, interpolation={"WT": method})["amount"].to_numpy()[:, None]
    return np.split(values, np.cumsum([len(r) for r, _ in tables])[:-1])


@pytest.mark.parametrize("method", ["nocb", "locf"])
@pytest.mark.parametrize(("ss", "addl"), [(False, False), (False, True), (True, False), (True, True)], ids=["plain", "ADDL", "SS", "both"])
def test_random_tables(method, ss, addl):
    rng = np.random.default_rng(3)
    tables = [random_table(rng, ss, addl) for _ in range(40)]
    wanted = [exact(r, w, method) for r, w in tables]
    agree(found(tables, method), wanted, [r for r, _ in tables], 1e-10)
