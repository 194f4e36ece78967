"""`run_many` over the worker processes of a dask cluster: results of one process, a killed worker loses nothing, a task that kills workers is named."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import pytest

from pkpd import PkpdError, SolveError, run_many
from pkpd.simulate import on_cluster
from tests.tasks import cohort, counts, drawn, kills_always, kills_once, sleeps, solver_named

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed: pip install 'pkpd-jax[dask]'")
dask = pytest.importorskip("dask")

TASKS = [{"seed": s} for s in range(6)]
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets of a worker that was killed are closed by nobody
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Two workers, which are begun anew when they are killed; a task is given up with its first worker, so that tests are quick."""
    quick = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": "60s"}
    with (
        dask.config.set(quick),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL) as made,
    ):
        yield made


def workers(cluster) -> list[int]:
    """Their process ids."""
    return [nanny.pid for nanny in cluster.workers.values()]


def test_results_are_those_of_one_process(cluster):
    alone = run_many(drawn, TASKS)
    assert run_many(drawn, TASKS, executor=cluster.scheduler_address) == alone
    cluster.scale(3)
    cluster.wait_for_workers(3)
    assert run_many(drawn, TASKS, executor=cluster.scheduler_address) == alone


def test_a_simulated_study_is_that_of_one_process(cluster):
    """Bit for bit."""
    assert run_many(cohort, TASKS[:3], executor=cluster.scheduler_address) == run_many(cohort, TASKS[:3])


def test_a_task_that_kills_a_worker_once_loses_nothing(cluster, tmp_path):
    tasks = [t | {"mark": str(tmp_path / "mark")} for t in TASKS]
    assert run_many(kills_once, tasks, executor=cluster.scheduler_address, folder=tmp_path / "kept") == run_many(drawn, TASKS)
    assert (tmp_path / "mark").exists()


def test_a_killed_worker_loses_nothing_and_results_are_kept_as_they_end(cluster, tmp_path):
    """Killed from outside in the middle: what has ended lies in the folder by then, and is not run again."""
    kept, log = tmp_path / "kept", tmp_path / "log"
    tasks = [t | {"log": str(log), "wait": 0.3} for t in TASKS]
    found = []
    run = threading.Thread(target=lambda: found.extend(run_many(sleeps, tasks, executor=cluster.scheduler_address, folder=kept)))
    run.start()
    until = time.monotonic() + 60
    while len(list(kept.glob("0*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    early = {int(p.stem) for p in kept.glob("0*.json")}
    os.kill(workers(cluster)[0], signal.SIGKILL)
    run.join(120)
    assert 2 <= len(early) < len(TASKS) and found == [t["seed"] for t in TASKS]
    ran = log.read_text().split()
    assert all(ran.count(str(i)) == 1 for i in early)


def test_a_task_that_kills_every_worker_is_named(cluster, tmp_path):
    with pytest.raises(
        PkpdError,
        match=r"^run_many: task 1 ended every worker that it was given to \(killed, or out of memory\)\. The results of all others",
    ):
        run_many(kills_always, TASKS[:3], executor=cluster.scheduler_address, folder=tmp_path)
    assert sorted(p.name for p in tmp_path.glob("0*.json")) == ["000000.json", "000002.json"]


def test_a_run_goes_on_with_another_executor(cluster, tmp_path):
    """An error ends it, once and with its task; what has ended is kept."""
    log, kept = tmp_path / "log", tmp_path / "kept"
    tasks = [{"seed": s, "log": str(log), "fails": 3} for s in range(4)]
    with pytest.raises(ValueError, match="as asked") as error:
        run_many(counts, tasks, executor=cluster.scheduler_address, folder=kept)
    assert error.value.__notes__ == ["run_many: this is of task 3."]
    done = len(list(kept.glob("0*.json")))
    assert log.read_text().split().count("3") == 1  # an error is not tried again
    with pytest.raises(ValueError, match="as asked"):
        run_many(counts, tasks, folder=kept)
    assert done >= 1 and len(list(kept.glob("0*.json"))) == 3


def test_a_sentence_comes_as_it_was_said(cluster):
    with pytest.raises(SolveError, match=r"^There is no solver 'euler'\. ") as error:
        run_many(solver_named, [{"method": "auto"}, {"method": "euler"}], executor=cluster.scheduler_address)
    assert error.value.__notes__ == ["run_many: this is of task 1."]


def test_nobody_there_is_said(monkeypatch, caplog):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(
            PkpdError, match=r"^run_many\(executor='tcp://127\.0\.0\.1:9'\): no dask scheduler answers there \(.*\)\. Start one \(dask "
        ),
    ):
        run_many(abs, [1], executor="tcp://127.0.0.1:9")
    monkeypatch.setattr(on_cluster, "PATIENCE", 0.2)
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=logging.CRITICAL) as empty:
        later = threading.Timer(1.0, lambda: empty.scale(1))
        later.start()
        assert run_many(abs, [-1], executor=empty.scheduler_address) == [1]
        later.join()
    assert "run_many: no worker is connected to " in caplog.text and "; 1 tasks wait for one." in caplog.text


def test_a_lost_scheduler_is_said(tmp_path):
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0", silence_logs=logging.CRITICAL) as made:
        threading.Timer(0.5, made.close).start()
        tasks = [{"seed": s, "wait": 2.0, "log": str(tmp_path / "log")} for s in range(3)]
        with pytest.raises(
            PkpdError, match=r"^run_many: the dask scheduler was lost before task \d ended\. Results in a folder are kept: call again"
        ):
            run_many(sleeps, tasks, executor=made.scheduler_address)
