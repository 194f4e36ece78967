"""The same simulations in a process that has eight devices: `python -m tests.on_devices OUT.npz streamed:METHOD predicted:METHOD ...`."""

from __future__ import annotations

import sys

import jax

if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)

import numpy as np

from pkpd import Population, Solver, bolus, fixed, stream_bands, what_if
from pkpd.models.classic import one_compartment_iv
from tests import small

TWICE = bolus((100, "mg")).every((12, "h"), times=2)
TIMES = (1.0, 6.0, 24.0)
DRAWS, SUBJECTS, CHUNK = 35, 331, 19  # no multiples of 8


def streamed(method: str, devices: int) -> dict[str, np.ndarray]:
    """A cohort in chunks."""
    people = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2))
    bands = stream_bands(
        one_compartment_iv, TWICE, people, times=TIMES, n_subjects=SUBJECTS, chunk=CHUNK, solver=Solver(method=method), devices=devices,
        key=jax.random.key(1), progress=False,
    )  # fmt: skip
    assert bands.subjects == SUBJECTS
    return {"values": bands.values, "mean": bands.mean, "most": bands.maximum}


def predicted(method: str, devices: int) -> dict[str, np.ndarray]:
    """A what-if with random subjects and residual errors."""
    vary, problem = ("parameters", "subjects", "residual"), small.problem(solver=Solver(method=method))
    runs = what_if(problem, {"twice": TWICE}, times=TIMES, n_subjects=3, draws=DRAWS, vary=vary, key=jax.random.key(2), devices=devices)
    return {"cp": runs["cp"].to_numpy(), "theta": runs["theta_CL"].to_numpy(), "devices": np.asarray(runs.attrs["devices"])}


def numbers(what: str, devices: int) -> dict[str, np.ndarray]:
    kind, method = what.split(":")
    return {"streamed": streamed, "predicted": predicted}[kind](method, devices)


if __name__ == "__main__":
    np.savez(sys.argv[1], **{f"{what} {name}": x for what in sys.argv[2:] for name, x in numbers(what, 8).items()})
