"""The expected Fisher information of a design, by the first-order approximation with between-subject spread.

With m_i the mean of subject i at zero random effects, J_i its derivatives in the fixed effects, G_i those in standard normal random effects (omega times
d m / d eta), R_i the residual variances:
    V_i = G_i G_i' + R_i,   I_fixed = sum_i J_i' V_i^-1 J_i,   I_spread[s, t] = 1/2 sum_i tr(V_i^-1 dV_i/ds V_i^-1 dV_i/dt)
The two blocks are kept apart, which agrees better with simulated standard errors than the full matrix.
Source: Retout & Mentre 2003, J Biopharm Stat 13:209; Nyberg et al. 2015, Br J Clin Pharmacol 79:6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.inference.linearised import Linearised


@dataclass(frozen=True, eq=False)
class DesignInformation:
    """`root` [rows, P]: V^-1/2 J of all subjects, each times the root of its copies, so that root' root is the information of the fixed effects `names`;
    `spread` [S, S]: that of ln `spreads`."""

    names: tuple[str, ...]
    root: np.ndarray
    spreads: tuple[str, ...]
    spread: np.ndarray

    @property
    def fixed(self) -> np.ndarray:
        """[P, P]."""
        return self.root.T @ self.root


def design_information(here: Linearised, observables: tuple[int, ...] | None = None) -> DesignInformation:
    """Of all rows, or of those of some observables alone."""
    names, spreads = tuple(here.mean), (*here.random, *here.spread)
    kept = np.ones(len(here.rows), bool) if observables is None else np.isin(here.observable, observables)
    roots, total = [np.zeros((0, len(names)))], np.zeros((len(spreads), len(spreads)))
    for i in np.unique(here.subject[kept]):
        at = np.flatnonzero(kept & (here.subject == i))
        effects = {s: np.stack([c[at] for c in columns], 1) for s, columns in here.random.items()}
        variance = np.diag(here.sd[at] ** 2) + sum((g @ g.T for g in effects.values()), np.zeros((len(at), len(at))))
        factor = np.linalg.cholesky(variance)
        mean = np.stack([v[at] for v in here.mean.values()], 1) if names else np.zeros((len(at), 0))
        roots.append(np.sqrt(here.copies[i]) * np.linalg.solve(factor, mean))
        slopes = [2.0 * g @ g.T for g in effects.values()] + [np.diag(2.0 * here.sd[at] * v[at]) for v in here.spread.values()]
        white = [np.linalg.solve(factor, np.linalg.solve(factor, s).T) for s in slopes]
        total += 0.5 * here.copies[i] * np.array([[np.sum(a * b) for b in white] for a in white]).reshape(total.shape)
    return DesignInformation(names, np.concatenate(roots), spreads, total)
