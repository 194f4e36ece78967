"""How far the solver of a fit can be trusted: its draws re-weighted by a tighter solver, computed or read from the fit."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import jax.numpy as jnp

from pkpd.diagnostics.layout import attribute, need, tree_of
from pkpd.errors import FitError, SolveError
from pkpd.inference.certificate import SolverCheck
from pkpd.inference.problem import FitProblem
from pkpd.inference.reweigh import DRAWS, RTOL, reweigh
from pkpd.solve import Solver


def solver_check(fit: Any, *, rtol: float = RTOL, draws: int = DRAWS) -> SolverCheck:
    """Re-weigh a fit's draws from its own solver to a much tighter one: does the solver's error reach the estimates?

    The weight of a draw is w = exp(log p(y | θ, tight) - log p(y | θ, own)), the prior being the same. At most `draws` draws, evenly spaced over all
    chains, are solved by both; the tight solver is another adaptive method at `rtol` (machine code where there is a compiler, else "rosenbrock").
    Returns `verdict` (a sentence: certified, which tolerance to use, or exact), `pareto_k` of the weights (below 0.7 is good), their effective
    number `ess`, the largest `difference` in log posterior, `failed` draws, and `table`: for each population parameter mean and sd as sampled, mean and 90 %
    interval re-weighted, and the `shift` of the mean in posterior sds (0.1 counts).

    Every fit stores its own check, which is what a fit without its problem gives back. Raises `FitError` where there is none, or another was asked for.
    Source: Timonen et al. 2023, Stat 12:e614; Pareto-k: Vehtari et al. 2024, JMLR 25:72.

    >>> solver_check(fit).verdict                                                          # doctest: +SKIP
    'Certified: against native_rodas4 (rtol 1e-8, atol 1e-10), posterior means move by 1.1e-5 sd at most (k_BT); Pareto-k -0.01 (good: below 0.7).'
    """
    if getattr(fit, "problem", None) is None:
        return _stored(fit, rtol, draws)
    problem = _as_sampled(fit)
    weights = {n: jnp.asarray(w) for n, w in fit.centring.items()}
    return reweigh(problem, need(fit, "posterior")["posterior"].to_dataset(), weights, rtol=rtol, draws=draws)


def _as_sampled(fit: Any) -> FitProblem:
    """The fit's problem with the very solver that made the draws: "auto" may pick another one today, as where machine code is compiled by now."""
    told = attribute(fit, "provenance", {}).get("solver")
    if told is None:
        return fit.problem
    known = {f.name: told[f.name] for f in fields(Solver) if f.name in told}
    problem = replace(fit.problem, solver=Solver(**{**known, "method": told["chosen"]}))
    try:
        _ = problem.predictor.chosen
    except SolveError as error:
        raise FitError(
            f"This fit was sampled with {told['chosen']}, which cannot be used here ({error}) What was found when it was made is stored with it: "
            "solver_check(load_fit(directory))."
        ) from None
    return problem


def stored_check(fit: Any) -> SolverCheck | None:
    """The check saved with a fit; None where it was saved by a version that made none."""
    return None if attribute(fit, "solver_check") is None else SolverCheck.from_json(tree_of(fit).attrs["solver_check"])


def _stored(fit: Any, rtol: float, draws: int) -> SolverCheck:
    found, cure = stored_check(fit), "Load it with its problem to check it now: load_fit(directory, problem=problem(quick=False))."
    if found is None:
        raise FitError(f"This fit was saved without a check of its solver, and without its problem none can be made. {cure}")
    if (rtol, draws) != (RTOL, DRAWS):
        raise FitError(
            f"The check stored with this fit was made at rtol {RTOL:g} on {DRAWS} draws; you asked for {rtol:g} on {draws}. {cure}"
        )
    return found
