"""The arithmetic floor of problem C: what a bare explicit step over SIMD lanes takes on this machine (floor.cc), compiled when asked for."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pkpd.solve.native.build import compiler, target

SOURCE = Path(__file__).with_name("floor.cc")
ADJOINT = 3.5  # cost of the adjoint of a step in forward steps: an estimate (stages again, then their transposes with parameter slopes)


@contextmanager
def _program() -> Generator[Path]:
    name = compiler()
    flags, _ = target(name)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "floor"
        subprocess.run([name, "-std=c++17", "-O3", *flags, "-ffp-contract=fast", str(SOURCE), "-o", str(made)], check=True)
        yield made


def _at_once(program: Path, copies: int) -> float:
    """CPU seconds of a step of one subject, the mean over copies that run side by side."""
    running = [subprocess.Popen([program], stdout=subprocess.PIPE, text=True) for _ in range(copies)]
    return sum(float(p.communicate()[0]) for p in running) / copies


def seconds_a_step() -> float:
    """CPU seconds of one step of one subject; raises `CannotBuild` without a compiler."""
    with _program() as program:
        return min(_at_once(program, 1) for _ in range(5))


def two_cores() -> float:
    """How much faster two copies at once are than one after the other: 2 on two whole cores, less on two threads of one."""
    with _program() as program:
        return 2.0 * min(_at_once(program, 1) for _ in range(5)) / min(_at_once(program, 2) for _ in range(5))
