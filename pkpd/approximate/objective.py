"""`ebe` and `objective`: random effects and -2 log likelihood at given values of the population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.compiled import Solved, estimates, marginal_of, solver_of
from pkpd.approximate.individual import IndividualEstimates
from pkpd.approximate.marginal import Marginal
from pkpd.errors import FitError
from pkpd.inference.problem import FitProblem


@dataclass(frozen=True, eq=False)
class ObjectiveValue:
    """-2 log likelihood by one method, without `constant` (n ln 2 pi of exactly observed normal rows), as NONMEM prints it.

    `by_subject` adds up to `value`, but for `prior` (-2 log prior density of the values, None where it was not asked for). `jacobian` is 2 sum ln y of
    rows that are normal in ln y: value - jacobian is the objective of log-transformed data.
    """

    method: str
    value: float
    by_subject: pd.Series
    individual: IndividualEstimates
    constant: float
    jacobian: float
    prior: float | None = None

    @property
    def log_likelihood(self) -> float:
        """log p(y), constants included and prior left out."""
        return -0.5 * (float(self.by_subject.sum()) + self.constant)

    def __str__(self) -> str:
        what = "likelihood alone, priors left out" if self.prior is None else f"penalised: -2 log prior {self.prior:.4f} is included"
        return f"{self.method} objective {self.value:.4f} (-2 log likelihood without the constant {self.constant:.4f}; {what})"


def ebe(problem: FitProblem, values: Mapping[str, float]) -> IndividualEstimates:
    """Empirical Bayes estimates: each subject's mode of p(eta_i | y_i) at fixed `values`, all subjects in one compiled program.

        eta_i* = argmin -log p(y_i | theta, eta_i, sigma) + eta_i' Omega^-1 eta_i / 2

    `values` maps every population site (CL, omega_CL, corr_CL_V, sigma_cp, ...) to a number in its unit. Returns `IndividualEstimates`. Raises
    `FitError` for values that are missing, unknown or impossible, and names subjects without a likelihood.
    Source: Sheiner & Beal 1982, J Pharm Sci 71:1344 (empirical Bayes); Le Louedec et al. 2021, CPT:PSP 10:1208 (with the Hessian).

    >>> ebe(problem, {"CL": 2.8, "omega_CL": 0.3, "V": 32.0, "sigma_cp": 0.2}).table       # doctest: +SKIP
    """
    marginal = marginal_of(problem, "Laplace")
    return estimates(marginal, _solve(marginal, marginal.rows.values.sampled(values)))


def objective(
    problem: FitProblem, values: Mapping[str, float], method: str = "FOCEI", nodes: int = 9, prior: bool = False
) -> ObjectiveValue:
    """-2 log likelihood of the population at `values`, random effects integrated out: "FO", "FOCE", "FOCEI", "Laplace" or "exact".

    FO linearises at eta = 0; FOCE and FOCEI (with interaction: the residual spread follows eta) at each subject's mode with expected second derivatives;
    Laplace takes the full ones, and any likelihood: censored rows (M3), counts, events; exact is Gauss-Hermite quadrature around the mode with `nodes`
    a random effect, for up to three. `prior=True` adds -2 log prior density of the values, each on its own scale. Returns `ObjectiveValue`.
    Raises `FitError` for values that do not fit, a method that the rows do not allow, and subjects whose likelihood is not finite.
    Source: Wang 2007, J Pharmacokinet Pharmacodyn 34:575.

    >>> objective(problem, {"CL": 2.8, "omega_CL": 0.3, "V": 32.0, "sigma_cp": 0.2}, method="FO").value    # doctest: +SKIP
    """
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise FitError(f"objective(nodes={nodes!r}): a whole number of at least 1 is needed.")
    marginal = marginal_of(problem, method, nodes)
    population = marginal.rows.values.sampled(values)
    return valued(marginal, population, _solve(marginal, population), prior)


def _solve(marginal: Marginal, population: Mapping[str, Any]) -> Solved:
    return solver_of(marginal)(population, jnp.zeros(marginal.rows.shape))


def valued(marginal: Marginal, population: Mapping[str, Any], solved: Solved, prior: bool) -> ObjectiveValue:
    """The value object; subjects without a finite objective are named."""
    rows, found = marginal.rows, estimates(marginal, solved)
    each = np.asarray(solved.objective)
    lost = [i for i in np.flatnonzero(~np.isfinite(each))]
    if lost:
        who = "; ".join(f"subject {found.subjects[i]}: {found.status[i]}" for i in lost[:5])
        raise FitError(
            f"{rows.problem.name}: the {marginal.method} objective is not finite for {len(lost)} subjects ({who}). Try method='FOCEI', or other values."
        )
    extra = -2.0 * float(rows.values.log_prior(population)) if prior else None
    series = pd.Series(each, index=pd.Index(found.subjects, name="subject"), name=marginal.method)
    return ObjectiveValue(
        marginal.method, float(each.sum()) + (extra or 0.0), series, found, rows.dropped, float(rows.jacobian.sum()), extra
    )
