"""Tasks over the workers of a dask scheduler, on one machine or many.

The scheduler gives the tasks of a lost worker to others; after a few losses (its `allowed-failures`, 3) it gives them up, and with them whatever waited
beside them on the same workers. Those are given out again here, each alone, so that only a task that ends its workers by itself is named.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from pkpd.errors import PkpdError

log = logging.getLogger("pkpd")
PATIENCE = 30.0  # s without a result, after which it is looked whether there are workers at all


def over_cluster(function: Callable, tasks: Sequence[Any], todo: Sequence[int], address: str) -> Iterator[tuple[int, Any]]:
    """(place, result) as they end. Raises `PkpdError` without dask, without a scheduler, and for tasks that end their workers; else a task's own error."""
    client = _connected(address)
    with client:
        suspects = yield from _given_out(client, function, tasks, todo)
        if suspects:
            log.warning("run_many: workers were lost with tasks %s, which are now given out one by one.", _listed(suspects))
        ended = []
        for i in suspects:
            ended += yield from _given_out(client, function, tasks, [i])
    if ended:
        raise PkpdError(
            f"run_many: task {_listed(ended)} ended every worker that it was given to (killed, or out of memory). The results of all others are kept; run it "
            "alone with executor=1 to see why."
        )


def at_task(error: BaseException, i: int) -> None:
    """Let an error say at its end in which task it came."""
    error.add_note(f"run_many: this is of task {i}.")


def _listed(places: Sequence[int]) -> str:
    return ", ".join(map(str, places[:10])) + (f" and {len(places) - 10} more" if len(places) > 10 else "")


def _connected(address: str) -> Any:
    try:
        import distributed  # ty: ignore[import-not-found]
    except ImportError:
        raise PkpdError(
            f"run_many(executor='{address}') needs dask.distributed: pip install 'pkpd-jax[dask]', or give a number of processes."
        ) from None
    try:
        return distributed.Client(address, set_as_default=False)
    except (OSError, ValueError) as error:  # nobody answers; no address at all
        raise PkpdError(
            f"run_many(executor='{address}'): no dask scheduler answers there ({error}). Start one (dask scheduler; dask worker ADDRESS --nthreads 1), or give "
            "a number of processes."
        ) from None


def _given_out(client: Any, function: Callable, tasks: Sequence[Any], places: Sequence[int]) -> Generator[tuple[int, Any], None, list[int]]:
    """(place, result) as they end; at last the places that were given up with their workers."""
    from distributed import CancelledError  # ty: ignore[import-not-found]
    from distributed.scheduler import KilledWorker  # ty: ignore[import-not-found]

    made = client.map(function, [copy.deepcopy(tasks[i]) for i in places], pure=False)
    left, suspects = dict(zip(made, places, strict=True)), []
    del made
    for future in _as_they_end(client, left):
        place = left.pop(future)
        try:
            result = future.result()
        except KilledWorker:
            suspects.append(place)
            continue
        except CancelledError:
            raise PkpdError(
                f"run_many: the dask scheduler was lost before task {place} ended. Results in a folder are kept: call again."
            ) from None
        except Exception as error:
            at_task(error, place)
            raise
        yield place, result
    return sorted(suspects)


def _as_they_end(client: Any, left: dict[Any, int]) -> Iterator[Any]:
    """Futures; where none ends for a while and there is no worker, that is said."""
    from distributed import as_completed  # ty: ignore[import-not-found]

    while left:
        try:
            yield from as_completed(list(left), loop=client.loop, timeout=PATIENCE)
        except TimeoutError:
            if not client.nthreads():
                log.warning("run_many: no worker is connected to %s; %d tasks wait for one.", client.scheduler.address, len(left))
