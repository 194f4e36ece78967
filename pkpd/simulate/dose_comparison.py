"""Regimens side by side: expected utility, how sure the order is, what knowing more would be worth, and the front between two aims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.simulate.dose_freedom import Freedom
from pkpd.simulate.dose_optimum import Search, optimise_dose
from pkpd.simulate.dose_problem import DoseProblem, Doses

CLOSE = 0.8


@dataclass(frozen=True, eq=False)
class DoseComparison:
    """`table` has a row a regimen: utility (expected), its 5 and 95 % over draws of what is not known, best (the share of draws in which it is), outside
    by limit, feasible. `by_draw` [draw, regimen] are the utilities; `evpi` the expected value of perfect information in `unit`.
    """

    table: pd.DataFrame
    by_draw: pd.DataFrame
    unit: str
    caution: str = ""

    @property
    def evpi(self) -> float:
        """E[max_r U_r] - max_r E[U_r] over the feasible regimens: what it would be worth to know the population's (or the patient's) values before choosing."""
        u = self.by_draw[self._candidates].to_numpy()
        weights = self.table.attrs["weights"]
        return max(0.0, float(weights @ u.max(1) - (weights @ u).max()))

    @property
    def _candidates(self) -> list[str]:
        good = self.table.index[self.table["feasible"]]
        return list(good if len(good) else self.table.index)

    @property
    def sentence(self) -> str:
        """Which regimen is best, or that the data cannot tell, what knowing would gain; and not to use it where a patient's posterior was not found."""
        return self._told() + self.caution

    def _told(self) -> str:
        if not self.table["feasible"].any():
            return f"NOT FEASIBLE: every regimen breaks a limit. The largest expected utility has '{self.table['utility'].idxmax()}'."
        names, weights = self._candidates, self.table.attrs["weights"]
        ranked = self.table.loc[names, "utility"].sort_values(ascending=False)
        first = ranked.index[0]
        if len(names) == 1:
            return f"'{first}' is the only regimen that keeps the limits."
        second = ranked.index[1]
        gap = self.by_draw[first].to_numpy() - self.by_draw[second].to_numpy()
        sure = float(weights @ (gap > 0) + 0.5 * weights @ (gap == 0))
        told = f"expected utility {ranked.iloc[0]:.4g} against {ranked.iloc[1]:.4g} {self.unit}, better with probability {sure:.2f}"
        worth = f"Knowing what is not known would gain {self.evpi:.3g} {self.unit}."
        if len(weights) == 1:
            return f"'{first}' is best, '{second}' next ({ranked.iloc[0]:.4g} against {ranked.iloc[1]:.4g} {self.unit}); the population is taken as known."
        if sure < CLOSE:
            return f"What is known cannot tell '{first}' and '{second}' apart: {told}. {worth}"
        return f"'{first}' is best: {told} than '{second}'. {worth}"


def compare_doses(problem: DoseProblem, regimens: Mapping[str, Regimen]) -> DoseComparison:
    """Expected utility of each regimen, exact shares outside limits, and the value of knowing more.

        EVPI = E_theta[max_r U_r(theta)] - max_r E_theta[U_r(theta)],   U_r(theta) the mean over subjects of one draw of what is not known

    Returns a `DoseComparison`, in the problem's unit. Raises `FitError` without regimens, and where a subject has no finite utility.
    Source: Raiffa & Schlaifer 1961, Applied Statistical Decision Theory.

    >>> compare_doses(problem, {"once": once, "split": split}).sentence                    # doctest: +SKIP
    "What is known cannot tell 'once' and 'split' apart: ..."
    """
    if not regimens:
        raise FitError("compare_doses needs at least one regimen, as in {'once': bolus((100, 'mg'))}.")
    found = {n: _exact(problem, n, r) for n, r in regimens.items()}
    weights = problem.people.weights
    by_draw = pd.DataFrame({n: u for n, (u, _) in found.items()})
    top = by_draw.to_numpy() >= by_draw.to_numpy().max(1, keepdims=True)
    best = weights @ (top / top.sum(1, keepdims=True))
    lines = []
    for i, (name, (u, outside)) in enumerate(found.items()):
        low, high = (float(np.quantile(u, q, weights=weights, method="inverted_cdf")) for q in (0.05, 0.95))
        good = all(outside[n] <= p + 1e-9 for n, p in problem.limits.items())
        told = {f"outside_{n}": x for n, x in outside.items()}
        lines.append(
            {"regimen": name, "utility": float(weights @ u), "5%": low, "95%": high, "best": float(best[i]), **told, "feasible": good}
        )
    table = pd.DataFrame(lines).set_index("regimen")
    table.attrs["weights"] = weights
    return DoseComparison(table, by_draw, problem.unit, problem.people.caution)


def _exact(problem: DoseProblem, name: str, regimen: Regimen) -> tuple[np.ndarray, dict[str, float]]:
    search = Search(problem, regimen, Freedom())
    found = search.exact(Doses(*(jnp.asarray(x, float)[None] for x in search.own)))
    if float(found.failed[0]) > 0:
        raise FitError(
            f"compare_doses: under {name!r} {problem.failing(float(found.failed[0]))}. Check the utility, the regimen and the solver."
        )
    return np.asarray(found.by_draw)[0], {n: float(np.asarray(x)[0]) for n, x in found.outside.items()}


def pareto_front(problem: DoseProblem, regimens: Any, limit: str, levels: Sequence[float], **freedom: Any) -> pd.DataFrame:
    """The largest expected utility for each share allowed outside one limit: the front between benefit and harm.

    `limit` names one of the problem's limits, `levels` are the shares it takes in turn; `freedom` goes to `optimise_dose`. Returns a row a level: allowed,
    utility, outside (exact), feasible, regimen; those that another one beats in both are left out (`plot_pareto` draws it). Raises `FitError` for a limit that
    is not the problem's, and levels that are no shares.

    >>> pareto_front(problem, once, "peak", (0.01, 0.05, 0.1, 0.2), amounts=(10.0, 500.0))  # doctest: +SKIP
    """
    if limit not in problem.limits:
        raise FitError(f"pareto_front(limit='{limit}'): the problem has no such limit. {choices(limit, problem.limits)}")
    if not len(levels) or not all(0 <= p < 1 for p in levels):
        raise FitError(f"pareto_front(levels={tuple(levels)!r}): shares that may lie outside, from 0 to below 1, at least one.")
    found = [(p, optimise_dose(replace(problem, limits={**problem.limits, limit: p}), regimens, **freedom)) for p in levels]
    lines = [(p, o.utility, o.outside[limit], o.feasible, o.regimen) for p, o in found]
    table = pd.DataFrame(lines, columns=["allowed", "utility", "outside", "feasible", "regimen"])
    u, harm = table["utility"].to_numpy(), table["outside"].to_numpy()
    at_least = (u[None] >= u[:, None]) & (harm[None] <= harm[:, None])
    beaten = np.any(at_least & ((u[None] > u[:, None]) | (harm[None] < harm[:, None])), 1)
    front = table[~beaten].sort_values("outside", ignore_index=True)
    front.attrs |= {"limit": problem.measures[limit].words, "unit": problem.unit}
    return front
