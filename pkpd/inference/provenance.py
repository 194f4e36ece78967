"""What is needed to repeat a fit: versions, commit, data hash, model fingerprint, seed, settings."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pkpd.inference.arrow import LARGE
from pkpd.inference.nuts import Info, Walk
from pkpd.inference.problem import FitProblem, Sampler
from pkpd.solve import Solver
from pkpd.solve.choose import NATIVE, Chosen
from pkpd.solve.native.build import told as compiler

PACKAGES = ("pkpd-jax", "jax", "jaxlib", "numpyro", "blackjax", "diffrax", "optax", "arviz", "numpy", "scipy", "xarray", "pandas")

STREAM = 2
"""Another number where the same seed makes other draws than before, though nothing else here says so."""


def provenance(problem: FitProblem, sampler: Sampler, seed: int) -> dict[str, Any]:
    """A JSON-ready record of everything that made the draws what they are."""
    return {
        "name": problem.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "sampler": sampler_facts(sampler),
        "solver": solver_facts(problem.solver, problem.predictor.chosen),
        "model": {"name": problem.model.name, "digest": problem.model.digest},
        "data": {"source": Path(problem.cohort.source).name, "sha256": problem.cohort.sha256},
        **({"summaries": {"terms": problem.published.names, "draws": problem.summary_draws}} if problem.summaries else {}),
        **versions(),
    }


def solver_facts(solver: Solver, chosen: Chosen) -> dict[str, Any]:
    """A solver's settings, what was chosen for the equations and why; with the compiler where that is machine code."""
    compiled = {"compiler": compiler()} if chosen.name in NATIVE else {}
    return {**asdict(solver), "chosen": chosen.name, "reason": chosen.reason, **compiled}


def sampler_facts(sampler: Sampler) -> dict[str, Any]:
    """Its fields; those that came later only where they are not the usual ones, so that unfinished fits of before them go on."""
    usual = {"quality": "standard", "kernel": "nuts", "together": None, "starts": 4}
    fields = asdict(sampler) | {"target_accept": sampler.acceptance}
    return {k: v for k, v in fields.items() if k not in usual or usual[k] != v}


def versions() -> dict[str, Any]:
    """Packages, machine, and the project's commit."""
    return {
        "versions": {n: _version(n) for n in PACKAGES} | {"python": platform.python_version()},
        "machine": {
            "backend": jax.default_backend(),
            "processor": platform.machine(),
            "x64": bool(jax.config.jax_enable_x64),
            "instructions": _instructions(),
        },
        "commit": _commit(),
    }


def facts(problem: FitProblem, sampler: Sampler, seed: int) -> dict[str, Any]:
    """What must be the same for two runs to make the same draws: `provenance` without time, commit, words, and the number of draws (more go on)."""
    known = provenance(problem, sampler, seed)
    known["solver"].pop("reason")
    known["sampler"].pop("draws")
    return {k: known[k] for k in ("name", "seed", "sampler", "solver", "model", "data", "versions", "machine")} | state_facts()


def state_facts() -> dict[str, Any]:
    """What an unfinished fit keeps of draws and chains: one that kept other things cannot go on."""
    return {"kept of a draw": list(Info._fields), "kept of a chain": list(Walk._fields), "arrow from": LARGE, "stream": STREAM}


def _instructions() -> list[str]:
    """Instruction sets beyond the baseline that this processor has: another one may round differently."""
    return np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The project's commit when the code runs from a checkout, else a word that says so."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return "not a checkout"
    done = subprocess.run(["git", "-C", str(here), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
