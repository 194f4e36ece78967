"""Event tables for the oracle and for pkpd alike: models whose doses may be modelled in every word, random records, named edge cases."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pkpd import Component, Dose, Observable, Param, State, compose, flow, loss, simulate, total
from tests.oracle import Record, System, follow

UNITS = {"TIME": "h", "AMT": "mg"}
WORDS = {"lag": "tlag", "f": "bio", "duration": "long", "speed": "fast"}  # of a Record -> the parameter that a modelled route reads
TYPICAL = {"tlag": 0.5, "bio": 0.8, "long": 1.5, "fast": 3.0}
NAMES = ("depot", "central", "peripheral")


def _param(name: str, value: float, unit: str, support: Any = "positive") -> Param:
    return Param(name, value, unit, name, source="assumption: test", support=support)


def _amounts(names: Sequence[str]) -> list[Observable]:
    return [Observable(f"mg_{n}", "mg", lambda y, p, s, n=n: getattr(y, n), f"amount in {n}") for n in names]


@functools.cache
def model(compartments: int, modelled: bool):
    """Depot and one or two compartments, every state observed as its amount; a modelled route into central reads lag, F, D, R from parameters."""
    how = {"lag": "tlag", "bioavailability": "bio", "duration": "long", "rate": "fast"} if modelled else {}
    extra = [
        _param("tlag", 0.5, "h", "nonnegative"),
        _param("bio", 0.8, "1", "nonnegative"),
        _param("long", 1.5, "h"),
        _param("fast", 3.0, "mg/h"),
    ]
    two = compartments == 2
    disposition = Component(
        "disposition",
        states=[State(n, "mg", n) for n in NAMES[1 : compartments + 1]],
        params=[
            _param("k", 0.2, "1/h"),
            *([_param("kout", 0.3, "1/h"), _param("kin", 0.15, "1/h")] if two else []),
            *(extra if modelled else []),
        ],
        rates=_two if two else _one,
        doses=Dose("central", into="central", **how),
    )
    absorption = Component(
        "absorption",
        states=State("depot", "mg", "depot"),
        params=_param("ka", 1.0, "1/h"),
        reads="central",
        rates=lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot)),
    )
    return compose(f"tables{compartments}", absorption, disposition, observables=_amounts(NAMES[: compartments + 1]))


def _one(t, y, p, s):
    return total(loss("central", p.k * y.central))


def _two(t, y, p, s):
    there, back = flow("central", "peripheral", p.kout * y.central), flow("peripheral", "central", p.kin * y.peripheral)
    return total(loss("central", p.k * y.central), there, back)


def system(p: Mapping[str, float]) -> System:
    """The same in plain numpy."""
    if "kin" not in p:
        return System(np.array([[-p["ka"], 0.0], [p["ka"], -p["k"]]]))
    return System(np.array([[-p["ka"], 0, 0], [p["ka"], -p["k"] - p["kout"], p["kin"]], [0, p["kout"], -p["kin"]]]))


def random_parameters(rng: np.random.Generator, compartments: int) -> dict[str, float]:
    ka = rng.choice([0.5, 1.0, 2.0, rng.uniform(0.3, 3.0)])
    own = {"ka": float(ka), "k": float(rng.uniform(0.1, 0.45))}
    return own | ({"kout": float(rng.uniform(0.1, 0.6)), "kin": float(rng.uniform(0.1, 0.4))} if compartments == 2 else {})


def random_words(rng: np.random.Generator, least: float = 0.1) -> dict[str, float]:
    """What becomes of a dose: `lag` often hits the grid of the times, F may be `least` (0 where a model says it; a column may not)."""
    return {
        "lag": float(rng.choice([0.0, 0.5, 1.0, 2.0, rng.uniform(0.0, 3.0)])),
        "f": float(rng.choice([1.0, 0.5, 2.0, rng.uniform(0.2, 1.5), least], p=[0.3, 0.2, 0.2, 0.25, 0.05])),
        "duration": float(rng.choice([0.5, 1.0, 2.0, 3.5, rng.uniform(0.2, 6.0)])),
        "speed": float(rng.choice([1.0, 2.0, 4.0, rng.uniform(0.5, 8.0)])),
    }


GAPS = (0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.5, 2.0, 3.0, 6.0, 0.3)


def random_records(rng: np.random.Generator, states: int, words: Mapping[str, float] | None = None, n: int = 12) -> list[Record]:
    """A table of n rows whose times, lags, intervals and lengths meet each other often; `words` are one subject's modelled central doses."""
    times = rng.choice([0.0, 0.0, -2.0, 1.0]) + np.cumsum([0.0, *rng.choice(GAPS, n - 1)])
    kinds = rng.choice([0, 1, 2, 3, 4], size=n, p=[0.38, 0.42, 0.05, 0.05, 0.1])
    return [_random_record(rng, float(t), int(e), states, words) for t, e in zip(times, kinds, strict=True)]


def _random_record(rng: np.random.Generator, time: float, evid: int, states: int, words: Mapping[str, float] | None) -> Record:
    if evid not in (1, 4):
        return Record(time, evid)
    into = int(rng.integers(states)) if words is None else int(rng.choice([0, 1], p=[0.2, 0.8]))
    own = random_words(rng) if words is None else (dict(words) if into == 1 else {"lag": 0.0, "f": 1.0})
    if rng.random() < 0.05 and own["lag"] == 0:
        return Record(time, evid, 0.0, float(rng.integers(1, 9)), ss=1, into=into, f=own["f"])
    ss = int(rng.choice([0, 1, 2], p=[0.6, 0.2, 0.2]))
    ii = float(rng.choice([1.0, 1.5, 2.0, 3.0, 4.0]))
    if ss and (own["lag"] > ii or (own["lag"] >= 0.5 and rng.random() < 0.3)):
        ii = own["lag"]  # II - lag = 0
    amt = float(rng.choice([1.0, 2.0, 5.0, rng.uniform(0.5, 9.0)]))
    rate, dur = _random_form(rng, amt, modelled="duration" in own)
    addl = int(rng.choice([0, 0, 1, 2, 4]))
    repeated = {"addl": addl, "ii": ii if addl or ss else 0.0, "ss": ss}
    return Record(time, evid, amt, rate, dur, into=into, **repeated, **own)


def _random_form(rng: np.random.Generator, amt: float, modelled: bool) -> tuple[float, float]:
    """(RATE, DUR): a bolus, infusions shorter and longer than most II, modelled ones."""
    forms = ["bolus", "rate", "dur"] + (["-1", "-2"] if modelled else [])
    kind = rng.choice(forms, p=[0.3, 0.25, 0.1, 0.175, 0.175] if modelled else [0.4, 0.45, 0.15])
    length = float(rng.choice([0.5, 1.0, 2.0, 3.5, 5.0]))
    return {"bolus": (0.0, 0.0), "rate": (amt / length, 0.0), "dur": (0.0, length), "-1": (-1.0, 0.0), "-2": (-2.0, 0.0)}[str(kind)]


# Records as the table that pkpd reads.


def frame(subjects: Sequence[Sequence[Record]], words_in_columns: bool = True) -> pd.DataFrame:
    """NONMEM-style rows; with `words_in_columns` LAG, F, D and R stand on each dose row, else they are left to the model."""
    rows = [_row(b + 1, r, words_in_columns) for b, records in enumerate(subjects) for r in records]
    return pd.DataFrame(rows)


def _row(number: int, r: Record, words: bool) -> dict[str, Any]:
    gives = r.evid in (1, 4)
    row = {"ID": number, "TIME": r.time, "EVID": r.evid, "AMT": r.amt, "RATE": r.rate, "DUR": r.dur, "ADDL": r.addl, "II": r.ii, "SS": r.ss}
    row |= {"CMT": r.into + 1 if gives else ""}
    if not words:
        return row
    d, s = (r.duration if r.rate == -2 else np.nan), (r.speed if r.rate == -1 else np.nan)
    return row | {"LAG": r.lag if gives else np.nan, "F": r.f if gives else np.nan, "D": d, "R": s}


def predicted(
    subjects: Sequence[Sequence[Record]], parameters: Sequence[Mapping[str, float]], modelled: bool = False, solver: Any = None
) -> list[np.ndarray]:
    """The amounts after every record, a table [rows, states] a subject, by `simulate`."""
    compartments = 2 if "kin" in parameters[0] else 1
    theta = pd.DataFrame(parameters).assign(ID=np.arange(1, len(subjects) + 1))
    found = simulate(model(compartments, modelled), frame(subjects, not modelled), theta, units=UNITS, solver=solver)
    values = found[[f"mg_{n}" for n in NAMES[: compartments + 1]]].to_numpy()
    return np.split(values, np.cumsum([len(r) for r in subjects])[:-1])


def exact(subjects: Sequence[Sequence[Record]], parameters: Sequence[Mapping[str, float]]) -> list[np.ndarray]:
    """The oracle's."""
    return [follow(r, system(p)) for r, p in zip(subjects, parameters, strict=True)]


def errors(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> np.ndarray:
    """A subject's largest error relative to its largest amount; infinite where something is not a number."""
    largest = [max(np.abs(w).max(), 1e-300) for w in wanted]
    worst = np.array([np.abs(f - w).max() / m for f, w, m in zip(found, wanted, largest, strict=True)])
    return np.where(np.isnan(worst), np.inf, worst)


def agree(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], subjects: Sequence[Sequence[Record]], tolerance: float) -> None:
    """Every subject within the tolerance; a failure shows the worst subject's table with both numbers."""
    worst = errors(found, wanted)
    if (worst <= tolerance).all():
        return
    i = int(worst.argmax())
    shown = frame([subjects[i]]).assign(ID=i + 1, found=found[i].round(6).tolist(), wanted=wanted[i].round(6).tolist())
    bad = [int(b) + 1 for b in np.flatnonzero(worst > tolerance)]
    raise AssertionError(f"{len(bad)} of {len(worst)} subjects differ by up to {worst.max():.3g}: {bad[:20]}\n{shown.to_string()}")
