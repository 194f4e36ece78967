"""Sample the posterior: NUTS in coordinates whitened by the Fisher information, one thread a chain, in chunks that can be interrupted."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from pkpd.errors import FitError
from pkpd.inference.geometry import Geometry
from pkpd.inference.nuts import CHUNK, build
from pkpd.inference.problem import Sampler
from pkpd.inference.space import Coordinates

log = logging.getLogger("pkpd")

FIELDS = ("potential", "energy", "n_steps", "acceptance_rate", "diverging")


@dataclass(frozen=True, eq=False)
class Draws:
    """Unconstrained draws z[chain, draw, D], what the sampler reported for each, and whether it was stopped early."""

    z: np.ndarray
    stats: dict[str, np.ndarray]
    step_size: np.ndarray
    warmup_divergences: int
    stopped: bool


def run_nuts(space: Coordinates, geometry: Geometry, sampler: Sampler, seed: int, progress: bool) -> Draws:
    """Chains of NUTS on u, z = mode + L u; the step and a dense refinement of the metric adapt during warm-up.

    Chains take the devices in turn; one CPU device runs one chain at a time, so the command line makes one device a core.
    Ctrl-C stops after the current chunk and keeps what was drawn. The same seed gives the same draws whatever the number of threads.
    """
    log_density = lambda u: -space.potential(geometry.mode + geometry.factor @ u, geometry.weights)  # noqa: E731
    compiled = build(log_density, sampler.target_accept, sampler.max_tree_depth)
    keys = jax.random.split(jax.random.PRNGKey(seed), sampler.chains)
    total = sampler.warmup + sampler.draws
    stop = threading.Event()
    workers = min(sampler.chains, os.cpu_count() or 1)
    with tqdm(total=sampler.chains * total, unit="draw", disable=not progress, desc="NUTS", smoothing=0.05) as bar:
        one = _Chain(*compiled, space.size, sampler, stop, bar, threading.Lock())
        with ThreadPoolExecutor(workers) as pool:
            devices = jax.local_devices()
            futures = [pool.submit(one.run, key, devices[i % len(devices)]) for i, key in enumerate(keys)]
            try:
                chains = [f.result() for f in futures]
            except KeyboardInterrupt:
                log.warning("Interrupted: finishing the current chunk and keeping the draws made so far.")
                stop.set()
                chains = [f.result() for f in futures]
    return _gather(chains, geometry, sampler, stop.is_set())


@dataclass(frozen=True, eq=False)
class _Chain:
    """One chain in chunks: warm-up windows that double in length, each ending in a refreshed metric, then draws."""

    begin: Callable
    advance: Callable
    refresh: Callable
    size: int
    sampler: Sampler
    stop: threading.Event
    bar: Any
    lock: Any

    def run(self, key: Any, device: Any) -> tuple[list[Any], float, int]:
        start, walk_key = jax.random.split(jax.device_put(key, device))
        walk = self.begin(walk_key, 0.5 * jax.random.normal(start, (self.size,)))
        windows = warmup_windows(self.sampler.warmup)
        divergent = 0
        for chunks, renew in windows:
            for _ in range(chunks):
                if self.stop.is_set():
                    return [], 0.0, divergent
                walk, info = self._chunk(walk, True)
                divergent += int(info.diverging.sum())
            walk = self.refresh(walk) if renew else walk
        return self._draw(walk), float(np.exp(walk.log_step_mean)), divergent

    def _draw(self, walk: Any) -> list[Any]:
        rows: list[Any] = []
        for done in range(0, self.sampler.draws, CHUNK):
            if self.stop.is_set():
                break
            walk, info = self._chunk(walk, False)
            rows.append([x[: self.sampler.draws - done] for x in info])
        return rows

    def _chunk(self, walk: Any, adapt: bool) -> tuple[Any, Any]:
        walk, info = self.advance(walk, adapt)
        info = type(info)(*(np.asarray(x) for x in info))
        with self.lock:
            self.bar.update(CHUNK)
        return walk, info


def warmup_windows(warmup: int) -> list[tuple[int, bool]]:
    """(chunks, refresh the metric after?) : a first window to find the typical set, windows that double, a last one for the step size alone."""
    chunks = max(1, round(warmup / CHUNK))
    last = max(1, chunks // 8)
    windows, length, left = [], max(1, chunks // 12), chunks - last
    while left > 0:
        take = left if left < 3 * length else length
        windows.append((take, True))
        left, length = left - take, 2 * length
    return [*windows, (last, False)]


def _gather(chains: list[Any], geometry: Geometry, sampler: Sampler, stopped: bool) -> Draws:
    """Cut all chains to the shortest (they differ only after an interruption)."""
    columns = [[np.concatenate(x) for x in zip(*rows, strict=True)] for rows, _, _ in chains if rows]
    if len(columns) < len(chains):
        raise FitError("Interrupted before the warm-up ended: there is nothing to keep. Run again, with fewer warm-up draws if need be.")
    n = min(len(c[0]) for c in columns)
    u, *stats = (np.stack([c[i][:n] for c in columns]) for i in range(len(FIELDS) + 1))
    z = np.asarray(geometry.mode) + u @ np.asarray(geometry.factor).T
    return Draws(z, dict(zip(FIELDS, stats, strict=True)), np.array([c[1] for c in chains]), sum(c[2] for c in chains), stopped)
