"""The state of the page as a scenario file: what is run is what is written, and `pkpd simulate` gives the same again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pkpd.app.state import Arm, State, Studied, follow

EVEN, NEAR = 48, 78
"""Times evenly over the course, and times around the doses: their sum stays below the room that the program has (128)."""
AFTER = np.array([0.05, 0.1, 0.02, 0.2, 0.07, 0.35, 0.03, 0.14, 0.5, 0.01, 0.75])
BEFORE = 0.01


@dataclass(frozen=True)
class Source:
    """Where the fit is, and how it is asked: paths, `quick` of its problem, draws, patients and seed."""

    file: Path
    folder: Path
    quick: bool = False
    draws: int = 100
    patients: int = 50
    seed: int = 1


def times(state: State, known: Studied) -> np.ndarray:
    """When both arms are looked at (h): evenly, and around doses, as often as there is room for.

    Just before a dose (a trough), at it, at the end of an infusion, and then at shares of the time to the next.
    """
    end = follow(state, known)
    even = np.linspace(0.0, end, EVEN)
    found: list[float] = []
    for share in (None, *AFTER):
        more = [t for arm in state.arms.values() for t in _around(arm, share, end)]
        more = sorted(set(np.round([t for t in more if 0 <= t <= end], 6)) - set(found))
        if len(found) + len(more) > NEAR:
            break
        found += more
    return np.unique(np.round(np.concatenate([even, found]), 6))


def _around(arm: Arm, share: float | None, end: float) -> list[float]:
    starts = arm.times()
    if share is None:
        return [*starts, *(starts[1:] - BEFORE), *(starts + arm.over if arm.over > 0 else ())]
    return [*(starts + arm.over + share * (np.append(starts[1:], end) - starts - arm.over).clip(0.0))]


def to_toml(state: State, known: Studied, source: Source, title: str, units: dict[str, str]) -> str:
    """The scenario file; `units` are those of the observables."""
    unit = units[state.observable]
    lines = [f"title = {_text(title)}", f"seed = {source.seed}", "", "[source]"]
    lines += [f"file = {_text(str(source.file))}", f"fit = {_text(str(source.folder))}", f"quick = {str(source.quick).lower()}"]
    lines += ["", "[population]", f"subjects = {source.patients}", f"draws = {source.draws}"]
    if state.covariates:
        lines.append("covariates = { " + ", ".join(f"{_text(n)} = {_number(v)}" for n, v in state.covariates.items()) + " }")
    lines += ["", "[times]", "at = [" + ", ".join(f'"{_number(t)} h"' for t in times(state, known)) + "]"]
    for name, arm in state.arms.items():
        lines += ["", "[[arms]]", f"name = {_text(name)}", *_doses(arm, known)]
    window = [f'start = "{_number(state.start)} h"'] * (state.start > 0)
    level = lambda x: _number(x) if unit == "1" else f'"{_number(x)} {unit}"'  # noqa: E731
    head = [f"observable = {_text(state.observable)}", *window]
    lines += ["", "[[exposure]]", *head]
    if state.limit is not None:
        lines += [f"above = {level(state.limit)}"]
        lines += ["", "[[targets]]", *head, f"measure = {_text(state.measure)}", f"{state.way} = {level(state.limit)}"]
    lines += ["", "[figures]", f"reference = {_text(next(iter(state.arms)))}"]
    return "\n".join(lines) + "\n"


def _doses(arm: Arm, known: Studied) -> list[str]:
    lasts = ', over = "modelled"' if known.modelled else f', over = "{_number(arm.over)} h"' if arm.over > 0 else ""
    one = lambda amount, when: f'{{ amount = "{_number(amount)} {known.unit}", into = {_text(known.route)}{lasts}{when} }}'  # noqa: E731
    if len(set(arm.each)) == 1:
        again = f', every = "{_number(arm.interval)} h", times = {arm.doses}' if arm.doses > 1 else ""
        return [f"doses = [{one(arm.each[0], again)}]"]
    whens = (f', at = "{_number(t)} h"' for t in arm.times())
    return ["doses = [", *(f"  {one(a, w)}," for a, w in zip(arm.each, whens, strict=True)), "]"]


def _number(value: float) -> str:
    return f"{float(value):.10g}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
