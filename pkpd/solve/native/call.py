"""The compiled solve as JAX primitives: value, tangent and adjoint, each one call into the library.

JAX's own wrappers do not fit: `custom_vjp` has no forward mode, which the geometry of a fit needs, and a `linear_call` inside `custom_jvp` has both
but no batching rule, so `jax.jacrev` and `jax.lax.map(batch_size=...)` stop. Primitives of our own have all of it: the derivative of `solve` is
`push`, linear in its tangents; the transpose of `push` is `pull`; and under `vmap` the mapped axis becomes more lanes, which is what the library is
made for. Under differentiation `record` stands for `solve`: it leaves its steps with the library, and `push` and `pull` find them by a ticket (a
number a lane; where the steps are gone by then, they are taken again). A second derivative is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from pkpd.errors import SolveError

FIXED, GIVEN = 4, 7  # atol, reset, clear, segment; then edges, jump, rate, y0, p, q, times
HELD = FIXED + GIVEN + 1  # and the ticket, by which `push` and `pull` find the steps that `record` took


class Job(NamedTuple):
    """Everything a call needs besides arrays: what the entry points begin with, the model's name, and the settings."""

    entries: str
    model: str
    rtol: float
    max_steps: int
    threads: int
    asked: int = 2**GIVEN - 1  # of `pull`: one bit for each argument whose slope somebody wants

    def attributes(self) -> dict[str, Any]:
        whole = {name: np.int64(getattr(self, name)) for name in ("max_steps", "threads", "asked")}
        return {"model": self.model, "rtol": np.float64(self.rtol), **whole}


def solve(job: Job, fixed: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """[y[M, n, B], status[B], steps[B]]"""
    return _solve.bind(*fixed, *given, job=job)


def _shapes(name: str, arrays: Sequence[Any]) -> list[tuple[tuple[int, ...], Any]]:
    given = arrays[FIXED : FIXED + GIVEN]
    n, lanes = given[3].shape
    y = ((given[6].shape[0], n, lanes), np.dtype("float64"))
    if name == "pull":
        return [(x.shape, np.dtype("float64")) for x in given]
    a_lane = {"push": (), "solve": ("int32", "int32"), "record": ("int32", "int32", "int64")}[name]
    return [y, *(((lanes,), np.dtype(kind)) for kind in a_lane)]


def _call(name: str, *arrays: Any, job: Job) -> list[Any]:
    out = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in _shapes(name, arrays)]
    return list(jax.ffi.ffi_call(f"{job.entries}_{name}", out)(*arrays, **job.attributes()))


def _abstract(name: str, *arrays: Any, job: Job) -> list[Any]:
    return [ShapedArray(shape, dtype) for shape, dtype in _shapes(name, arrays)]


def _wide(primitive: Primitive, arrays: Sequence[Any], axes: Sequence[Any], job: Job) -> tuple[list[Any], list[Any]]:
    """The mapped axis becomes more lanes (subjects), the last axis of everything but the tolerances."""
    if axes[0] is not None:
        raise SolveError("Tolerances cannot be mapped over: give each its own solve.")
    size = next(x.shape[a] for x, a in zip(arrays, axes, strict=True) if a is not None)

    def widen(x: Any, axis: Any) -> Any:
        apart = jnp.broadcast_to(x[..., None, :], (*x.shape[:-1], size, x.shape[-1])) if axis is None else jnp.moveaxis(x, axis, -2)
        return apart.reshape(*apart.shape[:-2], apart.shape[-2] * apart.shape[-1])  # no -1: without covariates there are no rows

    wide = [widen(x, axis) for x, axis in zip(arrays[1:], axes[1:], strict=True)]
    found = primitive.bind(arrays[0], *wide, job=job)
    y0, axis = arrays[FIXED + 3], axes[FIXED + 3]
    lanes = (y0.shape if axis is None else jnp.moveaxis(y0, axis, -2).shape)[-1]
    split = [x.reshape(*x.shape[:-1], size, lanes) for x in found]
    return split, [x.ndim - 2 for x in split]


def _primitive(name: str) -> Primitive:
    made = Primitive(f"pkpd_native_{name}")
    made.multiple_results = True
    run = partial(_call, name)
    made.def_impl(partial(jax.jit, static_argnames="job")(run))
    made.def_abstract_eval(partial(_abstract, name))
    mlir.register_lowering(made, mlir.lower_fun(run, multiple_results=True))
    batching.primitive_batchers[made] = lambda arrays, axes, *, job: _wide(made, arrays, axes, job)
    return made


_solve, _record, _push, _pull = map(_primitive, ("solve", "record", "push", "pull"))


def _solve_jvp(primals: Sequence[Any], tangents: Sequence[Any], *, job: Job) -> tuple[list[Any], list[Any]]:
    y, status, steps, ticket = _record.bind(*primals, job=job)
    moves = [ad.instantiate_zeros(x) for x in tangents[FIXED:]]
    (dy,) = _push.bind(*primals, ticket, *moves, job=job)
    return [y, status, steps], [dy, *(np.zeros(x.shape, jax.dtypes.float0) for x in (status, steps))]


def _linear_jvp(primitive: Primitive, primals: Sequence[Any], tangents: Sequence[Any], *, job: Job) -> tuple[list[Any], list[Any]]:
    """Of `push` and `pull`: linear in what comes after the ticket; in what comes before they have no derivative here."""
    if any(type(x) is not ad.Zero for x in tangents[: FIXED + GIVEN]):
        raise _second()
    moves = [ad.instantiate_zeros(x) for x in tangents[HELD:]]
    return primitive.bind(*primals, job=job), primitive.bind(*primals[:HELD], *moves, job=job)


def _push_transpose(weights: Sequence[Any], *arrays: Any, job: Job) -> list[Any]:
    asked = [ad.is_undefined_primal(x) for x in arrays[HELD:]]
    own = job._replace(asked=sum(wanted << i for i, wanted in enumerate(asked)))
    back = _pull.bind(*arrays[:HELD], ad.instantiate_zeros(weights[0]), job=own)
    return [None] * HELD + [g if wanted else None for g, wanted in zip(back, asked, strict=True)]


def _pull_transpose(weights: Sequence[Any], *arrays: Any, job: Job) -> list[Any]:
    return [None] * HELD + _push.bind(*arrays[:HELD], *map(ad.instantiate_zeros, weights), job=job)


def _refuse(*_: Any, **__: Any) -> Any:
    raise _second()


def _second() -> SolveError:
    return SolveError(
        "The native solver has first derivatives only; for a second one use method='kvaerno5' or 'tsit5' of the general solver."
    )


ad.primitive_jvps[_solve] = _solve_jvp
ad.primitive_jvps[_record] = _refuse
for _each, _transpose in ((_push, _push_transpose), (_pull, _pull_transpose)):
    ad.primitive_jvps[_each] = partial(_linear_jvp, _each)
    ad.primitive_transposes[_each] = _transpose
