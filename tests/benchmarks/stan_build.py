"""Stan's compiler and headers in an environment of their own (build/stan-venv), and a loop of gradients around a Stan model (stan_models/loop.cc); or Stan's
own NUTS (stan_models/sample.cc).

httpstan, the package behind pystan, brings `stanc`, Stan's and Boost's headers and the solvers' libraries. A call through pystan itself takes milliseconds
before any gradient is made (it builds the model from the data each time, behind a local server), so the gradient its sampler calls is looped in C++.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

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


def program(name: str, what: str = "loop") -> Path:
    """stan_models/<name>.stan compiled into stan_models/<what>.cc (a loop of gradients, or Stan's sampler), made now or found in build/stan."""
    home, source = package(), MODELS / f"{name}.stan"
    try:
        tool = compiler()
        machine, _ = target(tool)
    except CannotBuild as reason:
        raise Unavailable(str(reason)) from reason
    text = "\0".join([source.read_text(), (MODELS / f"{what}.cc").read_text(), PACKAGE, *FLAGS, *machine])
    made = MADE / f"{name}-{what}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
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
        _run(tool, *FLAGS, *machine, model, "-isystem", str(home / "include"), str(MODELS / f"{what}.cc"), "-o", str(made), *link)
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


class Sampled(NamedTuple):
    """Draws [chain, draw] by parameter, leapfrog steps [chain, draw], and CPU seconds of all chains, warm-up in, compilation out."""

    draws: dict[str, np.ndarray]
    steps: np.ndarray
    seconds: float


def sampled(made: Path, data: Mapping[str, Any], start: Mapping[str, Any], names: Sequence[str], **settings: Any) -> Sampled:
    """Stan's NUTS with a diagonal metric and its other defaults, one chain after another; `settings` are warmup, draws, delta, seed and chains."""
    given, begin, out = (MADE / f"{made.name}.{end}" for end in ("json", "start.json", "draws"))
    given.write_text(json.dumps(data))
    begin.write_text(json.dumps(start))
    asked = (str(settings[n]) for n in ("warmup", "draws", "delta", "seed", "chains"))
    seconds = float(_run(str(made), str(given), str(begin), *asked, str(out)))
    tables = [pd.read_csv(f"{out}.{i + 1}.csv", comment="#") for i in range(settings["chains"])]
    together = {n: np.stack([t[n].to_numpy() for t in tables]) for n in (*names, "n_leapfrog__")}
    return Sampled({n: together[n] for n in names}, together["n_leapfrog__"], seconds)
