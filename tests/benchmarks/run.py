"""`make bench`: speed beside peers in the same run. `python -m tests.benchmarks.run [family ...]` runs some families, without names all
but those of BY_NAME.

Each family runs in a process of its own, on one core unless its module says `CORES = "all"`, and puts its rows into build/bench.json.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("PKPD_CACHE", "off")  # so that seconds of compiling are those of a first run
os.environ.setdefault("PKPD_NATIVE", "wait")  # what a fit does

from tests.benchmarks import table

FAMILIES = ("carm", "threads", "flagship", "theophylline", "stan", "sampling", "stiff", "simulate", "stream")
BY_NAME = ("sampling_ode",)  # takes an hour
BEGIN = time.monotonic()


def say(text: str) -> None:
    """A line of progress, with the seconds since this process began."""
    sys.stdout.write(f"[{time.monotonic() - BEGIN:6.1f} s] {text}\n")
    sys.stdout.flush()


def here(family: str) -> None:
    """Run one family in this process, pinned to a core before JAX makes its threads."""
    module = importlib.import_module(f"tests.benchmarks.{family}")
    if getattr(module, "CORES", "one") == "one" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    for row in module.rows(say):
        rows.append(row)
        sys.stdout.write(table.line(row, notes=True) + "\n")
        sys.stdout.flush()
    table.keep(family, rows)


def main(names: list[str]) -> int:
    known = (*FAMILIES, *BY_NAME)
    unknown = [n for n in names if n not in known]
    if unknown:
        sys.stderr.write(f"There is no family '{unknown[0]}': {', '.join(known)}.\n")
        return 2
    failed = []
    for name in names or FAMILIES:
        say(f"family {name} (load {table.load()})")
        done = subprocess.run([sys.executable, "-m", "tests.benchmarks.run", "--here", name], check=False)
        failed += [name] if done.returncode else []
    sys.stdout.write(table.publish(known) + "\n")
    sys.stdout.write(
        "".join(f"Family {name} stopped with an error (above); its rows are those of an earlier run, if any.\n" for name in failed)
    )
    say("done")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        here(sys.argv[2])
    else:
        raise SystemExit(main(sys.argv[1:]))
