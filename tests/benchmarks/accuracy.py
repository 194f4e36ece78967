"""Equal accuracy on both sides: every way to a gradient is tried from loose to tight, and timed at the loosest tolerance that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from tests.benchmarks.timing import Run, first

RTOLS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


@dataclass(frozen=True)
class Tried:
    """What one tolerance gave: largest error of the gradient over its largest entry, subjects that failed, mean steps."""

    error: float
    failed: int
    steps: float


@dataclass(eq=False)
class Way:
    """One way to a gradient; `solved(p, rtol)` -> (value, (status, steps)). Where the tolerance may be traced, one compilation serves all."""

    name: str
    solved: Callable[[Any, Any], tuple[Any, tuple[Any, Any]]]
    p: Any
    traced: bool = True
    compile_seconds: float = 0.0
    tried: dict[float, Tried] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._one = jax.jit(jax.value_and_grad(self.solved, has_aux=True), static_argnums=() if self.traced else 1)

    def run(self, rtol: float) -> Run:
        return lambda: jax.block_until_ready(self._one(self.p, rtol))

    def compile(self, rtol: float = 1e-3) -> None:
        """Once; the second time it changes nothing."""
        self.compile_seconds = self.compile_seconds or first(self.run(rtol))

    def gradient(self, rtol: float) -> np.ndarray:
        return np.asarray(self.run(rtol)()[1])

    def try_all(self, exact: np.ndarray, rtols: Iterable[float] = RTOLS) -> None:
        for rtol in rtols:
            (_, (status, steps)), slope = self.run(rtol)()
            error = float(np.abs(np.asarray(slope) - exact).max() / np.abs(exact).max())
            self.tried[rtol] = Tried(error, int(np.sum(np.asarray(status) != 0)), float(np.mean(steps)))

    def loosest(self, level: float) -> float | None:
        """The loosest tolerance that, like every tighter one, leaves an error below the level and no subject behind.

        The condition on the tighter ones is for explicit methods at their stability limit, whose error jumps about.
        """
        good = None
        for rtol, found in sorted(self.tried.items()):
            if not (found.error < level and found.failed == 0):
                break
            good = rtol
        return good

    def said(self, rtol: float) -> str:
        found = self.tried[rtol]
        steps = "" if np.isnan(found.steps) else f", {found.steps:.0f} steps"
        return f"rtol {rtol:.0e}, error {found.error:.1e}{steps}"


def best(ways: Mapping[str, float]) -> str:
    """The name of the fastest."""
    return min(ways, key=lambda name: ways[name])
