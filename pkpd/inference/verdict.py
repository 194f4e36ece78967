"""Is it any good? One sentence first, then the reasons and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pkpd.inference.certificate import SolverCheck
from pkpd.inference.identified import Direction, cures

RHAT, ESS, EBFMI = 1.01, 400.0, 0.3
DIVERGENT, TOO_DIVERGENT = 0.001, 0.01  # above the first a warning in the headline, above the second no convergence
SATURATED = 0.01
CURE = "Divergences: raise target_accept (--target-accept), or give the weakly informed spreads (omega) tighter priors."
NO_DENSITY = (
    "No density: mostly the equations could not be solved there. Raise max_steps or try another method in Solver(...), or bound the parameters that make "
    "them fail; failed solves of each subject stand in the report."
)
DISAGREE = "The chains disagree: run longer (--draws), and look at the trace plots of these parameters for separate modes."
MODES = "More draws will not join them: say which is meant by a prior or an order of the parameters (for a flip-flop pair, ka > CL / V)."


@dataclass(frozen=True)
class Verdict:
    """Whether the fit converged, said first; `reasons` name what fell short (warnings, where it converged), `next_steps` what to do.

    `not_identified` says, direction by direction, what the data do not see; it does not fail the fit.
    """

    converged: bool
    headline: str
    reasons: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    not_identified: tuple[str, ...] = ()

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
    unseen: Sequence[Direction] = (),
    where: Sequence[str] = (),
    modes: str = "",
    enough: float = ESS,
) -> Verdict:
    """Converged when R-hat <= 1.01 and bulk and tail ESS >= 400 for every population parameter, at most 1 % divergent, E-BFMI >= 0.3.

    Draws that ended where there is no density, as where the equations cannot be solved, are counted apart from the divergent ones, by the same limits.
    More than 0.1 % of divergent draws, more than 1 % of draws at the largest tree depth, and a solver whose error reaches the estimates (`check`), are
    warnings: they do not fail the fit, and stand in the headline; so are `more`: each in few words, in full, and what to do. `unseen`, directions that the
    data do not inform, do not fail it either, and the headline says NOT IDENTIFIED. `where` says where divergent draws lie, `modes` which
    chains sit in separate places. `enough` replaces the 400.
    """
    reasons, steps = _mixing(summary, stats, modes, enough)
    wide, divergences = _trees(stats), _divergences(stats, where)
    warnings = [told[1:] for told in divergences if not told[0]]
    reasons += [told[2] for told in divergences if told[0]]
    if check is not None and check.status == "warning":
        warnings.append((f"the solver is not certified ({check.brief})", f"Solver not certified: {check.found}.", check.advice))
    warnings += [*wide, *more]
    steps += [told[3] for told in divergences if told[0]]
    steps += [step for _, _, step in warnings]
    if stopped:
        reasons.append("The run was interrupted before all draws were made.")
    full, told = [text for _, text, _ in warnings], tuple(d.sentence for d in unseen)
    if reasons:
        perhaps = [f"Perhaps not identified, by the draws there are: {text}" for text in told]
        return Verdict(False, f"NOT CONVERGED: {reasons[0]}", (*reasons, *full), (*steps, *perhaps), told)
    words = ("Converged", "Converged, with a warning", "Converged, with warnings")[min(len(warnings), 2)]
    words += f", but NOT IDENTIFIED ({few([d.brief for d in unseen])})" if unseen else ""
    headline = "; ".join((f"{words}: {_numbers(summary)}", *(brief for brief, _, _ in warnings))) + "."
    return Verdict(True, headline, tuple(full), (*steps, *cures(unseen)), told)


def _mixing(summary: pd.DataFrame, stats: xr.Dataset, modes: str, enough: float) -> tuple[list[str], list[str]]:
    """What of R-hat, effective sample size and E-BFMI falls short, and what to do about it."""
    reasons, steps = [], []
    poor = summary[~(summary["rhat"] <= RHAT)]
    if stats.sizes.get("chain", 2) == 1:
        reasons.append("A single chain has no R-hat: nothing says that another would find the same.")
        steps.append("Run at least 2 chains (4 are usual).")
    elif len(poor):
        reasons.append(f"R-hat above {RHAT} for {_worst(poor, 'rhat', True)}.")
        steps.append(f"{modes} {MODES}" if modes else DISAGREE)
    low = summary.assign(ess=summary[["ess_bulk", "ess_tail"]].min(axis=1))
    low = low[~(low["ess"] >= enough)]
    if len(low):
        reasons.append(f"Effective sample size below {enough:.0f} for {_worst(low, 'ess', False)}.")
        steps.append(f"Too few effective draws: run at least {enough / max(float(low['ess'].min()), 1.0):.1f} times as many.")
    return reasons + _energy(stats), steps


def _divergences(stats: xr.Dataset, where: Sequence[str]) -> list[tuple[bool, str, str, str]]:
    """Of divergent draws, and apart from them of draws that met no density: whether they fail the fit, in few words, in full, and what to do.

    Each only where there are more than almost none. `where` goes with the larger of the two: it tells where all of them lie.
    """
    flags = stats["diverging"]
    failed = (stats["failed_solve"] & flags) if "failed_solve" in stats else xr.zeros_like(flags)
    found = []
    for word, which, cure in (("diverged", flags & ~failed, CURE), ("met a place without a density", failed, NO_DENSITY)):
        rate, n = float(which.mean()), int(which.sum())
        if not rate > DIVERGENT:
            continue
        brief = f"{n} of {flags.size} draws {word} ({100 * rate:.2f} %)"
        lies = where if n >= int(flags.sum()) - n else ()
        told = " ".join((f"{brief}; more than {100 * DIVERGENT:.1f} % is a warning, more than {100 * TOO_DIVERGENT:.0f} % fails.", *lies))
        found.append((rate > TOO_DIVERGENT, brief, told, cure))
    return found


def _trees(stats: xr.Dataset) -> list[tuple[str, str, str]]:
    """A warning where more than 1 % of the draws ended at the largest tree, in few words, in full, and what to do."""
    depth = stats.attrs.get("max_tree_depth")
    if depth is None or "n_steps" not in stats:
        return []
    share = float((stats["n_steps"] >= 2 ** int(depth) - 1).mean())
    if not share > SATURATED:
        return []
    word, end = ("Trajectories", "longest trajectory") if stats.attrs.get("kernel") == "hmc" else ("Trees", "largest tree")
    brief = f"{100 * share:.0f} % of the draws stopped at the {end}"
    told = f"{brief} (depth {int(depth)}, {2 ** int(depth) - 1} steps): they went less far than they should; more than {100 * SATURATED:.0f} % is a warning."
    step = f"{word}: raise max_tree_depth to {int(depth) + 1}; where most draws stop there, look for what is not identified."
    return [(brief, told, step)]


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


def few(words: Sequence[str], most: int = 3) -> str:
    """The first words, and how many more there are."""
    return "; ".join(words[:most]) + (f"; {len(words) - most} more" if len(words) > most else "")
