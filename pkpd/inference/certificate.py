"""How far a solver's error reaches the estimates: the numbers, what they are judged by, and the sentence that says it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

GOOD_K = 0.7
"""Pareto-k below which importance weights can be trusted (Vehtari et al. 2024, JMLR 25:72)."""
MOVED = 0.1
"""Shift of a posterior mean, in posterior sds, from which the solver's error counts: about the Monte Carlo error of 100 draws."""
NEGLIGIBLE = 0.04
"""Largest |difference| of log posterior that can matter to nothing: weights within exp(+-2 x 0.04) of equal move no mean by `MOVED` sds, however heavy
their tail. Pareto-k is blind to size, so below this it is told and not judged."""
FEWEST, UNSOLVED = 25, 0.05
"""Draws the Pareto fit needs at least (a tail of five), and the share that may fail at the tight tolerance."""
EFFECTIVE = 0.25
"""Share of the draws that must be left, in effect, for re-weighted means to be used: of 400, 100 know a mean to 0.1 sd."""
COLUMNS = ["name", "mean", "sd", "mean_reweighted", "q5", "q50", "q95", "shift"]


@dataclass(frozen=True, eq=False)
class SolverCheck:
    """What re-weighting the draws of a fit by a tighter solver found; `verdict` says it in a sentence.

    `pareto_k` of the importance ratios, `ess` of their weights, the largest |`difference`| in log posterior (centred at its median), all None where
    nothing was computed; `table` has a line per population parameter: mean and sd of the `draws` used, mean and 90 % interval re-weighted, and the
    shift of the mean in posterior sds. `failed` draws could not be solved by the tighter solver and are left out.
    """

    solver: str
    checked_with: str = ""
    draws: int = 0
    failed: int = 0
    pareto_k: float | None = None
    ess: float | None = None
    difference: float | None = None
    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    cure: str = ""
    reason: str = ""

    @property
    def status(self) -> str:
        """One of "exact", "unchecked" (`reason` says why), "certified", "warning"."""
        if self.difference is None:
            return "unchecked" if self.reason else "exact"
        return "certified" if self.accurate and self.failed <= UNSOLVED * self.draws else "warning"

    @property
    def accurate(self) -> bool:
        """Whether the solver's error is too small to matter, in the draws that could be compared."""
        return self.trusted and abs(self.largest[1]) <= MOVED

    @property
    def trusted(self) -> bool:
        """Whether the re-weighted numbers can be believed: k below 0.7 and enough effective draws, or weights that are all but equal."""
        return self._small or (self.pareto_k is not None and self.pareto_k < GOOD_K and self._enough)

    @property
    def _small(self) -> bool:
        return self.difference is not None and self.difference < NEGLIGIBLE

    @property
    def _enough(self) -> bool:
        return self.ess is not None and self.ess >= EFFECTIVE * (self.draws - self.failed)

    @property
    def largest(self) -> tuple[str, float]:
        """The parameter whose mean moves most, and its shift in posterior sds."""
        if self.table.empty:
            return "nothing", 0.0
        line = self.table.loc[self.table["shift"].abs().idxmax()]
        return str(line["name"]), float(line["shift"])

    @property
    def verdict(self) -> str:
        """Certified, use a tighter tolerance (which), exact, or why nothing was checked."""
        if self.status == "exact":
            return f"Exact: {self.solver} has no tolerance, so there is nothing to re-weigh."
        if self.status == "unchecked":
            return f"Not checked: {self.reason}."
        if self.status == "certified":
            return f"Certified: {self.found}."
        believed = "Until then the re-weighted numbers can be used." if self.trusted else "The re-weighted numbers are no estimates either."
        return f"Not certified: {self.found}. {self.advice} {believed}"

    @property
    def found(self) -> str:
        """What the comparison showed, in one clause."""
        lost = f"; {self.failed} of {self.draws} draws could not be solved by it and are left out" if self.failed else ""
        return f"against {self.checked_with}, {self._moves()}; {self._tail()}{lost}"

    @property
    def brief(self) -> str:
        """The largest shift, Pareto-k and failures, for a headline."""
        name, shift = self.largest
        k = "none" if self.pareto_k is None else f"{self.pareto_k:.2f}"
        lost = f", {self.failed} of {self.draws} draws not solved" if self.failed else ""
        return f"{name} moves by {shift:+.2g} posterior sd, Pareto-k {k}{lost}"

    @property
    def advice(self) -> str:
        """What to do about a warning."""
        if self.accurate:
            return "Too many draws are beyond the tighter solver: raise max_steps, and check again with solver_check(fit)."
        return f"Use a tighter tolerance, {self.cure}, and sample again."

    def _moves(self) -> str:
        name, shift = self.largest
        if abs(shift) > MOVED:
            return f"the mean of {name} moves by {shift:+.2g} posterior sd (more than {MOVED:g} counts)"
        return f"posterior means move by {short(abs(shift), 2)} sd at most ({name})"

    def _tail(self) -> str:
        if self.pareto_k is None:
            return (
                "the log posteriors agree to rounding"
                if self._small
                else "no Pareto-k can be fitted (draws repeat, or one carries all weight)"
            )
        if self.pareto_k < GOOD_K:
            few = "" if self._enough else f", but only {self.ess:.0f} effective draws of {self.draws} are left"
            return f"Pareto-k {self.pareto_k:.2f} (good: below {GOOD_K:g}){few}"
        if self._small:
            return f"Pareto-k {self.pareto_k:.2f} has no weight, since log posteriors differ by {short(self.difference or 0.0, 2)} at most"
        return f"Pareto-k {self.pareto_k:.2f} (too high: {GOOD_K:g} or more)"

    def __repr__(self) -> str:
        return f"SolverCheck({self.solver}: {self.verdict})"

    def to_json(self) -> str:
        """As text, to be stored with a fit."""
        return json.dumps({**asdict(self), "table": self.table.to_dict("records")})

    @classmethod
    def from_json(cls, text: str) -> SolverCheck:
        """What `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        return cls(table=pd.DataFrame(told.pop("table"), columns=COLUMNS), **told)


def short(value: float, digits: int = 6) -> str:
    """A number to so many digits, its exponent without a leading zero.

    >>> short(1.234e-5, 2)
    '1.2e-5'
    """
    return f"{value:.{digits}g}".replace("e-0", "e-")
