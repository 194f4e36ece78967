"""One chain as a list of chunks: warm-up windows that double in length, each ending in a refreshed metric, then draws."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from pkpd.errors import FitError
from pkpd.inference.checkpoint import EVERY, Checkpoint
from pkpd.inference.geometry import Geometry
from pkpd.inference.nuts import CHUNK, Info
from pkpd.inference.problem import Sampler

INTERRUPTED = "Interrupted: finishing the current chunk and keeping the draws made so far."
HALVED = 12
NO_PLACE = (
    "A chain found no place to begin: around the mode, however near, the density or its slope is not finite. Look at pkpd.prior_check and the solver "
    "(a finer one, or another method), or bound the parameters that make the equations fail."
)


@dataclass(eq=False)
class Done:
    """What a chain has made: chunks of draws (each a list of arrays), step size, divergences of the warm-up."""

    rows: list[Any] = field(default_factory=list)
    step: float = 0.0
    divergent: int = 0


@dataclass(frozen=True, eq=False)
class Chain:
    """Runs chain `number` chunk after chunk; begins where its checkpoint stands."""

    kernel: Any
    geometry: Geometry
    sampler: Sampler
    stop: threading.Event
    bar: Any
    lock: Any
    checkpoint: Checkpoint | None = None

    def run(self, number: int, key: Any, device: Any) -> Done:
        begin, advance, refresh = self.kernel.at(self.geometry, device)
        first, walk, done = self.start(number, begin, key, device)
        last, wait = time.monotonic(), EVERY
        at = first
        for adapt, renew in self.schedule[first:]:
            if self.stop.is_set():
                break
            walk, info = self._chunk(advance, walk, adapt)
            done.divergent += int(info.diverging.sum()) if adapt else 0
            done.rows += [] if adapt else [list(info)]
            walk = refresh(walk) if renew else walk
            at += 1
            if self.checkpoint is not None and time.monotonic() - last > wait:
                last, wait = self.keep(number, at, walk, done)
        if self.checkpoint is not None and at > first:
            self.keep(number, at, walk, done)
        done.step = float(np.exp(walk.log_step_mean))
        return done

    @property
    def schedule(self) -> list[tuple[bool, bool]]:
        """(adapt, refresh the metric after) of every chunk."""
        return [*warmup_chunks(self.sampler.warmup), *[(False, False)] * -(-self.sampler.draws // CHUNK)]

    def start(self, number: int, begin: Callable, key: Any, device: Any) -> tuple[int, Any, Done]:
        """Chunks done, the walk there, and its draws."""
        start, walk_key = jax.random.split(jax.device_put(key, device))
        walk = begun(begin, walk_key, 0.5 * jax.random.normal(start, (self.kernel.size,)))
        kept = self.checkpoint.chain(number) if self.checkpoint is not None else None
        if kept is None:
            return 0, walk, Done()
        walk = jax.tree.unflatten(jax.tree.structure(walk), [jax.device_put(x, device) for x in kept.walk])
        with self.lock:
            self.bar.update(kept.done * CHUNK)
        return kept.done, walk, Done([kept.rows] if kept.rows else [], divergent=kept.divergent)

    def keep(self, number: int, at: int, walk: Any, done: Done) -> tuple[float, float]:
        """Write the state; the next one comes no sooner than twenty times as long as this took."""
        began = time.monotonic()
        assert self.checkpoint is not None
        self.checkpoint.keep_chain(number, at, walk, done.rows, done.divergent)
        ended = time.monotonic()
        return ended, max(EVERY, 20 * (ended - began))

    def _chunk(self, advance: Callable, walk: Any, adapt: bool) -> tuple[Any, Info]:
        walk, info = advance(walk, adapt)
        info = Info(*(np.asarray(x) for x in info))
        with self.lock:
            self.bar.update(CHUNK)
            self.bar.told(adapt, info)
        return walk, info


def begun(begin: Callable, key: Any, u: Any) -> Any:
    """The walk that begins at u, or half way to the middle again and again where there is no density: a chain that begins without one never moves."""
    for _ in range(HALVED):
        walk = begin(key, u)
        if all(np.all(np.isfinite(x)) for x in (walk.state.logdensity, walk.state.logdensity_grad)):
            return walk
        u = 0.5 * u
    raise FitError(NO_PLACE)


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


def warmup_chunks(warmup: int) -> list[tuple[bool, bool]]:
    """(adapt, refresh the metric after) of each chunk of the warm-up."""
    return [(True, renew and i == n - 1) for n, renew in warmup_windows(warmup) for i in range(n)]
