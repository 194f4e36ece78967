"""Re-weigh posterior draws from the solver they were sampled with to a tighter one.

Priors and Jacobians cancel, so the log importance ratio of a draw is the difference of its log-likelihoods. Source: Timonen, Siccha, Bales, Lähdesmäki &
Vehtari 2023, Stat 12:e614 (arXiv:2205.09059); weights smoothed as by Vehtari et al. 2024, JMLR 25:72.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError, PkpdError
from pkpd.inference.certificate import COLUMNS, FEWEST, SolverCheck, short
from pkpd.inference.cohort_model import measurement, sds_from
from pkpd.inference.predictive import Predictive, over_draws, thin
from pkpd.inference.problem import FitProblem
from pkpd.population.shrink import KEPT
from pkpd.solve import Solver

RTOL, DRAWS = 1e-8, 400
MACHINE, TRACED = "native_rodas4", "rosenbrock"  # L-stable and adaptive, both
# What sets a method's accuracy, and which methods may check it, the preferred first: one that shares as little code with it as can be.
METHODS = {
    **dict.fromkeys(("closed_form", "native_closed_form", "matrix_exponential"), ("exact", ())),
    **dict.fromkeys(("native_rodas4", "native_tsit5"), ("tolerance", (TRACED,))),
    "cascade": ("mesh", (MACHINE, TRACED)),
}
OTHER = ("tolerance", (MACHINE, TRACED))


def tighter(solver: Solver, chosen: str, rtol: float = RTOL) -> tuple[Solver, ...]:
    """The solvers that may check one (`chosen` names its method), in order of preference; none for a method that is exact.

    An rtol no larger than a tenth of the solver's own; atol is a hundredth of it, relative to each state's scale, or a tenth of the solver's where that
    is less. No machine code where it is "off".

    >>> tighter(Solver(), "closed_form"), [other.method for other in tighter(Solver(), "native_rodas4")]
    ((), ['rosenbrock'])
    """
    kind, methods = METHODS.get(chosen, OTHER)
    methods = [m for m in methods if m != MACHINE or solver.when != "off"]
    tight = min(rtol, solver.rtol / 10) if kind == "tolerance" else rtol
    steps = max(solver.max_steps, Solver().max_steps)
    atol = min(tight / 100, solver.atol / 10) if kind == "tolerance" else tight / 100
    return tuple(Solver(method=m, rtol=tight, atol=atol, max_steps=steps, threads=solver.threads) for m in methods)


def reweigh(
    problem: FitProblem, posterior: xr.Dataset, weights: Mapping[str, Any], *, rtol: float = RTOL, draws: int = DRAWS, sampled: Any = None
) -> SolverCheck:
    """Check the solver of `problem` on at most `draws` of the draws in `posterior`; `weights` are the centring weights they were drawn with.

    `sampled` are the log-likelihoods [draw] of the same thinned draws under the problem's own solver, where they are known already.
    """
    chosen = problem.predictor.chosen.name
    told, cure = accuracy(problem.solver, chosen)
    if not tighter(problem.solver, chosen):
        return SolverCheck(told)
    try:
        other = _checker(problem, rtol)
    except PkpdError as error:
        return SolverCheck(told, reason=f"no tighter solver can be had ({str(error).rstrip('.')})")
    own = log_likelihoods(problem, posterior, weights, draws) if sampled is None else sampled
    ratio = log_likelihoods(other, posterior, weights, draws) - own
    table = _thinned(posterior, [n for n in problem.population_sites if n in posterior], draws)
    against = f"{other.predictor.chosen.name} (rtol {short(other.solver.rtol)}, atol {short(other.solver.atol)})"
    return weigh(ratio, table, SolverCheck(told, against, cure=cure))


def _checker(problem: FitProblem, rtol: float) -> FitProblem:
    """The problem with the first tighter solver that can be had: machine code needs a compiler, and equations that it can translate."""
    refusals = []
    for solver in tighter(problem.solver, problem.predictor.chosen.name, rtol):
        other = replace(problem, solver=solver)
        try:
            _ = other.predictor.chosen
            return other
        except PkpdError as refusal:
            refusals.append(str(refusal))
    raise FitError(" ".join(refusals))


def log_likelihoods(problem: FitProblem, posterior: xr.Dataset, weights: Mapping[str, Any], draws: int = DRAWS) -> np.ndarray:
    """Of all rows and summaries together [draw], at thinned draws; NaN where a subject could not be solved."""
    predictive, dv = Predictive(problem, weights), jnp.asarray(problem.rows.dv)
    told = lambda s: problem.published.log_likelihood(s) if problem.summaries else 0.0  # noqa: E731
    known = [n for n in problem.population_sites if not n.startswith("corr_")]  # a correlation is told, its Cholesky factor is sampled
    sites = _thinned(posterior, [str(n) for n in posterior.data_vars if str(n).startswith(KEPT) or n in known], draws)

    def one(values: Any, _: Any) -> Any:
        rows = measurement(problem, predictive.all_kinds(values), sds_from(problem, values)).log_prob(dv)
        return jnp.sum(rows) + told(values)

    keys = jax.random.split(jax.random.PRNGKey(0), len(next(iter(sites.values()))))
    # One draw after another: together they would copy an adaptive solver's whole tape at each step, which is 50 times slower.
    return over_draws(one, sites, keys, batch=None)


def _thinned(posterior: xr.Dataset, names: list[str], draws: int) -> dict[str, np.ndarray]:
    """[draw, ...] of each name, the same draws for all."""
    index = thin((posterior.sizes["chain"], posterior.sizes["draw"]), draws)
    return {n: posterior[n].to_numpy().reshape(-1, *posterior[n].shape[2:])[index] for n in names}


def weigh(ratio: np.ndarray, values: Mapping[str, np.ndarray], check: SolverCheck) -> SolverCheck:
    """`check` with what log importance ratios [draw] say of `values` [draw] by name; draws whose ratio is not finite count as failed.

    >>> found = weigh(np.zeros(100), {"CL": np.arange(100.0)}, SolverCheck("rosenbrock", "native_rodas4 (rtol 1e-8)"))
    >>> found.status, found.draws, found.failed
    ('certified', 100, 0)
    """
    ratio = np.asarray(ratio)
    good = np.isfinite(ratio)
    counted = replace(check, draws=len(ratio), failed=int((~good).sum()))
    if good.sum() < FEWEST:
        few = f"only {good.sum()} of {len(ratio)} draws were solved by both solvers, and at least {FEWEST} are needed"
        return replace(counted, reason=few)
    centred = ratio[good] - np.median(ratio[good])
    w, k = smoothed(centred)
    table = pd.DataFrame([_line(n, np.asarray(v)[good], w) for n, v in values.items()], columns=COLUMNS)
    return replace(counted, pareto_k=k, ess=float(1 / np.sum(w**2)), difference=float(np.abs(centred).max()), table=table)


def smoothed(log_ratio: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Pareto-smoothed weights that sum to one, and k; None where the tail cannot be fitted, or is rounding."""
    from arviz_stats.base import array_stats  # not at import time: it takes seconds

    if np.ptp(log_ratio) < 1e-10:
        return np.full(len(log_ratio), 1 / len(log_ratio)), None
    log_weights, k = array_stats.psislw(-log_ratio)  # made for leave-one-out: it takes what the weights are one over
    return np.exp(log_weights), float(k) if np.isfinite(k) else None


def _line(name: str, x: np.ndarray, w: np.ndarray) -> tuple[Any, ...]:
    """Of the same draws both ways: means of other draws would differ by Monte Carlo error, which is no fault of the solver."""
    mean, sd, moved = float(x.mean()), float(x.std(ddof=1)), float(w @ x)
    quantiles = np.quantile(x, [0.05, 0.5, 0.95], weights=w, method="inverted_cdf")
    return (name, mean, sd, moved, *map(float, quantiles), (moved - mean) / sd if sd > 0 else 0.0)


def accuracy(solver: Solver, chosen: str) -> tuple[str, str]:
    """A method with what sets its accuracy, and the settings that make it finer."""
    kind, _ = METHODS.get(chosen, OTHER)
    asked = "" if solver.method == "auto" else f"method='{solver.method}', "
    if kind == "exact":
        return chosen, ""
    if kind == "mesh":
        first = "" if solver.mesh_first is None else f", mesh_first={solver.mesh_first / 2:g}"
        return f"{chosen} (mesh_growth {solver.mesh_growth:g})", f"Solver({asked}mesh_growth={solver.mesh_growth / 2:g}{first})"
    finer = max(solver.rtol / 100, 1e-12)
    return f"{chosen} (rtol {short(solver.rtol)})", f"Solver({asked}rtol={short(finer)}, atol={short(solver.atol / 100)})"
