"""Empirical Bayes estimates of a cohort as one value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class IndividualEstimates:
    """The mode of each subject's random effects, p(eta_i | y_i) for fixed population values, and the normal law around it.

    `effects` names the K random effects (eta_<parameter>, kappa_<parameter>_<occasion>), on the parameter's transformed scale; `eta` [N, K];
    `covariance` [N, K, K] the inverse curvature of -log p there (NaN where that is not positive definite); `omega` [K] the population's standard
    deviations; `parameters` one row a subject; `gradient` [N] the norm of the gradient per standard deviation of a random effect; `status` [N]
    "converged" or the reason why not.
    """

    subjects: tuple[str, ...]
    effects: tuple[str, ...]
    eta: np.ndarray
    covariance: np.ndarray
    omega: np.ndarray
    parameters: pd.DataFrame
    gradient: np.ndarray
    status: tuple[str, ...]

    @property
    def se(self) -> np.ndarray:
        """Standard deviation of each random effect given the subject's data [N, K]."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def shrinkage(self) -> pd.Series:
        """1 - sd(eta_i) / omega of each random effect, over the subjects whose rows say anything of it; NaN for fewer than two such subjects.

        Source: Savic & Karlsson 2009, AAPS J 11:558.
        """
        told = self.se < self.omega * (1 - 1e-6)
        sd = [np.std(self.eta[told[:, k], k], ddof=1) if told[:, k].sum() > 1 else np.nan for k in range(len(self.effects))]
        return pd.Series(1.0 - np.array(sd) / self.omega, index=list(self.effects), name="shrinkage")

    @property
    def table(self) -> pd.DataFrame:
        """One row a subject: its parameters, random effects with standard errors, and status."""
        index = self.parameters.index
        etas = pd.DataFrame(self.eta, columns=list(self.effects), index=index)
        ses = pd.DataFrame(self.se, columns=[f"se_{e}" for e in self.effects], index=index)
        return pd.concat([self.parameters, etas, ses], axis=1).assign(status=list(self.status))

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Subjects whose mode was not found, each with the reason."""
        return tuple(f"subject {s}: {why}" for s, why in zip(self.subjects, self.status, strict=True) if why != "converged")
