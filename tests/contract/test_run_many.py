"""Results do not depend on who computes them; a killed worker loses nothing; a run goes on where it stopped."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

from pkpd import PkpdError, Population, fixed, lognormal, run_many
from pkpd.simulate.task_identity import identity
from tests.tasks import Scale, closure, counts, drawn, kills_always, kills_once, scaled, takes

TASKS = [{"seed": s} for s in range(6)]


def test_results_are_those_of_one_worker():
    alone = run_many(drawn, TASKS)
    assert [r["seed"] for r in alone] == list(range(6))
    assert run_many(drawn, TASKS, executor=2) == alone
    with ThreadPoolExecutor(3) as pool:
        assert run_many(drawn, TASKS, executor=pool) == alone


@pytest.mark.slow
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
    with pytest.raises(ValueError, match="as asked") as error:
        run_many(counts, tasks, folder=kept)
    assert error.value.__notes__ == ["run_many: this is of task 2."]
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="as asked") as error:
        run_many(counts, [tasks[2] | {"log": str(tmp_path / "other")}], executor=pool)
    assert error.value.__notes__ == ["run_many: this is of task 0."]
    assert log.read_text().split() == ["0", "1", "2"]
    (kept / ".000001.json.77.part").write_text("half a res")  # what a kill in the middle of a write leaves
    with pytest.raises(ValueError, match="as asked"):
        run_many(counts, tasks, folder=kept)
    assert log.read_text().split() == ["0", "1", "2", "2"]  # the first two were not run again
    with pytest.raises(PkpdError, match=r"holds results of other tasks \(the tasks differ\)\. Give another folder, or remove this one\.$"):
        run_many(counts, [*tasks[:3], {"seed": 9, "log": str(log)}], folder=kept)


TABLE = pd.DataFrame({"x": [1.0, 2.0]})
PAIRS = {
    "partial": (lambda k: partial(scaled, factor=k), 2.0, 3.0),
    "instance": (Scale, 2.0, 3.0),
    "closure": (closure, 2.0, 3.0),
    "array": (lambda k: partial(scaled, table=np.array([1.0, k])), 2.0, 3.0),
    "table": (lambda k: partial(scaled, table=TABLE.assign(y=k)), 2.0, 3.0),
    "model": (lambda k: partial(scaled, table=Population(CL=fixed(k), V=lognormal(dist.LogNormal(k, 1.0)))), 2.0, 3.0),
    "jax": (lambda k: partial(scaled, table=[jnp.array([1.0, k])]), 2.0, 3.0),
    "method": (lambda k: Scale(k).__call__, 2.0, 3.0),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_functions_that_hold_other_values_share_no_results(kind, tmp_path):
    """The same call resumes, that with another value is refused."""
    make, one, other = PAIRS[kind]
    told = run_many(make(one), TASKS[:2], folder=tmp_path)
    assert run_many(make(one), TASKS[:2], folder=tmp_path) == told
    with pytest.raises(
        PkpdError, match=r"holds results of other tasks \(.* holds other values\)\. Give another folder, or remove this one\.$"
    ):
        run_many(make(other), TASKS[:2], folder=tmp_path)


def test_an_identity_is_what_is_held_and_not_what_was_computed():
    """Properties kept, shared values and the order of a set change nothing; two lambdas differ by what they do."""
    used = Scale(2.0)
    used({"seed": 1})
    assert identity(used) == identity(Scale(2.0))
    one = [1.0]
    assert identity(partial(scaled, table=[one, one])) == identity(partial(scaled, table=[[1.0], [1.0]]))
    assert identity(lambda t: t + 1) != identity(lambda t: t + 2)
    one.append(one)
    assert identity(partial(scaled, table=one))
    assert identity(partial(scaled, table={8, 0})) == identity(
        partial(scaled, table={0, 8})
    )  # one hash bucket: the order is that of insertion
    with pytest.raises(PkpdError, match=r"^run_many\(folder=\.\.\.\): what the function holds cannot be told from another \(lock: "):
        identity(partial(scaled, table=threading.Lock()))


def test_what_a_function_does_to_its_task_stays_with_it():
    tasks = [{"seed": 1}, {"seed": 2}]
    assert run_many(takes, tasks) == [1, 2] and tasks == [{"seed": 1}, {"seed": 2}]
    twice = [tasks[0]] * 3
    with ThreadPoolExecutor(2) as pool:
        assert run_many(takes, twice) == run_many(takes, twice, executor=pool) == [1, 1, 1]


def test_what_cannot_be_run_is_said(monkeypatch):
    with pytest.raises(
        PkpdError, match=r"^run_many: task 1 is no JSON \(Object of type ndarray is not JSON serializable\)\. A task is numbers, "
    ):
        run_many(drawn, [{"seed": 1}, {"seed": np.arange(2)}])
    with pytest.raises(
        PkpdError, match=r"^run_many\(executor=2\): .*<lambda> cannot be sent to a process \(.*\)\. Write it as a function of a module"
    ):
        run_many(lambda t: t, [1, 2], executor=2)
    with pytest.raises(PkpdError, match=r"^run_many: the result of task 0 is no JSON "):
        run_many(np.float32, [1.0])
    with pytest.raises(
        PkpdError, match=r"^run_many\(executor=0\): a number of processes, an Executor, or the address of a dask scheduler\.$"
    ):
        run_many(abs, [1], executor=0)
    monkeypatch.setitem(sys.modules, "distributed", None)  # as where it is not installed
    with pytest.raises(PkpdError, match=r"^run_many\(executor='tcp://nowhere:1'\) needs dask\.distributed: "):
        run_many(abs, [1], executor="tcp://nowhere:1")
