"""Gradients of whole posteriors, as the sampler calls them: the solver of a fit, exchanged for another, and what its gradient is worth."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from pkpd import FitProblem
from pkpd.inference.space import Space
from pkpd.population.medians import typical_value
from pkpd.solve.contract import Solve
from tests.benchmarks.accuracy import Way
from tests.benchmarks.peers import with_solve

FITS = Path(__file__).resolve().parents[2] / "fits"


def fit_problem(name: str) -> FitProblem:
    """The problem of `fits/<name>.py`, loaded by path as the command line does."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", FITS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problem(quick=False)


def point(problem: FitProblem, values: Mapping[str, float], weights: Mapping[str, Any]) -> np.ndarray:
    """z[D] with some population sites at `values`, the others at their priors' medians, and every subject a little off the typical one."""
    space = Space(problem)
    held = handlers.substitute(space.model, data={k: jnp.asarray(v) for k, v in values.items() if k in space.latent})
    seeded = handlers.seed(handlers.substitute(held, substitute_fn=typical_value), jax.random.PRNGKey(0))
    trace = handlers.trace(seeded).get_trace(weights)
    z = np.asarray(space.flatten({n: trace[n]["value"] for n in space.latent}))
    return z + 0.1 * np.random.default_rng(0).normal(size=z.shape)


def density(problem: FitProblem, weights: Mapping[str, Any]) -> Callable[[Any], Any]:
    """z -> -log posterior density."""
    space = Space(problem)
    return lambda z: space.potential(z, weights)


def with_tolerance(problem: FitProblem, make: Callable[..., Solve], method: str, weights: Mapping[str, Any], steps: int = 4096) -> Callable:
    """What a `Way` differentiates: (z, rtol) -> (value, (status, steps)), with another solver in the problem; a failure shows as NaN."""

    def solved(z: Any, rtol: Any) -> tuple[Any, tuple[Any, Any]]:
        other = with_solve(problem, lambda scale: make(method, rtol, scale * (1e-2 * rtol), steps))
        value = density(other, weights)(z)
        return value, (jnp.isnan(value).astype(int), jnp.nan)

    return solved


def as_it_is(problem: FitProblem, weights: Mapping[str, Any], name: str, z: Any) -> Way:
    """The problem with its own solver, as a way whose tolerance says nothing."""
    value = density(problem, weights)
    return Way(name, lambda z, rtol: (value(z), (0, jnp.nan)), z)
