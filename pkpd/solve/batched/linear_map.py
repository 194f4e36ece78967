"""A linear map that brings its own transpose, so that one rule gives forward and reverse mode.

`jax.custom_vjp` gives reverse mode alone; `jax.custom_jvp` transposes what it is told, which for a loop of unknown length cannot be done; and
`jax.custom_derivatives.linear_call` has no batching rule (JAX 0.12), so neither `jacrev` nor `vmap` over tangents would pass. Hence this primitive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Map = Callable[[Any, Any], Any]
Flat = Callable[..., list[Any]]

_linear = Primitive("pkpd_linear_map")
_linear.multiple_results = True


def linear_map(forward: Map, transpose: Map, fixed: Any, tangents: Any, like: Any) -> Any:
    """forward(fixed, tangents), linear in `tangents`, with the structure of `like`; transpose(fixed, cotangents) has that of `tangents`.

    Neither is traced before it is needed.
    """
    fixed_leaves, fixed_tree = jax.tree.flatten(fixed)
    leaves, tree = jax.tree.flatten(tangents)
    out_leaves, out_tree = jax.tree.flatten(like)
    split = len(fixed_leaves)

    def flat(function: Map, inner: Any) -> Flat:
        def run(*args: Any) -> list[Any]:
            return jax.tree.leaves(function(jax.tree.unflatten(fixed_tree, args[:split]), jax.tree.unflatten(inner, args[split:])))

        return run

    shapes = tuple(ShapedArray(x.shape, x.dtype) for x in out_leaves)
    out = _linear.bind(*fixed_leaves, *leaves, forward=flat(forward, tree), transpose=flat(transpose, out_tree), split=split, shapes=shapes)
    return jax.tree.unflatten(out_tree, out)


def _run(*args: Any, forward: Flat, transpose: Flat, split: int, shapes: tuple) -> list[Any]:
    return forward(*args)


def _jvp(primals: Any, tangents: Any, *, split: int, **rest: Any) -> tuple[Any, Any]:
    if any(not isinstance(x, ad.Zero) for x in tangents[:split]):
        raise NotImplementedError(
            "The batched solver has first derivatives only; second ones need a solver that JAX can differentiate twice: 'kvaerno5' or 'tsit5'."
        )
    moved = [ad.instantiate_zeros(x) for x in tangents[split:]]
    return _linear.bind(*primals, split=split, **rest), _linear.bind(*primals[:split], *moved, split=split, **rest)


def _transposed(cotangents: Any, *args: Any, forward: Flat, transpose: Flat, split: int, shapes: tuple) -> list[Any]:
    back = tuple(x.aval for x in args[split:])
    given = [ad.instantiate_zeros(x) for x in cotangents]
    out = _linear.bind(*args[:split], *given, forward=transpose, transpose=forward, split=split, shapes=back)
    return [None] * split + list(out)


def _batched(args: Any, dims: Any, *, forward: Flat, transpose: Flat, split: int, shapes: tuple) -> tuple[Any, Any]:
    """Every tangent and every cotangent carries the batch first; what is fixed only where it did."""
    size = next(x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None)
    spread = lambda x, d: jnp.broadcast_to(x, (size, *x.shape)) if d is None else jnp.moveaxis(x, d, 0)  # noqa: E731
    moving = [spread(x, d) for x, d in zip(args[split:], dims[split:], strict=True)]
    fixed = tuple(None if d is None else d for d in dims[:split])
    over = lambda function: lambda *given: jax.vmap(function, in_axes=fixed + (0,) * (len(given) - split))(*given)  # noqa: E731
    wide = tuple(ShapedArray((size, *x.shape), x.dtype) for x in shapes)
    out = _linear.bind(*args[:split], *moving, forward=over(forward), transpose=over(transpose), split=split, shapes=wide)
    return out, [0] * len(out)


_linear.def_impl(_run)
_linear.def_abstract_eval(lambda *args, shapes, **rest: list(shapes))
ad.primitive_jvps[_linear] = _jvp
ad.primitive_transposes[_linear] = _transposed
batching.primitive_batchers[_linear] = _batched
mlir.register_lowering(_linear, mlir.lower_fun(_run, multiple_results=True))
