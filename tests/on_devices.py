"""The same simulations in a process that has eight devices: `python -m tests.on_devices OUT.npz streamed:METHOD predicted:METHOD ...`."""

from __future__ import annotations

import sys

import jax

if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 8)

import jax.numpy as jnp
import numpy as np

from pkpd import Population, Sampler, Solver, bolus, fixed, stream_bands, what_if
from pkpd.inference.geometry import Geometry
from pkpd.inference.places import places
from pkpd.inference.sample import Kernel, run_nuts
from pkpd.inference.space import Space
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


def density(method: str, devices: int) -> dict[str, np.ndarray]:
    """Value and slope of a posterior whose subjects the devices share."""
    space = Space(small.problem(solver=Solver(method=method, devices=devices)))
    z, weights = space.start(space.full_weights) + 0.1, space.full_weights
    value, slope = jax.jit(lambda x: jax.value_and_grad(space.potential)(x, weights))(z)
    assert len(slope.devices()) == devices
    return {"value": np.asarray(value), "slope": np.asarray(slope)}


def first_draw(method: str, devices: int) -> dict[str, np.ndarray]:
    """Of chains in one program, whose subjects are shared ("subjects/METHOD") or which are themselves; a whole run of them is made and not compared, since
    later draws double a difference of rounding every few."""
    sharing, method = method.split("/")
    space = Space(small.problem(solver=Solver(method=method, devices=devices if sharing == "subjects" else 1)))
    settings = Sampler(chains=4, warmup=25, draws=25, kernel="hmc", together=True)
    geometry = Geometry(space.start(space.full_weights), 0.3 * jnp.eye(space.size), space.full_weights, 0.0, jnp.eye(space.size))
    kernel, where = Kernel(space, settings), places(4, space.problem.solver.devices)
    assert where.told == TOLD[sharing, devices]
    begin = kernel.at(geometry, where.one)[0]
    walks = [begin(jax.device_put(k, where.one), jnp.zeros(space.size)) for k in jax.random.split(jax.random.PRNGKey(2), 4)]
    stacked = jax.device_put(jax.tree.map(lambda *x: jnp.stack(x), *walks), where.all)
    info = kernel.all_at(geometry, where.one, where.mesh)(stacked, True)[1]
    draws = run_nuts(kernel, geometry, settings, 3, False)
    assert draws.z.shape == (4, 25, space.size) and np.isfinite(draws.z).all()
    return {"z": np.asarray(info.position[:, 0])}


TOLD = {
    ("subjects", 8): "all chains on 8 devices, which share the subjects",
    ("subjects", 1): "all chains on 1 device",
    ("chains", 8): "1 of 4 chains on each of 4 devices",
    ("chains", 1): "all chains on 1 device",
}


def numbers(what: str, devices: int) -> dict[str, np.ndarray]:
    kind, method = what.split(":")
    return {"streamed": streamed, "predicted": predicted, "density": density, "drawn": first_draw}[kind](method, devices)


if __name__ == "__main__":
    np.savez(sys.argv[1], **{f"{what} {name}": x for what in sys.argv[2:] for name, x in numbers(what, 8).items()})
