"""Replicates one after another here, or spread over processes: each process makes and compiles its own program, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from typing import Any

from pkpd.inference.calibrate_program import Program
from pkpd.inference.calibrate_replicate import replicate
from pkpd.processes import as_worker

Make = Callable[[], Program]
_here: list[Program] = []


def lines(program: Program, numbers: Sequence[int], workers: int = 1, make: Make | None = None) -> Iterator[dict[str, Any]]:
    """The line of each replicate, as they end. With `workers` above 1, `make` (which can be pickled) makes the same program in each process."""
    if workers < 2 or make is None or len(numbers) < 2:
        yield from (replicate(program, i) for i in numbers)
        return
    before = set(active_children())
    pool = ProcessPoolExecutor(min(workers, len(numbers)), mp_context=get_context("spawn"), initializer=_begin, initargs=(make,))
    try:
        futures: list[Future] = [pool.submit(_one, i) for i in numbers]
        yield from (f.result() for f in as_completed(futures))
    except BaseException:  # Ctrl-C, or an error here: a replicate may have minutes to go, and its line would be lost
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(active_children()) - before:
            child.terminate()
        raise
    pool.shutdown()


def _begin(make: Make) -> None:
    as_worker()
    _here.append(make())


def _one(number: int) -> dict[str, Any]:
    return replicate(_here[0], number)
