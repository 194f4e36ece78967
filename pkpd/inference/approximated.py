"""What an approximation of a posterior says of itself: how it was made, how its importance weights look, and whether it may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pkpd.inference.certificate import GOOD_K, SolverCheck
from pkpd.inference.identified import Direction, cures
from pkpd.inference.verdict import ESS, Verdict, few

FEWEST = 100.0
"""Effective draws below which no mean or interval is told: they know a mean to 0.1 sd."""
INSTEAD = 'sample the problem (quality="standard", or pkpd.sample).'


@dataclass(frozen=True)
class Approximation:
    """An approximation of the posterior by `method`: `proposals` draws, weighed against the exact posterior, of which `kept` were drawn anew by their weights.

    `pareto_k` of the weights (None where they are all equal), `ess` their effective number, `failed` draws without a finite density. `moved` names the
    parameter whose median the weights move most, and by how many posterior sds. `settings` repeat it, `told` are sentences on how it was made,
    `warned` warnings of its own (in few words, in full, what to do).
    """

    method: str
    proposals: int
    kept: int
    failed: int
    pareto_k: float | None
    ess: float
    moved: tuple[str, float] = ("nothing", 0.0)
    settings: dict[str, Any] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    warned: tuple[tuple[str, str, str], ...] = ()

    @property
    def good_k(self) -> float:
        """Pareto-k up to which this many draws can be trusted: min(0.7, 1 - 1 / log10 S) (Vehtari et al. 2024, section 3.2.4)."""
        return min(GOOD_K, 1.0 - 1.0 / float(np.log10(max(self.proposals - self.failed, 11))))

    @property
    def usable(self) -> bool:
        """Pareto-k at most `good_k` (or equal weights), and at least 100 effective draws."""
        return (self.pareto_k is None or self.pareto_k <= self.good_k) and self.ess >= FEWEST

    @property
    def tail(self) -> str:
        """Pareto-k in words."""
        if self.pareto_k is None:
            return "all weights equal"
        if not np.isfinite(self.pareto_k):
            return "no Pareto-k can be fitted to the weights, so few draws carry any"
        return f"Pareto-k {self.pareto_k:.2f} ({'good: at most' if self.pareto_k <= self.good_k else 'above'} {self.good_k:.2g})"

    @property
    def sentences(self) -> list[str]:
        """For the report."""
        name, shift = self.moved
        lost = f" {self.failed} of them had no finite density and no weight." if self.failed else ""
        weighed = (
            f"{self.proposals} draws of the approximation were weighed by exact posterior / approximation (Pareto smoothed) and drawn anew by their weights: "
            f"{self.tail}, {self.ess:.0f} effective draws.{lost} The weights move medians by {abs(shift):.2g} posterior sd at most ({name})."
        )
        return [f"This fit is an approximation by {self.method}, not a run of NUTS.", *self.told, weighed]

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it: no infinite number."""
        k = self.pareto_k
        return {**asdict(self), "pareto_k": k if k is None or np.isfinite(k) else None, "usable": self.usable, "tail": self.tail}

    def counted(self, summary: pd.DataFrame) -> pd.DataFrame:
        """The summary with the effective number of draws as ESS; one set of independent draws has no R-hat."""
        return summary.assign(ess_bulk=self.left, ess_tail=self.left, rhat=np.nan)

    @property
    def left(self) -> float:
        """Effective number of the draws that are kept: 1 / (1 / ess + 1 / kept), since drawing anew adds its own noise."""
        return 1.0 / (1.0 / self.ess + 1.0 / self.kept)

    def judge(
        self, check: SolverCheck | None = None, more: Sequence[tuple[str, str, str]] = (), unseen: Sequence[Direction] = ()
    ) -> Verdict:
        """Converged where the weights may be used; the headline says first that this is an approximation.

        >>> Approximation("Laplace", 2000, 1000, 0, 0.91, 12.0).judge().headline
        'NOT CONVERGED: an approximation (Laplace) that must not be used as the posterior: Pareto-k 0.91 (above 0.7), 12 effective draws of 2000.'
        """
        numbers = f"{self.tail}, {self.ess:.0f} effective draws of {self.proposals}"
        told = tuple(d.sentence for d in unseen)
        warnings = [*self.warned, *([_solver(check)] if check is not None and check.status == "warning" else []), *more]
        full = [text for _, text, _ in warnings]
        steps = [step for _, _, step in warnings]
        if not self.usable:
            headline = f"NOT CONVERGED: an approximation ({self.method}) that must not be used as the posterior: {numbers}."
            reason = f"{self.method} cannot follow the posterior's shape: {numbers}; at most {self.good_k:.2g} and {FEWEST:.0f} at least are needed."
            return Verdict(False, headline, (reason, *full), (f"Do not use its numbers: {INSTEAD}", *steps), told)
        if self.left < ESS:
            warnings.append(self._short())
            full, steps = [*full, warnings[-1][1]], [*steps, warnings[-1][2]]
        words = f"Approximation ({self.method}), re-weighted to the exact posterior"
        words += f", but NOT IDENTIFIED ({few([d.brief for d in unseen])})" if unseen else ""
        headline = "; ".join((f"{words}: {numbers}", *(brief for brief, _, _ in warnings))) + "."
        steps.append(
            f"Modes far from this one are not seen by the weights: find_modes looks for them. Before numbers are published, {INSTEAD}"
        )
        return Verdict(True, headline, tuple(full), (*steps, *cures(unseen)), told)

    def _short(self) -> tuple[str, str, str]:
        brief = f"fewer than {ESS:.0f} effective draws"
        told = f"{self.left:.0f} effective draws among the {self.kept} that are kept; {ESS:.0f} are wanted for intervals."
        return brief, told, f"Ask for {ESS / self.left:.1f} times as many draws."


def _solver(check: SolverCheck) -> tuple[str, str, str]:
    return f"the solver is not certified ({check.brief})", f"Solver not certified: {check.found}.", check.advice
