"""All chains in one program, chunk after chunk: what an accelerator wants, where a thread a chain leaves it idle."""

from __future__ import annotations

import logging
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.inference.chain import INTERRUPTED, Chain, Done
from pkpd.inference.checkpoint import EVERY
from pkpd.inference.nuts import CHUNK, Info

log = logging.getLogger("pkpd")


def run_together(one: Chain, keys: Any) -> list[Done]:
    """The chains of `keys`, each as `Chain.run` would walk it up to rounding; from their checkpoint on, which holds all at the same place.

    Chains that an interrupted fit left at different places (a thread each, before) are walked to the end one after another.
    """
    device = jax.local_devices()[0]
    begin, _, refresh = one.kernel.at(one.geometry, device)
    advance = one.kernel.all_at(one.geometry, device)
    started = [one.start(i, begin, key, device) for i, key in enumerate(keys)]
    first = started[0][0]
    if any(at != first for at, _, _ in started):
        one.bar.reset()
        return [one.run(i, key, device) for i, key in enumerate(keys)]
    walks, chunks = jax.tree.map(lambda *x: jnp.stack(x), *(w for _, w, _ in started)), []
    state, last, wait = (
        (0, walks),
        time.monotonic(),
        EVERY,
    )  # chunks that count, and where the chains stand after them: changed in one statement
    try:
        for adapt, renew in one.schedule[first:]:
            walks, info = advance(state[1], adapt)
            chunks.append((adapt, Info(*(np.asarray(x) for x in info))))
            state = (len(chunks), jax.vmap(refresh)(walks) if renew else walks)
            one.bar.update(CHUNK * len(started))
            one.bar.told(adapt, chunks[-1][1])
            if one.checkpoint is not None and time.monotonic() - last > wait:
                last, wait = _keep(one, first, state, _done(started, chunks))
    except KeyboardInterrupt:
        log.warning(INTERRUPTED)
        one.stop.set()
    done = _done(started, chunks[: state[0]])
    if one.checkpoint is not None and state[0]:
        _keep(one, first, state, done)
    for d, step in zip(done, np.exp(np.asarray(state[1].log_step_mean)), strict=True):
        d.step = float(step)
    return done


def _done(started: list[tuple[int, Any, Done]], chunks: list[tuple[bool, Info]]) -> list[Done]:
    """What each chain has made: before, and in these chunks."""
    found = []
    for i, (_, _, before) in enumerate(started):
        rows = [[x[i] for x in info] for adapt, info in chunks if not adapt]
        diverged = sum(int(info.diverging[i].sum()) for adapt, info in chunks if adapt)
        found.append(Done([*before.rows, *rows], divergent=before.divergent + diverged))
    return found


def _keep(one: Chain, first: int, state: tuple[int, Any], done: list[Done]) -> tuple[float, float]:
    """Write every chain's place; the next time comes no sooner than twenty times as long as this took."""
    began, (made, walks) = time.monotonic(), state
    for i, d in enumerate(done):
        one.keep(i, first + made, jax.tree.map(lambda x, i=i: x[i], walks), d)
    ended = time.monotonic()
    return ended, max(EVERY, 20 * (ended - began))
