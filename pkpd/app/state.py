"""What the page asks: two arms, patients, what is looked at; and the study's own regimen, with which it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem
from pkpd.simulate.virtual import needed

MOST_DOSES, FEW_VALUES = 60, 5


@dataclass(frozen=True)
class Arm:
    """Doses of one arm: `amounts` (model's unit), one for all or one a dose; how many, how far apart (h), and over how long each (h; 0 at once)."""

    amounts: tuple[float, ...]
    doses: int = 1
    interval: float = 24.0
    over: float = 0.0

    @property
    def each(self) -> tuple[float, ...]:
        """The amount of every dose."""
        return self.amounts if len(self.amounts) > 1 else self.amounts * self.doses

    @property
    def last(self) -> float:
        """The time of the last dose (h)."""
        return (self.doses - 1) * self.interval

    def times(self) -> np.ndarray:
        return np.arange(self.doses) * self.interval


@dataclass(frozen=True)
class State:
    """Everything that a change on the page changes. `limit` is of `measure` of `observable`, in its unit; `way` is "at_least" or "at_most"."""

    arms: Mapping[str, Arm]
    observable: str
    follow: float | None = None
    start: float = 0.0
    covariates: Mapping[str, float] = field(default_factory=dict)
    measure: str = "cmax"
    way: str = "at_least"
    limit: float | None = None


@dataclass(frozen=True)
class Range:
    """A covariate that model or population read, as the cohort has it; `values` where they are few whole numbers (codes)."""

    name: str
    low: float
    high: float
    values: tuple[float, ...] = ()

    def outside(self, value: float) -> bool:
        return not self.low <= value <= self.high


@dataclass(frozen=True)
class Studied:
    """What the cohort was given and for how long it was seen: where the page begins, and how that was read off."""

    route: str
    unit: str
    arm: Arm
    infused: bool
    modelled: bool
    largest: float
    seen: float
    notes: tuple[str, ...]
    covariates: tuple[Range, ...]


def studied(problem: FitProblem) -> Studied:
    """The most frequent number of doses by the most frequent route, their median amounts, interval and duration. Raises `FitError` without doses."""
    table = problem.cohort.doses
    table = table[(table["amount"] > 0) & table["kind"].isin(["dose", "reset_dose"])]
    if table.empty:
        raise FitError(f"{problem.name}: nobody was given a dose, so there is no regimen to begin with. Use what_if with arms of your own.")
    route = str(table["target"].mode().iloc[0])
    own = table[table["target"] == route]
    counts = own.groupby("subject").size()
    often = int(counts.mode().max())
    group = own[own["subject"].isin(counts.index[counts == often])]
    place = group.groupby("subject").cumcount()
    amounts = tuple(float(f"{x:.3g}") for x in group.groupby(place)["amount"].median())
    gaps = group.groupby("subject")["time"].diff().dropna()
    modelled = bool(group["shape"].astype(str).str.startswith("modelled").any())
    lasts = _durations(group)
    arm = Arm(
        amounts if len(set(amounts)) > 1 else amounts[:1],
        min(often, MOST_DOSES),
        float(gaps.median()) if len(gaps) else 24.0,
        float(f"{lasts:.3g}"),
    )
    arm = Arm(arm.amounts[:MOST_DOSES], arm.doses, arm.interval, arm.over)
    unit = next(d.unit for d in (*problem.model.vocabulary.doses, *problem.model.states) if d.name == route)
    told = _told(problem, table, route, counts, often, arm, bool((group["ss"] > 0).any()))
    seen = float(problem.cohort.observations["time"].max())
    infused = lasts > 0 or route == "iv"
    return Studied(route, unit, arm, infused, modelled, float(own["amount"].max()), seen, told, ranges(problem))


def _durations(group: pd.DataFrame) -> float:
    """The median duration (h) of what was infused; 0 where most was given at once."""
    shape = group["shape"].astype(str)
    lasts = np.where(shape == "duration", group["duration"], np.where(shape == "rate", group["amount"] / group["rate"], 0.0))
    return float(np.median(lasts.astype(float)))


def _told(problem: FitProblem, table: pd.DataFrame, route: str, counts: pd.Series, often: int, arm: Arm, steady: bool) -> tuple[str, ...]:
    n = int((counts == often).sum())
    found = [
        f"Both arms begin with the study's regimen: {often} dose{'s' * (often > 1)} by '{route}', as {n} of {len(problem.cohort.subjects)} subjects had, "
        "with their median amounts, interval and duration."
    ]
    others = sorted(set(table["target"]) - {route})
    if others:
        found.append(f"Doses by {', '.join(others)} were given too and are left out here.")
    if steady:
        found.append("Doses at steady state were given; here every course begins with nothing in the body.")
    if often > MOST_DOSES:
        found.append(f"The study gave {often} doses; here are at most {MOST_DOSES}.")
    if arm.doses > 1 and len(arm.amounts) == 1:
        found.append("Doses of an arm are equally far apart.")
    return tuple(found)


def ranges(problem: FitProblem) -> tuple[Range, ...]:
    """The covariates that are read, those that changed within subjects and those without a number left out."""
    found = []
    for name in needed(problem):
        seen = problem.covariates.get(name)
        if seen is None or not np.isfinite(seen).any():
            continue
        values = np.unique(seen[np.isfinite(seen)])
        few = tuple(float(v) for v in values) if len(values) <= FEW_VALUES and (values == np.round(values)).all() else ()
        found.append(Range(name, float(values[0]), float(values[-1]), few))
    return tuple(found)


def checked(state: State, known: Studied) -> State:
    """The state itself. Raises `FitError` with what cannot be, as a sentence that names the arm and the field."""
    for name, arm in state.arms.items():
        _check_arm(f"Arm {name}", arm, known.unit)
    end = follow(state, known)
    for name, arm in state.arms.items():
        if arm.last >= end:
            raise FitError(
                f"Arm {name} gives its last dose at {arm.last:g} h and is followed to {end:g} h. Follow it for longer, or give fewer doses."
            )
    if not 0 <= state.start < end:
        raise FitError(f"Measured from {state.start:g} h: accepted is a time from 0 to below {end:g} h, the end of what is followed.")
    return state


def _check_arm(name: str, arm: Arm, unit: str) -> None:
    bad = next((a for a in arm.amounts if not (np.isfinite(a) and a > 0)), None)
    if bad is not None:
        raise FitError(f"{name}: an amount of {bad:g} {unit} cannot be given; accepted are numbers above 0.")
    if not 1 <= arm.doses <= MOST_DOSES:
        raise FitError(f"{name}: {arm.doses} doses; accepted are 1 to {MOST_DOSES}.")
    if len(arm.amounts) not in (1, arm.doses):
        raise FitError(f"{name} has {len(arm.amounts)} amounts and {arm.doses} doses. Give one amount for all, or one a dose.")
    if not (np.isfinite(arm.interval) and arm.interval > 0):
        raise FitError(f"{name}: doses every {arm.interval:g} h; accepted is a number of hours above 0.")
    if not (np.isfinite(arm.over) and arm.over >= 0):
        raise FitError(f"{name}: an infusion over {arm.over:g} h; accepted is a number of hours above 0, or 0 for a dose at once.")


def follow(state: State, known: Studied) -> float:
    """For how long both arms are followed (h): as asked, else as long after the last dose as the study looked, and at least an interval."""
    if state.follow is not None:
        if not (np.isfinite(state.follow) and state.follow > 0):
            raise FitError(f"Followed for {state.follow:g} h: accepted is a number of hours above 0.")
        return state.follow
    after = max(known.seen - known.arm.last, 0.0)
    return max(known.seen, *(a.last + max(after, a.interval if a.doses > 1 else 0.0, a.over) for a in state.arms.values()))
