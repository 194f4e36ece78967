"""`run_many`: independent tasks over processes or machines, results the same whatever their number, kept on disk as they end.

A task is known by its place; its result is JSON, written beside its place and renamed, so a kill at any moment leaves whole results or none. A worker that
dies (killed, out of memory) takes with it what it was at: those tasks are given out again, each alone in the end, so that one that kills its
worker every time is named.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from pkpd.errors import PkpdError
from pkpd.processes import as_worker
from pkpd.simulate.on_cluster import at_task, over_cluster
from pkpd.simulate.task_identity import identity, name_of

log = logging.getLogger("pkpd")
TRIES = 3
FACTS = "tasks.json"


def run_many(
    function: Callable[[Any], Any], tasks: Sequence[Any], *, executor: int | Executor | str = 1, folder: str | Path | None = None
) -> list[Any]:
    """`[function(t) for t in tasks]`, spread over processes, in the order of the tasks.

    `executor` is a number of processes of this machine (1: this one), any `concurrent.futures.Executor`, or the address of a dask scheduler
    ("tcp://host:8786", needs dask.distributed). `function` and tasks can be pickled; tasks and results are JSON (numbers, text, lists, dicts), and a task
    holds its own seed, so results do not depend on who computes them. `folder` keeps each result as it ends: the same call goes on from there, and a call
    with other tasks, another function or one that holds other values (`functools.partial`, an instance, a closure) is refused. A function of a module is
    known by its name: after a change of what it does, take another folder. A worker that is killed loses nothing that has ended, and its tasks are given
    out again, up to three times. Returns the results. Raises `PkpdError` for a folder of other tasks, a task that kills every worker, tasks and results
    that are no JSON; an error in `function` ends the run with that error and a note of the task, results so far kept.

    >>> run_many(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    if not callable(function):
        raise PkpdError(
            f"run_many({function!r}, ...): a function of one task comes first, as in run_many(one, [{{'seed': 1}}, {{'seed': 2}}])."
        )
    tasks = list(tasks)
    told = [_told(t, i) for i, t in enumerate(tasks)]
    kept = None if folder is None else _Kept(Path(folder), told, function)
    found = {} if kept is None else kept.results()
    todo = [i for i in range(len(tasks)) if i not in found]
    if todo and len(todo) < len(tasks):
        log.info("run_many: %d of %d tasks were done before.", len(tasks) - len(todo), len(tasks))
    for i, result in _results(function, tasks, todo, executor):
        found[i] = _as_json(result, i)
        if kept is not None:
            kept.keep(i, found[i])
    return [found[i] for i in range(len(tasks))]


def _told(task: Any, i: int) -> str:
    """A task as text, by which it is known again."""
    try:
        return json.dumps(task, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise PkpdError(
            f"run_many: task {i} is no JSON ({error}). A task is numbers, text, lists and dicts (float(x), x.tolist()); what is none of these, such as a "
            "model or a table, belongs to the function: functools.partial(function, problem)."
        ) from None


def _as_json(result: Any, i: int) -> Any:
    """The result as reading it back gives it, so that a resumed run returns the same."""
    try:
        return json.loads(json.dumps(result))
    except (TypeError, ValueError) as error:
        raise PkpdError(
            f"run_many: the result of task {i} is no JSON ({error}). Return numbers, text, lists and dicts (float(x), x.tolist())."
        ) from None


class _Kept:
    """A folder with a file a result."""

    def __init__(self, folder: Path, told: Sequence[str], function: Any):
        self.folder = folder
        name = name_of(getattr(function, "func", function))  # of a functools.partial
        digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
        facts = {"function": name, "tasks": len(told), "sha256": digest, "holds": identity(function)}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FACTS
        if path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before != facts:
                what = next(k for k in facts if before.get(k) != facts[k])
                words = {"sha256": "the tasks differ", "holds": f"{name} holds other values"}
                raise PkpdError(
                    f"{folder} holds results of other tasks ({words.get(what, f'{what} {before.get(what)}, now {facts[what]}')}). "
                    "Give another folder, or remove this one."
                )
        else:
            _whole(path, facts)

    def results(self) -> dict[int, Any]:
        return {int(p.stem): json.loads(p.read_text(encoding="utf-8")) for p in self.folder.glob("[0-9]*.json")}

    def keep(self, i: int, result: Any) -> None:
        _whole(self.folder / f"{i:06d}.json", result)


def _whole(path: Path, value: Any) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _results(function: Callable, tasks: Sequence[Any], todo: list[int], executor: Any) -> Iterator[tuple[int, Any]]:
    """(place, result) as they end."""
    if isinstance(executor, str):
        yield from over_cluster(function, tasks, todo, executor)
    elif isinstance(executor, Executor):
        yield from _over(executor, function, tasks, todo)
    elif isinstance(executor, bool) or not isinstance(executor, int) or executor < 1:
        raise PkpdError(f"run_many(executor={executor!r}): a number of processes, an Executor, or the address of a dask scheduler.")
    elif executor == 1:
        yield from _here(function, tasks, todo)
    else:
        yield from _processes(function, tasks, todo, executor)


def _here(function: Callable, tasks: Sequence[Any], todo: Sequence[int]) -> Iterator[tuple[int, Any]]:
    for i in todo:
        task = copy.deepcopy(tasks[i])  # what a function does to its task stays with it, as in a process
        try:
            result = function(task)
        except Exception as error:
            at_task(error, i)
            raise
        yield i, result


def _over(pool: Executor, function: Callable, tasks: Sequence[Any], todo: Sequence[int]) -> Iterator[tuple[int, Any]]:
    futures: dict[Future, int] = {pool.submit(function, copy.deepcopy(tasks[i])): i for i in todo}
    try:
        for f in as_completed(futures):
            try:
                result = f.result()
            except BrokenProcessPool:
                raise
            except Exception as error:
                at_task(error, futures[f])
                raise
            yield futures[f], result
    except BaseException:
        for f in futures:
            f.cancel()
        raise


def _processes(function: Callable, tasks: Sequence[Any], todo: Sequence[int], workers: int) -> Iterator[tuple[int, Any]]:
    """A pool of spawned processes; a broken one is made anew for what is left, and at last every task gets a process of its own."""
    try:
        ForkingPickler.dumps(function)
    except Exception as error:  # what an object raises that cannot be pickled is its own
        raise PkpdError(
            f"run_many(executor={workers}): {name_of(function)} cannot be sent to a process ({error}). Write it as a function of a module (no lambda, none "
            "made inside another), or take executor=1."
        ) from None
    left = list(todo)
    for attempt in range(TRIES):
        last = attempt == TRIES - 1
        for group in [[i] for i in left] if last else [list(left)]:
            try:
                with _pool(1 if last else min(workers, len(group))) as pool:
                    for i, result in _over(pool, function, tasks, group):
                        left.remove(i)
                        yield i, result
            except BrokenProcessPool:
                log.warning("run_many: a process was lost; %d tasks are not done yet.", len(left))
        if not left:
            return
    raise PkpdError(
        f"run_many: task {left[0]} ended its process {TRIES} times (killed, or out of memory). The results of all others are kept; "
        "run it alone with executor=1 to see why."
    )


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=as_worker)
