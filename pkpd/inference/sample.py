"""Sample the posterior: NUTS in coordinates whitened by the Fisher information, one thread a chain, in chunks that can be interrupted."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from tqdm import tqdm

from pkpd.errors import FitError
from pkpd.inference import hmc, numpyro_nuts, nuts
from pkpd.inference.arrow import positions, split_at
from pkpd.inference.chain import INTERRUPTED, Chain, Done
from pkpd.inference.chains_together import run_together
from pkpd.inference.checkpoint import Checkpoint
from pkpd.inference.geometry import Geometry
from pkpd.inference.problem import Sampler
from pkpd.solve.devices import AXIS

log = logging.getLogger("pkpd")

KINDS = {"nuts": nuts, "hmc": hmc, "numpyro_nuts": numpyro_nuts}
FIELDS = ("potential", "energy", "n_steps", "acceptance_rate", "diverging", "failed_solve")


@dataclass(frozen=True, eq=False)
class Draws:
    """Unconstrained draws z[chain, draw, D], what the sampler reported for each, and whether it was stopped early."""

    z: np.ndarray
    stats: dict[str, np.ndarray]
    step_size: np.ndarray
    warmup_divergences: int
    stopped: bool
    kernel: str = "nuts"


class Kernel:
    """NUTS, or HMC with random lengths, on u, z = mode + L u, of a space: compiled once for every mode, metric and weights it is given."""

    def __init__(self, space: Any, sampler: Sampler):
        def built(frame: Frame) -> tuple[Callable, Callable, Callable]:
            log_density = lambda u: -space.potential(frame.mode + frame.factor @ u, frame.weights)  # noqa: E731
            return kind.build(log_density, sampler.acceptance, sampler.max_tree_depth, common)

        kind, common = KINDS[sampler.kernel], split_at(space)
        self.space, self.size, self.refresh = space, space.size, jax.jit(kind.refresh)
        self.begin = jax.jit(lambda frame, key, u: built(frame)[0](key, u))
        self.advance = jax.jit(lambda frame, walk, adapt: built(frame)[1](walk, adapt))
        self._every = lambda frame, walks, adapt: jax.vmap(lambda w: built(frame)[1](w, adapt))(walks)
        self.advance_all, self._shared = jax.jit(self._every), {}

    def at(self, geometry: Geometry, device: Any) -> tuple[Callable, Callable, Callable]:
        """begin, advance and refresh in the coordinates of a geometry, on a device."""
        frame = jax.device_put(Frame(geometry.mode, geometry.factor, geometry.weights), device)
        return partial(self.begin, frame), partial(self.advance, frame), self.refresh

    def all_at(self, geometry: Geometry, device: Any, mesh: Any = None) -> Callable:
        """advance of walks stacked along their first axis, which the devices of a mesh share where one is given."""
        frame = Frame(geometry.mode, geometry.factor, geometry.weights)
        if mesh is None:
            return partial(self.advance_all, jax.device_put(frame, device))
        if mesh not in self._shared:
            specs = PartitionSpec(), PartitionSpec(AXIS), PartitionSpec()
            self._shared[mesh] = jax.jit(jax.shard_map(self._every, mesh=mesh, in_specs=specs, out_specs=specs[1], check_vma=False))
        return partial(self._shared[mesh], jax.device_put(frame, NamedSharding(mesh, PartitionSpec())))


class Frame(NamedTuple):
    """Coordinates: where u = 0 stands, the factor of the metric, and the centring weights."""

    mode: Any
    factor: Any
    weights: Any


def run_nuts(
    kernel: Kernel,
    geometry: Geometry,
    sampler: Sampler,
    seed: int,
    progress: bool,
    checkpoint: Checkpoint | None = None,
    name: str = "",
) -> Draws:
    """Chains of NUTS; the step and a refinement of the metric adapt during warm-up.

    On a CPU chains take the devices in turn; one device runs one chain at a time, so the command line makes one device a core. On an accelerator, or where
    devices share the subjects, they walk in one program; several accelerators share the chains where they divide their number.
    Ctrl-C stops after the current chunk and keeps what was drawn; with a checkpoint a later call goes on from there.
    The same seed gives the same draws whatever the number of threads.
    """
    keys = jax.random.split(jax.random.PRNGKey(seed), sampler.chains)
    total = sampler.warmup + sampler.draws
    stop = threading.Event()
    with _Bar(total=sampler.chains * total, unit="draw", disable=not progress, desc=name or sampler.kernel.upper(), smoothing=0.05) as bar:
        one = Chain(kernel, geometry, sampler, stop, bar, threading.Lock(), checkpoint)
        alone = kernel.space.problem.solver.devices == 1 and jax.default_backend() == "cpu"
        in_one = sampler.together if sampler.together is not None else not alone
        chains = run_together(one, keys) if in_one else _threads(one, keys)
    return _gather(chains, geometry, sampler, stop.is_set(), checkpoint)


def _threads(one: Chain, keys: Any) -> list[Done]:
    """A thread a chain, as many at a time as there are cores."""
    devices = jax.local_devices()
    with ThreadPoolExecutor(min(len(keys), os.cpu_count() or 1)) as pool:
        futures = [pool.submit(one.run, i, key, devices[i % len(devices)]) for i, key in enumerate(keys)]
        try:
            return [f.result() for f in futures]
        except KeyboardInterrupt:
            log.warning(INTERRUPTED)
            one.stop.set()
            return [f.result() for f in futures]


class _Bar(tqdm):
    """The draws done, with time left, and of the draws that count those that diverged and those that met no density (failed solves)."""

    diverged = failed = 0

    def told(self, adapt: bool, info: Any) -> None:
        if not adapt:
            failed = int((info.diverging & info.failed).sum())
            self.failed, self.diverged = self.failed + failed, self.diverged + int(info.diverging.sum()) - failed
        self.set_postfix_str(
            "warm-up" if adapt else f"{self.diverged} diverged" + f", {self.failed} failed" * (self.failed > 0), refresh=False
        )


def _gather(chains: list[Done], geometry: Geometry, sampler: Sampler, stopped: bool, checkpoint: Checkpoint | None) -> Draws:
    """Chains of one length. They differ only after an interruption: then those, cut to the shortest of them, that keep most draws."""
    lengths = [sum(len(x[0]) for x in c.rows) for c in chains]
    kept = longest(lengths)
    if not kept:
        raise no_draws_yet(checkpoint)
    if len(kept) < len(chains):
        log.warning("%s", left_out(lengths, kept))
    chains = [chains[i] for i in kept]
    n = min(min(lengths[i] for i in kept), sampler.draws)
    columns = [[np.concatenate(x)[:n] for x in zip(*c.rows, strict=True)] for c in chains]
    u, *stats = (np.stack([c[i] for c in columns]) for i in range(len(FIELDS) + 1))
    z = positions(geometry.mode, geometry.factor, u)
    step, divergent = np.array([c.step for c in chains]), sum(c.divergent for c in chains)
    return Draws(z, dict(zip(FIELDS, stats, strict=True)), step, divergent, stopped, sampler.kernel)


def longest(lengths: Sequence[int]) -> list[int]:
    """Which chains to keep of these lengths so that most draws are left when all are cut to the shortest kept; none where nothing was drawn.

    >>> longest([1000, 1000, 25, 0])
    [0, 1]
    >>> longest([300, 275, 300, 250])
    [0, 1, 2, 3]
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    best = max(range(1, len(order) + 1), key=lambda k: (k * lengths[order[k - 1]], k))
    return sorted(order[:best]) if lengths[order[0]] else []


def left_out(lengths: Sequence[int], kept: Sequence[int]) -> str:
    """Which chains an interruption leaves out of the result, in words."""
    lost = [f"chain {i + 1} ({n} draws)" for i, n in enumerate(lengths) if i not in kept]
    return f"Left out of the result, since they had hardly begun: {', '.join(lost)}. All chains have one length; those kept are cut to the shortest of them."


def no_draws_yet(checkpoint: Checkpoint | None) -> FitError:
    """What an interruption in the warm-up, or in the pilot that begins it, says."""
    told = (
        f"Run it again to go on: where it stands is kept in {checkpoint.folder}."
        if checkpoint is not None
        else "Run again, with fewer warm-up draws if need be."
    )
    return FitError(f"Interrupted before the warm-up ended: there are no draws yet. {told}")
