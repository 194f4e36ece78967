"""What is drawn from: Student's t laws with a centre and a root of their scale, and mixtures of several.

A normal law with the same centre and root is what a descent knows. Student's t is drawn from in its place: alike in the middle, but with tails that reach where
a normal law never goes, which bounds most weights and lets Pareto-k see the tails of the posterior that the middle leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

TAILS = 5.0
"""Degrees of freedom. Of six ten-dimensional funnels by three paths each, normal laws passed two with k of 0.38 and 0.48, t laws with 5 none."""


@dataclass(frozen=True, eq=False)
class Law:
    """Centre [D] and root [D, D]: of a normal law the mean and covariance root root'."""

    centre: np.ndarray
    root: np.ndarray

    def draw(self, noise: np.ndarray) -> np.ndarray:
        """v [S, D] from standard noise."""
        return self.centre + noise @ self.root.T

    def noise(self, v: np.ndarray) -> np.ndarray:
        """The standard noise [S, D] that v comes from."""
        return np.linalg.solve(self.root, (v - self.centre).T).T

    @property
    def log_size(self) -> float:
        """ln |root|."""
        return float(np.linalg.slogdet(self.root)[1])

    def normal_log_density(self, v: np.ndarray) -> np.ndarray:
        """[S] of the normal law, without -(D/2) ln 2 pi.

        >>> Law(np.zeros(2), 2.0 * np.eye(2)).normal_log_density(np.array([[2.0, 0.0]])).round(6).tolist()
        [-1.886294]
        """
        return -0.5 * np.sum(self.noise(v) ** 2, 1) - self.log_size


def drawn_from(laws: Sequence[Law], n: int, key: Any) -> np.ndarray:
    """At least n draws [S, D] of Student's t laws in equal parts, one law after another."""
    noise = np.asarray(student(key, (len(laws), -(-n // len(laws)), len(laws[0].centre))))
    return np.concatenate([law.draw(x) for law, x in zip(laws, noise, strict=True)])


def mixture_log_density(laws: Sequence[Law], v: np.ndarray) -> np.ndarray:
    """Log density [S] of equal parts of their t laws, without -(D/2) ln 2 pi."""
    each = np.stack([np.asarray(student_log_density(law.noise(v))) - law.log_size for law in laws])
    return np.logaddexp.reduce(each, 0) - np.log(len(laws))


def student(key: Any, shape: tuple[int, ...]) -> Any:
    """Draws of a multivariate t with `TAILS` degrees of freedom and unit scale; the last axis is the vector."""
    first, second = jax.random.split(key)
    scale = jax.random.chisquare(second, TAILS, (*shape[:-1], 1)) / TAILS
    return jax.random.normal(first, shape) / jnp.sqrt(scale)


def student_log_density(x: Any) -> Any:
    """Log density of those draws [...]; -(P/2) ln 2 pi is left out, as of the normal laws it is divided by."""
    p = x.shape[-1]
    constant = gammaln((TAILS + p) / 2) - gammaln(TAILS / 2) - 0.5 * p * np.log(TAILS / 2)
    return constant - 0.5 * (TAILS + p) * jnp.log1p(jnp.sum(x**2, -1) / TAILS)
