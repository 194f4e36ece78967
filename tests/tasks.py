"""Tasks for processes: importable by name, and quick to import."""

from __future__ import annotations

import functools
import os
import random
import signal
import time
from pathlib import Path


def drawn(task: dict) -> dict:
    """A number that depends on the task's seed alone; slower for some, so that tasks do not end in order."""
    time.sleep(0.02 * (task["seed"] % 3))
    return {"seed": task["seed"], "x": random.Random(task["seed"]).random()}


def kills_once(task: dict) -> dict:
    """Ends its own process the first time that the task with a mark is met."""
    mark = Path(task["mark"])
    if task["seed"] == 2 and not mark.exists():
        mark.write_text("met", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn(task)


def kills_always(task: dict) -> dict:
    if task["seed"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn(task)


def counts(task: dict) -> int:
    """Leaves a line each time it runs."""
    with Path(task["log"]).open("a", encoding="utf-8") as file:
        file.write(f"{task['seed']}\n")
    if task["seed"] == task.get("fails"):
        raise ValueError("as asked")
    return task["seed"] ** 2


def scaled(task: dict, factor: float = 1.0, table: object = None) -> float:
    """What a partial holds beside a task."""
    return factor * task["seed"]


class Scale:
    """An instance that is called, with a value that it computes once and keeps."""

    def __init__(self, factor: float):
        self.factor = factor

    @functools.cached_property
    def square(self) -> float:
        return self.factor**2

    def __call__(self, task: dict) -> float:
        return self.square * task["seed"]


def closure(factor: float):
    """A function that closes over a value."""

    def one(task: dict) -> float:
        return factor * task["seed"]

    return one


def takes(task: dict) -> int:
    """Takes the seed out of its task."""
    return task.pop("seed")


def sleeps(task: dict) -> int:
    """Waits, and leaves a line when it has ended."""
    time.sleep(task["wait"])
    with Path(task["log"]).open("a", encoding="utf-8") as file:
        file.write(f"{task['seed']}\n")
    return task["seed"]


def solver_named(task: dict) -> str:
    """Says what is wrong with a solver's name."""
    from pkpd import Solver

    return Solver(method=task["method"]).method


def cohort(task: dict) -> list[float]:
    """Bands of a hundred virtual subjects of the task's seed."""
    import jax

    from pkpd import Population, Solver, bolus, fixed, stream_bands
    from pkpd.models.classic import one_compartment_iv

    people, once = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2)), bolus((100, "mg"))
    key, solver = jax.random.fold_in(jax.random.key(5), task["seed"]), Solver(method="closed_form")
    bands = stream_bands(one_compartment_iv, once, people, times=[1, 8], n_subjects=100, key=key, solver=solver, progress=False)
    return bands.values.ravel().tolist()
