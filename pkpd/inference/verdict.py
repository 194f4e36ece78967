"""Is it any good? One sentence first, then the reasons and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.inference.certificate import SolverCheck

RHAT, ESS, EBFMI = 1.01, 400.0, 0.3
DIVERGENT, TOO_DIVERGENT = 0.001, 0.01  # above the first a warning in the headline, above the second no convergence


@dataclass(frozen=True)
class Verdict:
    """Whether the fit converged, said first; `reasons` name what fell short (warnings, where it converged), `next_steps` what to do."""

    converged: bool
    headline: str
    reasons: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(posterior: xr.Dataset, names: Sequence[str]) -> pd.DataFrame:
    """name, mean, sd, q5, q50, q95 (equal-tailed 90 % interval), ess_bulk, ess_tail, rhat for scalar sites."""
    import arviz as az  # not at import time: it takes seconds

    data = posterior[list(names)]
    bulk, tail, rhat = az.ess(data, method="bulk"), az.ess(data, method="tail"), az.rhat(data)
    rows = []
    for n in names:
        x = data[n].to_numpy().ravel()
        q = np.quantile(x, [0.05, 0.5, 0.95])
        rows.append((n, x.mean(), x.std(ddof=1), *q, float(bulk[n]), float(tail[n]), float(rhat[n])))
    return pd.DataFrame(rows, columns=["name", "mean", "sd", "q5", "q50", "q95", "ess_bulk", "ess_tail", "rhat"])


def judge(
    summary: pd.DataFrame,
    stats: xr.Dataset,
    stopped: bool = False,
    check: SolverCheck | None = None,
    more: Sequence[tuple[str, str, str]] = (),
) -> Verdict:
    """Converged when R-hat <= 1.01 and bulk and tail ESS >= 400 for every population parameter, at most 1 % divergent, E-BFMI >= 0.3.

    More than 0.1 % of divergent draws, and a solver whose error reaches the estimates (`check`), are warnings: they do not fail the fit, and stand in
    the headline; so are `more`: each in few words, in full, and what to do.
    """
    reasons, warnings, steps = [], [], []  # a warning in few words, for the headline, and in full
    poor = summary[~(summary["rhat"] <= RHAT)]
    if len(poor):
        reasons.append(f"R-hat above {RHAT} for {_worst(poor, 'rhat', True)}.")
        steps.append("The chains disagree: run longer (--draws), and look at the trace plots of these parameters for separate modes.")
    low = summary.assign(ess=summary[["ess_bulk", "ess_tail"]].min(axis=1))
    low = low[~(low["ess"] >= ESS)]
    if len(low):
        reasons.append(f"Effective sample size below {ESS:.0f} for {_worst(low, 'ess', False)}.")
        steps.append(f"Too few effective draws: run at least {ESS / max(float(low['ess'].min()), 1.0):.1f} times as many.")
    reasons += _energy(stats)
    rate = float(stats["diverging"].mean())
    if rate > DIVERGENT:
        limits = f"more than {100 * DIVERGENT:.1f} % is a warning, more than {100 * TOO_DIVERGENT:.0f} % fails."
        told = f"{_divergent(stats)}; {limits}"
        if rate > TOO_DIVERGENT:
            reasons.append(told)
        else:
            warnings.append((_divergent(stats), told))
        steps.append("Divergences: raise target_accept, or give the weakly informed spreads (omega) tighter priors.")
    if check is not None and check.status == "warning":
        warnings.append((f"the solver is not certified ({check.brief})", f"Solver not certified: {check.found}."))
        steps.append(check.advice)
    warnings += [(brief, told) for brief, told, _ in more]
    steps += [step for _, _, step in more]
    if stopped:
        reasons.append("The run was interrupted before all draws were made.")
    full = [told for _, told in warnings]
    if reasons:
        return Verdict(False, f"NOT CONVERGED: {reasons[0]}", (*reasons, *full), tuple(steps))
    words = ("Converged", "Converged, with a warning", "Converged, with warnings")[len(warnings)]
    headline = "; ".join((f"{words}: {_numbers(summary)}", *(brief for brief, _ in warnings))) + "."
    return Verdict(True, headline, tuple(full), tuple(steps))


def _divergent(stats: xr.Dataset) -> str:
    flags = stats["diverging"]
    return f"{int(flags.sum())} of {flags.size} draws diverged ({100 * float(flags.mean()):.2f} %)"


def _energy(stats: xr.Dataset) -> list[str]:
    energy = stats["energy"].to_numpy()
    values = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)
    return (
        [f"E-BFMI {values.min():.2f} is below {EBFMI}: the sampler moves too slowly between energy levels."] if values.min() < EBFMI else []
    )


def _worst(table: pd.DataFrame, column: str, largest: bool) -> str:
    ordered = table.sort_values(column, ascending=not largest)
    shown = ", ".join(f"{r['name']} ({r[column]:.3g})" for _, r in ordered.head(4).iterrows())
    return shown + (f" and {len(ordered) - 4} more" if len(ordered) > 4 else "")


def _numbers(summary: pd.DataFrame) -> str:
    return f"largest R-hat {summary['rhat'].max():.3f}, smallest bulk ESS {summary['ess_bulk'].min():.0f}, smallest tail ESS {summary['ess_tail'].min():.0f}"
