"""A worker does not outlive who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

STARTER = """
import time
from multiprocessing import get_context
from pkpd.processes import as_worker

def work(told):
    as_worker()
    told.put("begun")
    time.sleep(120)

if __name__ == "__main__":
    spawn = get_context("spawn")
    told = spawn.Queue()
    child = spawn.Process(target=work, args=(told,))
    child.start()
    print(told.get(), child.pid, flush=True)
    child.join()
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc who is alive")
def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "starter.py"
    script.write_text(STARTER, encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        word, pid = parent.stdout.readline().split()
        assert word == "begun" and alive(int(pid))
        os.kill(parent.pid, signal.SIGKILL)
        until = time.monotonic() + 20
        while alive(int(pid)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not alive(int(pid))
