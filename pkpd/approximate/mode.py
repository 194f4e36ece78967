"""The mode of every subject at once: damped Newton steps, each subject with its own step length, in one compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

MOST, ENOUGH, CLOSE, SHORT = 100, 1e-8, 1e-3, 1e-6
CONVERGED, IMPOSSIBLE, STUCK, LONG = 0, 1, 2, 3
REASONS = {
    CONVERGED: "converged",
    IMPOSSIBLE: "its likelihood is not finite at the start",
    STUCK: "no step lowers its objective, and its gradient is not zero",
    LONG: f"not at the mode after {MOST} steps",
}


class Mode(NamedTuple):
    """u [N, K], the norm of the gradient [N], status [N] (see `REASONS`), and the steps taken."""

    u: Any
    gradient: Any
    status: Any
    steps: Any


class _Walk(NamedTuple):
    u: Any
    value: Any
    gradient: Any
    metric: Any
    length: Any
    steps: Any


def find_mode(energy: Callable[[Any], tuple[Any, Any, Any]], start: Any) -> Mode:
    """Minimise each subject's energy(u) -> (value [N], gradient [N, K], positive definite metric [N, K, K]) from `start` [N, K].

    A step is taken where it lowers the value, else its length is halved. Within 1e-3 standard deviations of the mode, where rounding hides what a
    step gains, every finite step is taken. A subject is done when the next step is below 1e-8 standard deviations.
    """

    def advance(w: _Walk) -> _Walk:
        step, far = _step(w)
        trial = w.u - (w.length * _active(w))[:, None] * step
        value, gradient, metric = energy(trial)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient), 1)
        taken = _active(w) & finite & ((value <= w.value) | (far < CLOSE))
        pick = lambda new, old: jnp.where(taken.reshape(-1, *(1,) * (old.ndim - 1)), new, old)  # noqa: E731
        length = jnp.where(taken, jnp.minimum(1.0, 2.0 * w.length), jnp.where(_active(w), 0.5 * w.length, w.length))
        return _Walk(pick(trial, w.u), pick(value, w.value), pick(gradient, w.gradient), pick(metric, w.metric), length, w.steps + 1)

    n, k = start.shape
    first = _Walk(start, jnp.full(n, jnp.inf), jnp.zeros_like(start), jnp.zeros((n, 1, 1)) + jnp.eye(k), jnp.ones(n), jnp.asarray(0))
    last = jax.lax.while_loop(lambda w: (w.steps < MOST) & jnp.any(_active(w)), advance, first)
    return Mode(last.u, jnp.linalg.norm(last.gradient, axis=1), _status(last), last.steps)


def _step(w: _Walk) -> tuple[Any, Any]:
    """The full step, and its size in the subject's own metric."""
    step = jnp.linalg.solve(w.metric, w.gradient[..., None])[..., 0]
    return step, jnp.sqrt(jnp.maximum(jnp.sum(w.gradient * step, 1), 0.0))


def _active(w: _Walk) -> Any:
    """Not done; before the first step, which is of no length and looks at the start, all are active."""
    return (w.steps == 0) | (jnp.isfinite(w.value) & (w.length > SHORT) & (_step(w)[1] > ENOUGH))


def _status(w: _Walk) -> Any:
    far = _step(w)[1]
    left = jnp.where(w.length > SHORT, LONG, STUCK)
    return jnp.where(jnp.isfinite(w.value) & jnp.isfinite(far), jnp.where(far <= CLOSE, CONVERGED, left), IMPOSSIBLE)
