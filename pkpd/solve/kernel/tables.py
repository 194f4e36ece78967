"""Launching a kernel: arrays with the lanes last are cut into blocks of lanes, and each block is one program with its own loop.

Inside, a table is read row by row: the same row for every lane, or for each lane the row it has got to. Lanes never meet, so no order among them matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

try:
    from jax.experimental.pallas import triton
except ImportError:  # JAX means to drop this backend; pkpd must go on importing when it has
    triton: Any = None


@dataclass(frozen=True)
class Launch:
    """How kernels are run: lanes a block (a power of two), and whether by JAX's interpreter, which needs no GPU and is only for tests."""

    block: int
    interpret: bool


@dataclass(frozen=True, eq=False)
class Tables:
    """The arrays of one block by name, and the numbers of its lanes; a table without entries is absent and has no rows."""

    refs: Mapping[str, Any]
    lanes: Any

    def row(self, name: str, *index: Any) -> Any:
        """One row for all lanes."""
        return self.refs[name][(*index, slice(None))]

    def rows(self, name: str, *index: Any) -> list[Any]:
        """table[*index, i, lanes] for every i."""
        return [self.row(name, *index, i) for i in range(self._count(name, len(index)))]

    def at(self, name: str, *index: Any, where: Any = None) -> Any:
        """table[*index, lane], an index being a number of its own for each lane; zero where not `where`, and nothing is read there."""
        return triton.load(self.refs[name].at[(*index, self.lanes)], mask=where, other=None if where is None else 0.0)

    def all_at(self, name: str, index: Any, where: Any = None) -> list[Any]:
        """table[i, index, lane] for every i."""
        return [self.at(name, i, index, where=where) for i in range(self._count(name, 0))]

    def write(self, name: str, value: Any, *index: Any) -> None:
        """One row of all lanes."""
        ref = self.refs[name]
        ref[(*index, slice(None))] = value.astype(ref.dtype)

    def write_at(self, name: str, value: Any, *index: Any, where: Any) -> None:
        """table[*index, lane] in the lanes `where`."""
        ref = self.refs[name]
        triton.store(ref.at[(*index, self.lanes)], value.astype(ref.dtype), mask=where)

    def _count(self, name: str, axis: int) -> int:
        return self.refs[name].shape[axis] if name in self.refs else 0


def launch(how: Launch, kernel: Callable[[Tables], None], given: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """Run `kernel` on every block of lanes; `made` names what it writes with shapes, the lanes (or the blocks) last."""
    given, empty = {n: x for n, x in given.items() if x.size}, {n: jnp.zeros(x.shape, x.dtype) for n, x in made.items() if not x.size}
    made = {n: x for n, x in made.items() if x.size}
    blocks = next(iter(given.values())).shape[-1] // how.block

    def run(*refs: Any) -> None:
        kernel(Tables(dict(zip((*given, *made), refs, strict=True)), jnp.arange(how.block, dtype=jnp.int32)))

    def spec(x: Any) -> Any:
        ahead = (0,) * (x.ndim - 1)
        return pl.BlockSpec((*x.shape[:-1], x.shape[-1] // blocks), lambda i: (*ahead, i))

    # One lane a thread. Nothing here is a product of matrices, so the loads need no pipeline.
    params = triton.CompilerParams(num_warps=max(1, how.block // 32), num_stages=1)
    out = pl.pallas_call(
        run, out_shape=list(made.values()), grid=(blocks,), in_specs=[*map(spec, given.values())], out_specs=[*map(spec, made.values())],
        compiler_params=params, interpret=how.interpret,
    )(*given.values())  # fmt: skip
    return empty | dict(zip(made, out, strict=True))


def missing() -> str | None:
    """Why no kernel can be made with this JAX, as a sentence; None where one can."""
    return (
        None if triton is not None else f"JAX {jax.__version__} no longer has the Triton backend of Pallas, which the kernel is written in"
    )


def shape(dtype: Any, *sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, dtype)
