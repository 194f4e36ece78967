"""The sentences of a prior-predictive check: what is odd, which prior moves it, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pkpd.inference.prior_findings import duration
from pkpd.inference.prior_persistence import BEYOND
from pkpd.inference.problem import FitProblem
from pkpd.population.medians import median

FAILED, OUTSIDE, ABOVE, BELOW, SPANS = 0.05, 0.10, 0.10, 0.50, 20.0
"""Shares from which failed solves, values outside, and simulations far above or far below are told; and a lasting effect, in spans of the data."""
DRIVES = 0.3
"""Rank correlation from which a prior is named; of 400 draws, one that has nothing to do with it stays below 0.2."""
OFF, WIDE = 10.0, 1e3
"""How many fold a prior's median may lie from the model's typical value, and its 95 % point from its 5 % point, before a sentence mentions it."""


def sentences(found: Any, table: pd.DataFrame, failed: float) -> Iterator[str]:
    """One for each thing that is odd; `found` are the simulations, `table` the numbers by observable."""
    problem = found.problem
    if failed == 1.0:
        yield (
            f"Prior check: no subject could be solved in any of {len(found.rows)} simulations from the prior. {_advice(problem)} "
            "If they are right, raise max_steps."
        )
        return
    if failed > FAILED:
        bad = (~found.solved).mean(1)
        text = f"Prior check: {_share(failed)} of the solves fail in simulations from the prior."
        yield " ".join(filter(None, (text, _driver(found, bad), _advice(problem))))
    for line in table.to_dict("records"):
        i = problem.observed_names.index(line["observable"])
        for text, summary in (*_misfit(found, line, i), *_lasting(found, line)):
            yield " ".join(filter(None, (f"Prior check: {text}", _driver(found, summary), _advice(problem))))


def _misfit(found: Any, line: dict[Any, Any], i: int) -> Iterator[tuple[str, np.ndarray]]:
    name, unit = line["observable"], line["unit"]
    y = found.rows[:, found.problem.rows.observable == i]
    if line["kind"] == "mean":
        if line["outside"] > 0:
            yield (
                f"the mean of '{name}' is {line['low']:.3g} in the data and {line['q5']:.3g} to {line['q95']:.3g} (90 %) under the prior.",
                _mean(y),
            )
        return
    size = _mean(np.log(np.maximum(np.abs(y), 1e-300)))
    simulated = f"it simulates {line['q5']:.3g} to {line['q95']:.3g} {unit} (90 %), measured were {line['low']:.3g} to {line['high']:.3g}"
    if line["outside"] > OUTSIDE:
        yield f"{_share(line['outside'])} of the measured values of '{name}' lie outside the 99 % interval of the prior; {simulated}.", size
    if line["above"] > ABOVE:
        yield (
            f"{_share(line['above'])} of what the prior simulates of '{name}' is 100-fold above the largest measured value; {simulated}.",
            size,
        )
    if line["below"] > BELOW:
        yield (
            f"{_share(line['below'])} of what the prior simulates of '{name}' is 100-fold below the smallest measured value; {simulated}.",
            size,
        )


def _lasting(found: Any, line: dict[Any, Any]) -> Iterator[tuple[str, np.ndarray]]:
    low, middle, high = (line[f"lasts{q}"] for q in (5, 50, 95))
    name, most = line["observable"], BEYOND * found.span
    if not np.isfinite(middle) and not np.isinf(middle):
        return
    if np.isinf(low):
        told = f"{_long(low, most)} (in 95 % of the simulations)"
    else:
        told = f"{_long(middle, most)} (median; 90 % {_long(low, most)} to {_long(high, most)})"
    first = first_sample(found.problem, name)
    if middle > SPANS * found.span:
        yield (
            f"by the priors the effect of a dose on '{name}' lasts {told} until it is below 1 % of its peak, while the data cover {duration(found.span)}.",
            found.slow[name],
        )
    elif middle < first:
        yield (
            f"by the priors the effect of a dose on '{name}' is below 1 % of its peak after {told}, "
            f"while the first sample after a dose comes after {duration(first)}.",
            found.slow[name],
        )


def first_sample(problem: FitProblem, observable: str) -> float:
    """The shortest time (h) from a dose to a later scored row of the observable; 0 where there is none."""
    doses = problem.cohort.doses
    given = doses[doses["kind"].isin(["dose", "reset_dose"])]
    times = {i: np.sort(t.to_numpy(float)) for i, t in given.groupby("subject")["time"]}
    rows = problem.observed_rows[observable]
    gaps = [
        t - d[np.searchsorted(d, t) - 1]
        for i, t in zip(rows.subject, rows.time, strict=True)
        if (d := times.get(i)) is not None and d[0] < t
    ]
    return float(min(gaps, default=0.0))


def _driver(found: Any, summary: np.ndarray) -> str:
    """The site whose draws are most correlated in rank with a summary of each draw."""
    good = ~np.isnan(summary)
    ranks = rankdata(summary[good])
    if good.sum() < 10 or np.ptp(ranks) == 0 or not found.sites:
        return ""
    rho = {n: _correlation(rankdata(x[good]), ranks) for n, x in found.sites.items()}
    name = max(rho, key=lambda n: abs(rho[n]))
    if abs(rho[name]) < DRIVES:
        return ""
    low, high = np.quantile(found.sites[name], [0.05, 0.95])
    wide = f", over a range of {high / low:.1g}-fold: narrow it" if low > 0 and high > WIDE * low else ""
    return f"It moves most with {name} (rank correlation {rho[name]:+.2f}), whose prior is {found.problem.prior_text(name)}{wide}."


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 else 0.0


def _advice(problem: FitProblem) -> str:
    """Priors whose medians are far from the model's typical values, the furthest first; else where to look."""
    off = {}
    for n in problem.population.estimated:
        prior: Any = problem.population.parameters[n].prior
        middle, typical = float(median(prior)), problem.model.param(n).value
        if middle > 0 and typical > 0:
            off[n] = middle / typical
    far = sorted((n for n in off if abs(np.log(off[n])) > np.log(OFF)), key=lambda n: -abs(np.log(off[n])))
    if not far:
        return "Check the medians and units of the priors."
    told = (f"{n} ({off[n]:.2g} of it)" for n in far[:3])
    return f"Check medians and units of the priors; far from the model's typical value is the median of {', '.join(told)}."


def _mean(x: np.ndarray) -> np.ndarray:
    """Of each draw over its rows that were solved; NaN where none was."""
    good = ~np.isnan(x)
    return np.where(good.any(1), np.where(good, x, 0.0).sum(1) / np.maximum(good.sum(1), 1), np.nan)


def _long(hours: float, most: float) -> str:
    return duration(hours) if np.isfinite(hours) else f"over {duration(most)}"


def _share(x: float) -> str:
    return f"{100 * x:.0f} %"
