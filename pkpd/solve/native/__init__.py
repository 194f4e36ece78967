"""Rates as machine code: a model's equations are translated to C++ over SIMD lanes, compiled once, and called by XLA."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.errors import SolveError
from pkpd.solve.contract import Events, Rhs, Solution, finish
from pkpd.solve.native import build, call, source
from pkpd.solve.native.source import METHODS, Sizes
from pkpd.solve.native.translate import Unsupported

__all__ = ["METHODS", "available", "begin", "make_native", "prepare"]


@lru_cache(maxsize=64)
def _written(rhs: Rhs, sizes: Sizes, method: str) -> tuple[str, str | None]:
    """(source, None), or ("", why not)."""
    try:
        return source.write(rhs, sizes, method), None
    except Unsupported as refusal:
        return "", f"the equations use {refusal}, which native code does not translate"


def available(rhs: Rhs, sizes: tuple[int, int, int], method: str = "tsit5") -> str | None:
    """Why `rhs` with sizes (n states, k parameters, j covariates) cannot run as native code, as a sentence; None where it can."""
    if jax.default_backend() != "cpu":
        return f"native code runs on the CPU, and JAX computes on {jax.default_backend()}"
    return build.why_not() or _written(rhs, Sizes(*sizes), method)[1]


def begin(rhs: Rhs, sizes: tuple[int, int, int], method: str = "tsit5") -> bool:
    """True where the code is compiled already, and loaded; else its compilation is begun in the background. `SolveError` where that cannot be."""
    text, refusal = _written(rhs, Sizes(*sizes), method)
    if refusal:
        raise SolveError(f"No native code: {refusal}.")
    try:
        missing = [x for x in (source.calls(), text) if not build.ready(x)]
        for each in missing:
            if said := build.failed(each):
                raise SolveError(f"No native code: the compiler refused the model: {said}.")
            build.start(each)
    except OSError as reason:
        raise SolveError(f"No native code: {reason}.") from reason
    return not missing and bool(prepare(rhs, sizes, method))


@lru_cache(maxsize=64)
def prepare(rhs: Rhs, sizes: tuple[int, int, int], method: str = "tsit5") -> tuple[str, str]:
    """Compile now, or find it compiled, and load it: (what the entry points begin with, the model's name)."""
    text, refusal = _written(rhs, Sizes(*sizes), method)
    if refusal:
        raise SolveError(f"No native code: {refusal}.")
    try:
        return build.load(build.library(source.calls()), build.library(text))
    except (build.CannotBuild, OSError) as reason:
        raise SolveError(f"No native code: {reason}.") from reason


def make_native(method: str, rtol: float, atol: Any, max_steps: int, threads: int = 0):
    """The contract's solve as native code: "tsit5" (explicit), "rodas4" (L-stable) or "closed_form" (linear equations; tolerances mean nothing to it).

    atol[n] may differ by state, `max_steps` holds for a segment.

    `threads` are those of XLA's own pool: 0 takes all of them, 1 only the caller's.
    """

    def solve(rhs: Rhs, events: Events, y0: Any, p: Any, q: Any, times: Any) -> Solution:
        n, lanes = y0.shape
        job = call.Job(*prepare(rhs, (n, p.shape[0], q.shape[0]), method), float(rtol), int(max_steps), int(threads))
        real = lambda x: jnp.asarray(x, float)  # noqa: E731
        shape = events.edges.shape[0] - 1, lanes
        flags = [jax.lax.stop_gradient(jnp.broadcast_to(real(x), shape)) for x in (events.reset, events.clear)]
        fixed = [jnp.broadcast_to(np.asarray(atol, float), (n,)), *flags, jnp.asarray(events.segment, "int32")]
        given = [real(x) for x in (events.edges, events.jump, events.rate, y0, p, q, times)]
        return finish(*call.solve(job, fixed, given))

    return solve
