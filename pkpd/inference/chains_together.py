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
from pkpd.inference.places import places

log = logging.getLogger("pkpd")


def run_together(one: Chain, keys: Any) -> list[Done]:
    """The chains of `keys`, each as `Chain.run` would walk it up to rounding; from their checkpoint on.

    Chains that a kill left at different places (each has its own file) are brought to one by the same program: who is ahead stands still.
    """
    where = places(len(keys), one.kernel.space.problem.solver.devices)
    log.info("%s", where.told)
    begin, _, refresh = one.kernel.at(one.geometry, where.one)
    advance = one.kernel.all_at(one.geometry, where.one, where.mesh)
    started = [one.start(i, begin, key, where.one) for i, key in enumerate(keys)]
    at = np.array([done for done, _, _ in started])
    first, chunks = int(at.min()), []
    walks = jax.device_put(jax.tree.map(lambda *x: jnp.stack(x), *(w for _, w, _ in started)), where.all)
    state = (0, walks)  # chunks that count, and where the chains stand after them: changed in one statement
    last, wait = time.monotonic(), EVERY
    try:
        for k, (adapt, renew) in enumerate(one.schedule[first:], first):
            walks, info = advance(state[1], adapt)
            chunks.append((adapt, Info(*(np.asarray(x) for x in info)), at <= k))
            state = (len(chunks), _moved(state[1], jax.vmap(refresh)(walks) if renew else walks, at <= k))
            one.bar.update(CHUNK * int((at <= k).sum()))
            one.bar.told(adapt, Info(*(x[at <= k] for x in chunks[-1][1])))
            if one.checkpoint is not None and time.monotonic() - last > wait:
                last, wait = _keep(one, np.maximum(at, first + state[0]), state[1], _done(started, chunks))
    except KeyboardInterrupt:
        log.warning(INTERRUPTED)
        one.stop.set()
    done = _done(started, chunks[: state[0]])
    if one.checkpoint is not None and state[0]:
        _keep(one, np.maximum(at, first + state[0]), state[1], done)
    for d, step in zip(done, np.exp(np.asarray(state[1].log_step_mean)), strict=True):
        d.step = float(step)
    return done


def _moved(before: Any, after: Any, which: np.ndarray) -> Any:
    """The walks after a chunk, those of `which` [chains]; the others as before."""
    if which.all():
        return after
    return jax.tree.map(lambda a, b: jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), b, a), before, after)


def _done(started: list[tuple[int, Any, Done]], chunks: list[tuple[bool, Info, np.ndarray]]) -> list[Done]:
    """What each chain has made: before, and in the chunks that it walked."""
    found = []
    for i, (_, _, before) in enumerate(started):
        own = [(adapt, info) for adapt, info, walked in chunks if walked[i]]
        rows = [[x[i] for x in info] for adapt, info in own if not adapt]
        diverged = sum(int(info.diverging[i].sum()) for adapt, info in own if adapt)
        found.append(Done([*before.rows, *rows], divergent=before.divergent + diverged))
    return found


def _keep(one: Chain, at: np.ndarray, walks: Any, done: list[Done]) -> tuple[float, float]:
    """Write every chain's place; the next time comes no sooner than twenty times as long as this took."""
    began = time.monotonic()
    for i, d in enumerate(done):
        one.keep(i, int(at[i]), jax.tree.map(lambda x, i=i: x[i], walks), d)
    ended = time.monotonic()
    return ended, max(EVERY, 20 * (ended - began))
