"""What is compiled once for a problem and a method: modes, objectives and individual parameters from values of the population."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro import handlers

from pkpd.approximate.individual import IndividualEstimates
from pkpd.approximate.marginal import Marginal
from pkpd.approximate.mode import CONVERGED, IMPOSSIBLE, REASONS, Mode
from pkpd.approximate.rows import SubjectRows
from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem
from pkpd.solve.choose import waiting


class Solved(NamedTuple):
    """Modes, objectives [N], l'' at the modes [N, K, K], S [K, K] and individual parameters by name."""

    mode: Mode
    objective: Any
    curvature: Any
    scale: Any
    theta: dict[str, Any]


@lru_cache(maxsize=16)
def marginal_of(problem: FitProblem, method: str, nodes: int = 9) -> Marginal:
    if not jax.config.jax_enable_x64:
        raise FitError("Point estimates need float64: call jax.config.update('jax_enable_x64', True) before any array is made.")
    return Marginal(SubjectRows(replace(problem, solver=waiting(problem.solver))), method, nodes)


@lru_cache(maxsize=16)
def solver_of(marginal: Marginal) -> Callable[[Mapping[str, Any], Any], Solved]:
    """`solve(population, start)`, compiled."""

    def solve(population: Mapping[str, Any], start: Any) -> Solved:
        mode = marginal.mode(population, start)
        curvature = marginal.curvature(population, mode.u)
        objective = marginal.at(population, mode.u, curvature)
        scale = marginal.rows.values.effects.scale(population)
        return Solved(mode, objective, curvature, scale, individual(marginal.rows, population, mode.u))

    return jax.jit(solve)


def individual(rows: SubjectRows, population: Mapping[str, Any], u: Any) -> dict[str, Any]:
    """Parameters of each subject, [N] each."""
    problem, n = rows.problem, rows.shape[0]
    data = {**population, **rows.values.effects.raws(population, u)}
    draw = handlers.seed(handlers.substitute(problem.population.draw, data=data), jax.random.PRNGKey(0))
    with handlers.block():
        theta = draw(problem.design, n, {})
    return {k: jnp.broadcast_to(v, (n,)) for k, v in theta.items()}


def estimates(marginal: Marginal, solved: Solved) -> IndividualEstimates:
    """The value object from what was solved. Raises `FitError` where a subject has no likelihood."""
    problem = marginal.rows.problem
    status = np.asarray(solved.mode.status)
    lost = [problem.cohort.subjects[i] for i in np.flatnonzero(status == IMPOSSIBLE)]
    if lost:
        raise FitError(
            f"{problem.name}: with these values the likelihood of subject {', '.join(lost[:5])} is not finite where all random effects are 0"
            f"{f' ({len(lost)} subjects)' if len(lost) > 5 else ''}. "
            "Check their rows, and the values (a prediction of 0 under a proportional error, for example)."
        )
    scale = np.asarray(solved.scale)
    covariance, definite = inverses(np.asarray(solved.curvature))
    words = [REASONS[int(s)] if s != CONVERGED or ok else SADDLE for s, ok in zip(status, definite, strict=True)]
    subjects = list(problem.cohort.subjects)
    return IndividualEstimates(
        subjects=tuple(subjects),
        effects=marginal.rows.values.effects.names,
        eta=np.asarray(solved.mode.u) @ scale.T,
        covariance=scale @ covariance @ scale.T,
        omega=np.sqrt(np.sum(scale**2, 1)),
        parameters=pd.DataFrame({n: np.asarray(v) for n, v in solved.theta.items()}, index=pd.Index(subjects, name="subject")),
        gradient=np.asarray(solved.mode.gradient),
        status=tuple(words),
    )


SADDLE = "the curvature at the mode is not positive definite"


def inverses(curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of each matrix, NaN where it is not positive definite, and which are."""
    definite = np.array([np.all(np.isfinite(m)) and bool(np.all(np.linalg.eigvalsh(m) > 0)) for m in curvature])
    safe = np.where(definite[:, None, None], curvature, np.eye(curvature.shape[-1]))
    return np.where(definite[:, None, None], np.linalg.inv(safe), np.nan), definite
