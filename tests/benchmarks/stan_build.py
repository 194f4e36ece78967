"""Stan's compiler and headers in an environment of their own (build/stan-venv), and a loop of gradients around a Stan model (stan_models/loop.cc).

httpstan, the package behind pystan, brings `stanc`, Stan's and Boost's headers and the solvers' libraries. A call through pystan itself takes milliseconds
before any gradient is made (it builds the model from the data each time, behind a local server), so the gradient its sampler calls is looped in C++.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pkpd.solve.native.build import CannotBuild, compiler, target

ROOT = Path(__file__).resolve().parents[2]
VENV, MADE, MODELS = ROOT / "build" / "stan-venv", ROOT / "build" / "stan", Path(__file__).with_name("stan_models")
PACKAGE = "httpstan==4.17.0"
FLAGS = ("-std=c++17", "-O3", "-w", "-DBOOST_DISABLE_ASSERTS", "-D_REENTRANT")
LIBRARIES = ("sundials_cvodes", "sundials_idas", "sundials_kinsol", "sundials_nvecserial")


class Unavailable(Exception):
    """The sentence that says why Stan cannot be had here."""


class Gradients(NamedTuple):
    """Log density [points], its gradient [points, D], and CPU seconds of one gradient."""

    value: np.ndarray
    slope: np.ndarray
    seconds: float


def package() -> Path:
    """The folder of httpstan, installed now if need be."""
    there = list(VENV.glob("lib/python*/site-packages/httpstan/stanc"))
    if there:
        return there[0].parent
    for command in ([sys.executable, "-m", "venv", str(VENV)], [str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", PACKAGE]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"{PACKAGE} could not be installed into {VENV.relative_to(ROOT)}")
    return package()


def program(name: str) -> Path:
    """The compiled loop of stan_models/<name>.stan, made now or found in build/stan."""
    home, source = package(), MODELS / f"{name}.stan"
    try:
        tool = compiler()
        machine, _ = target(tool)
    except CannotBuild as reason:
        raise Unavailable(str(reason)) from reason
    text = "\0".join([source.read_text(), (MODELS / "loop.cc").read_text(), PACKAGE, *FLAGS, *machine])
    made = MADE / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not made.exists():
        MADE.mkdir(parents=True, exist_ok=True)
        _run(str(home / "stanc"), "--O1", "--name", f"{name}_model", "--o", str(made.with_suffix(".hpp")), str(source))
        link = [
            *(str(home / "lib" / f"lib{n}.a") for n in LIBRARIES),
            f"-L{home / 'lib'}",
            "-ltbb",
            f"-Wl,-rpath,{home / 'lib'}",
            "-lpthread",
        ]
        model = f'-DMODEL="{made.with_suffix(".hpp")}"'
        _run(tool, *FLAGS, *machine, model, "-isystem", str(home / "include"), str(MODELS / "loop.cc"), "-o", str(made), *link)
    return made


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"'{Path(command[0]).name}' failed: {done.stderr.strip().splitlines()[0][:200]}")
    return done.stdout


def gradients(made: Path, data: Mapping[str, Any], points: np.ndarray, seconds: float) -> Gradients:
    """Log density and gradient at points [count, D], and the time of one, taken over about `seconds`."""
    given, at = MADE / f"{made.name}.json", MADE / f"{made.name}.points"
    given.write_text(json.dumps(data))
    at.write_text("\n".join([f"{len(points)} {points.shape[1]}", *(" ".join(f"{x:.17g}" for x in p) for p in points)]))
    *lines, taken = _run(str(made), str(given), str(at), str(seconds)).splitlines()
    table = np.array([[float(x) for x in line.split()] for line in lines])
    return Gradients(table[:, 0], table[:, 1:], float(taken))
