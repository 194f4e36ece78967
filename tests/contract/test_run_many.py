"""Results do not depend on who computes them; a killed worker loses nothing; a run goes on where it stopped."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pkpd import PkpdError, run_many
from tests.tasks import counts, drawn, kills_always, kills_once

TASKS = [{"seed": s} for s in range(6)]


def test_results_are_those_of_one_worker():
    alone = run_many(drawn, TASKS)
    assert [r["seed"] for r in alone] == list(range(6))
    assert run_many(drawn, TASKS, executor=2) == alone
    with ThreadPoolExecutor(3) as pool:
        assert run_many(drawn, TASKS, executor=pool) == alone


def test_a_killed_worker_loses_nothing(tmp_path):
    tasks = [t | {"mark": str(tmp_path / "mark")} for t in TASKS]
    found = run_many(kills_once, tasks, executor=2, folder=tmp_path / "kept")
    assert (tmp_path / "mark").exists() and found == run_many(drawn, TASKS)
    with pytest.raises(
        PkpdError, match=r"^run_many: task 1 ended its process 3 times \(killed, or out of memory\)\. The results of all others are kept; "
    ):
        run_many(kills_always, TASKS[:3], executor=2, folder=tmp_path / "always")
    assert sorted(p.name for p in (tmp_path / "always").glob("0*.json")) == ["000000.json", "000002.json"]


def test_a_run_goes_on_where_it_stopped(tmp_path):
    log, kept = tmp_path / "log", tmp_path / "kept"
    tasks = [{"seed": s, "log": str(log), "fails": 2} for s in range(4)]
    with pytest.raises(ValueError, match="as asked"):
        run_many(counts, tasks, folder=kept)
    assert log.read_text().split() == ["0", "1", "2"]
    (kept / ".000001.json.77.part").write_text("half a res")  # what a kill in the middle of a write leaves
    with pytest.raises(ValueError, match="as asked"):
        run_many(counts, tasks, folder=kept)
    assert log.read_text().split() == ["0", "1", "2", "2"]  # the first two were not run again
    with pytest.raises(PkpdError, match=r"holds results of other tasks \(the tasks differ\)\. Give another folder, or remove this one\.$"):
        run_many(counts, [*tasks[:3], {"seed": 9, "log": str(log)}], folder=kept)


def test_what_cannot_be_run_is_said():
    with pytest.raises(PkpdError, match=r"^run_many: the result of task 0 is no JSON "):
        run_many(np.float32, [1.0])
    with pytest.raises(
        PkpdError, match=r"^run_many\(executor=0\): a number of processes, an Executor, or the address of a dask scheduler\.$"
    ):
        run_many(abs, [1], executor=0)
    with pytest.raises(PkpdError, match=r"^run_many\(executor='tcp://nowhere:1'\) needs dask\.distributed: "):
        run_many(abs, [1], executor="tcp://nowhere:1")
