"""Whether a system can be solved as a kernel here, and if not, why."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.solve.batched.field import EVERY
from pkpd.solve.contract import Rhs
from pkpd.solve.kernel.step import make_rows
from pkpd.solve.kernel.tables import Launch, Tables, launch, missing, shape


def available(rhs: Rhs, sizes: tuple[int, int, int]) -> str | None:
    """Why `rhs` with sizes (n states, k parameters, j covariates) cannot run as a kernel, as a sentence; None where it can."""
    if jax.default_backend() != "gpu":
        return f"the kernel runs on an NVIDIA GPU, and JAX computes on {jax.default_backend()}"
    return missing() or refusal(rhs, sizes)


@lru_cache(maxsize=64)
def refusal(rhs: Rhs, sizes: tuple[int, int, int]) -> str | None:
    """What in the rates or their slopes Pallas cannot put into a kernel, found by lowering them alone; nothing is compiled."""
    given = {
        name: jax.ShapeDtypeStruct((count, 32), float) for name, count in zip(("p", "q", "y"), (sizes[1], sizes[2], sizes[0]), strict=True)
    }
    made = {"out": shape(float, 32)}
    work = lambda given: launch(Launch(32, False), lambda tables: _rates(tables, rhs), given, made)  # noqa: E731
    try:
        jax.jit(work).trace(given).lower(lowering_platforms=("cuda",))
    except (NotImplementedError, ValueError, TypeError) as reason:
        return f"the equations cannot be put into a kernel: {str(reason).strip().splitlines()[0]}"
    return None


def _rates(tables: Tables, rhs: Rhs) -> None:
    """Rates and their slopes, summed so that each of them is written out."""
    y = tables.rows("y")
    u = (tables.rows("p"), tables.rows("q"), y)
    rows, pull = jax.vjp(lambda t, y, u: make_rows(rhs, EVERY)(t, y, u, ()), y[0], y, u)
    parts: list[Any] = jax.tree.leaves((rows, pull(rows)))
    tables.write("out", sum(parts, jnp.zeros_like(y[0])))
