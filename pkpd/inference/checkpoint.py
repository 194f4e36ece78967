"""An unfinished fit on disk: where it started, and where each chain stands, so that it ends as if it had never been stopped.

Files are written beside their place and renamed, so that a kill at any moment leaves the state before or after, never half of one. What is stored is the
sampler's whole state in float64: the draws of a resumed fit are those of an uninterrupted one, bit for bit on the same machine.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.inference.arrow import Arrow, Blocks
from pkpd.inference.geometry import Geometry

log = logging.getLogger("pkpd")
FACTS, GEOMETRY, PILOTED = "facts.json", "geometry.npz", "pilot.npz"
EVERY = 5.0
"""Seconds between two states of a chain on disk, at least; longer where writing takes long."""


@dataclass(frozen=True, eq=False)
class Kept:
    """A chain on disk: chunks done, the walk's leaves, what was kept of each draw so far, divergences of the warm-up."""

    done: int
    walk: list[np.ndarray]
    rows: list[np.ndarray]
    divergent: int


class Checkpoint:
    """A folder that holds one unfinished fit; `facts` say which fit: a folder of another one is set aside, never overwritten."""

    def __init__(self, folder: str | Path, facts: Mapping[str, Any]):
        self.folder, self.told = Path(folder), json.loads(json.dumps(facts))
        before = self._facts()
        if before is not None and before != self.told:
            self.set_aside(differences(before, self.told))
        elif before is None:
            self._begin()

    def set_aside(self, why: str) -> None:
        """Begin anew; the unfinished fit that lies here is kept under another name, and the log says why it is not this one."""
        when = f"{self.folder.name}.earlier-{time.strftime('%Y%m%d-%H%M%S')}"
        names = (self.folder.with_name(f"{when}{extra}") for extra in ("", *(f"-{n}" for n in range(2, 1000))))
        aside = next(name for name in names if not name.exists())
        log.warning("The unfinished fit in %s is another one (%s); it is kept as %s.", self.folder, why, aside.name)
        self.folder.rename(aside)
        self._begin()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _whole(self.folder / FACTS, lambda path: path.write_text(json.dumps(self.told, indent=1), encoding="utf-8"))

    def _facts(self) -> Any:
        try:
            return json.loads((self.folder / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def geometry(self, name: str = GEOMETRY) -> Geometry | None:
        """The start and metric at the mode, or those the pilot found, of the unfinished fit."""
        found = _read(self.folder / name)
        if found is None:
            return None
        weights = {n.removeprefix("weight:"): jnp.asarray(v) for n, v in found.items() if n.startswith("weight:")}
        return Geometry(
            jnp.asarray(found["mode"]),
            _one_or(Arrow, found, "factor"),
            weights,
            float(found["potential"]),
            _one_or(Blocks, found, "information"),
            str(found.get("place", Geometry.place)),  # checkpoints of before have none
            str(found.get("modes", "")),
        )

    def keep_geometry(self, geometry: Geometry, name: str = GEOMETRY) -> None:
        values = {k: np.asarray(getattr(geometry, k)) for k in ("mode", "potential", "place", "modes")}
        for k in ("factor", "information"):
            part = getattr(geometry, k)
            values |= {f"{k}:{n}": np.asarray(v) for n, v in part._asdict().items()} if isinstance(part, tuple) else {k: np.asarray(part)}
        _save(self.folder / name, values | {f"weight:{n}": np.asarray(w) for n, w in geometry.weights.items()})

    def chain(self, number: int) -> Kept | None:
        """Where a chain stands, or None where it has not begun."""
        found = _read(self.folder / f"chain_{number}.npz")
        if found is None:
            return None
        return Kept(int(found["done"]), _several(found, "walk"), _several(found, "rows"), int(found["divergent"]))

    def keep_chain(self, number: int, done: int, walk: Any, rows: list[Any], divergent: int) -> None:
        """Write where a chain stands after `done` chunks; `rows` are the chunks of draws, each a list of arrays."""
        values = {"done": np.asarray(done), "divergent": np.asarray(divergent)}
        values |= {f"walk{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(walk))}
        values |= {f"rows{i}": np.concatenate(x) for i, x in enumerate(zip(*rows, strict=True))}
        _save(self.folder / f"chain_{number}.npz", values)


def differences(before: Any, now: Any, name: str = "") -> str:
    """What differs between two sets of facts, in words.

    >>> differences({"seed": 1, "data": "a"}, {"seed": 2, "data": "a"})
    'seed 1, now 2'
    """
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [k for k in {**before, **now} if before.get(k) != now.get(k)]
        return ", ".join(differences(before.get(k), now.get(k), f"{name} {k}".strip()) for k in keys)
    short = lambda x: f"{str(x)[:40]}" + ("..." if len(str(x)) > 40 else "")  # noqa: E731
    return f"{name} {short(before)}, now {short(now)}"


def _read(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return {n: stored[n] for n in stored.files}


def _one_or(kind: Any, found: Mapping[str, np.ndarray], word: str) -> Any:
    """One matrix, or the parts of an arrow."""
    return jnp.asarray(found[word]) if word in found else kind(*(jnp.asarray(found[f"{word}:{n}"]) for n in kind._fields))


def _several(found: Mapping[str, np.ndarray], word: str) -> list[np.ndarray]:
    return [found[f"{word}{i}"] for i in range(sum(n.startswith(word) for n in found))]


def _save(path: Path, values: Mapping[str, np.ndarray]) -> None:
    def write(target: Path) -> None:
        with target.open("wb") as file:
            np.savez(file, allow_pickle=False, **values)
            file.flush()
            os.fsync(file.fileno())

    _whole(path, write)


def _whole(path: Path, write: Any) -> None:
    draft = path.with_name(f".{path.name}.part")
    write(draft)
    os.replace(draft, path)
