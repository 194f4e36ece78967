"""The kind of each subject, drawn after the fit: the likelihood has summed over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from pkpd.inference.problem import FitProblem
from pkpd.population.mixture import Mixture


def kinds(problem: FitProblem, trace: Mapping[str, Any], found: Mapping[str, Any], key: Any) -> dict[str, Any]:
    """`subpopulation` [N], from 1, drawn from P(kind | the subject's rows, this draw), and `<param>_i` [N] of that kind; nothing without subpopulations."""
    mixture = problem.population.mixture
    if mixture is None:
        return {}
    kind = 1 + jax.random.categorical(key, trace["dv"]["fn"].membership(jnp.asarray(problem.rows.dv)))
    return {"subpopulation": kind} | _own(problem, mixture, found, kind)


def _own(problem: FitProblem, mixture: Mixture, found: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """`<param>_i` moved from the first kind to the subject's own."""
    _, shifts = mixture.values(lambda site, prior: found.get(site, prior))
    specs = problem.population.parameters
    return {f"{n}_i": specs[n].back(specs[n].forward(found[f"{n}_i"]) + x[kind - 1]) for n, x in shifts.items() if f"{n}_i" in found}
