"""Before a fit: what the priors predict, held against what was measured. Source: Box 1980; Gabry et al. 2019, J R Stat Soc A 182:389."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
from numpyro import handlers

from pkpd.inference.cohort_model import cohort_model
from pkpd.inference.predictive import over_draws
from pkpd.inference.prior_findings import COLUMNS, PriorCheck
from pkpd.inference.prior_persistence import course, lasting, slowness
from pkpd.inference.prior_warnings import sentences
from pkpd.inference.problem import FitProblem
from pkpd.noise import on_logs

log = logging.getLogger("pkpd")

DRAWS, FOLD = 400, 100.0
OUTER = (0.005, 0.995)


@dataclass(frozen=True, eq=False)
class Simulated:
    """Draws from the prior: population sites [S], rows [S, rows] (NaN where a subject was not solved), and by observable how long effects last [S]
    and how slow they fall [S] (the mean of log effect / peak over the looks, which tells draws apart that all last to the end).
    """

    problem: FitProblem
    sites: dict[str, np.ndarray]
    rows: np.ndarray
    lasts: dict[str, np.ndarray]
    slow: dict[str, np.ndarray]
    span: float

    @property
    def solved(self) -> np.ndarray:
        """Whether each subject could be solved [S, subjects with rows]."""
        subject = self.problem.cohort.observations["subject"].to_numpy(int)[self.problem.rows.index]
        bad = np.isnan(self.rows)
        return ~np.stack([bad[:, subject == i].any(1) for i in np.unique(subject)], 1)


def prior_check(problem: FitProblem, *, seed: int, draws: int = DRAWS) -> PriorCheck:
    """Simulate the measured rows from the prior: are the data possible, do solves fail, how long would the effect of a dose last?

    y ~ p(y | theta), theta ~ p(theta), `draws` times with a key made of `seed`; nothing is fitted. Returns numbers by observable (`table`) and sentences
    (`warnings`) where more than 5 % of the solves fail, where more than 10 % of the measured values lie outside the 99 % prior-predictive interval of
    their row, where more than 10 % of what is simulated is 100-fold above the largest measured value or half of it 100-fold below the smallest, and
    where the effect of the last dose on a typical subject lasts (until it is below 1 % of its peak) more than 20 times as long as the
    data or less long than the first sample is away: at the median of the prior. Each names the prior that moves it most, by rank correlation.

    Every fit runs it and stores it; it changes nothing in the fit. Source: Gabry et al. 2019, J R Stat Soc A 182:389.

    >>> prior_check(problem, seed=1).verdict                                               # doctest: +SKIP
    'Nothing odd in 400 simulations from the prior.'
    """
    found = simulated(problem, jax.random.fold_in(jax.random.PRNGKey(seed), 7), draws)
    if not found.solved.any():
        table = pd.DataFrame(columns=COLUMNS)
    else:
        table = pd.DataFrame([_line(found, i, o) for i, o in enumerate(problem.observed_names)], columns=COLUMNS)
    failed = float(1.0 - found.solved.mean())
    return PriorCheck(draws, failed, found.span, table, tuple(sentences(found, table, failed)))


def checked_prior(problem: FitProblem, seed: int) -> PriorCheck:
    """`prior_check`, or why there is none: whatever goes wrong in it, the fit goes on."""
    try:
        return prior_check(problem, seed=seed)
    except Exception as error:  # a check is not worth a fit; Ctrl-C is no Exception and passes
        return PriorCheck(reason=f"it ended in {type(error).__name__} ({error})")


def tell(check: PriorCheck) -> PriorCheck:
    """The check itself, its sentences logged."""
    for text in check.warnings:
        log.warning("%s", text)
    if not check.warnings:
        log.info("prior check: %s", check.verdict)
    return check


def simulated(problem: FitProblem, key: Any, draws: int) -> Simulated:
    """All draws by one compiled program."""
    model, along = cohort_model(problem), course(problem)

    def one(_: Any, key: Any) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(model, key)).get_trace(None, False)
        drawn = {n: s["value"] for n, s in trace.items() if s["type"] in ("sample", "deterministic") and n != "dv"}
        sites = {n: v for n, v in drawn.items() if n in problem.population_sites}
        return {"sites": sites, "rows": trace["dv"]["value"], "effect": along.effect(drawn) if along else None}

    # One after another: less to compile, and an adaptive solver's draws together would all take the steps of the slowest.
    out = over_draws(one, {"i": np.arange(draws)}, jax.random.split(key, draws), batch=None)
    if along is None:
        return Simulated(problem, out["sites"], out["rows"], {}, {}, 0.0)
    effect, without = out["effect"]
    by_name = list(enumerate(problem.observed_names))
    lasts = {o: lasting(along.after, effect[:, :, i], without[:, :, i]) for i, o in by_name}
    return Simulated(problem, out["sites"], out["rows"], lasts, {o: slowness(effect[:, :, i]) for i, o in by_name}, along.span)


def _line(found: Simulated, i: int, observable: str) -> tuple[Any, ...]:
    problem = found.problem
    at = np.flatnonzero(problem.rows.observable == i)
    y, dv, quantified = found.rows[:, at], problem.rows.dv[at], problem.rows.cens[at] == 0
    y = y[~np.isnan(y).all(1)]
    unit = next(o.unit for o in problem.model.observables if o.name == observable)
    if whole(dv) and whole(y):
        return (observable, unit, "mean", len(at), *_of_means(np.nanmean(y, 1), float(dv.mean())), *[np.nan] * 5)
    told = (observable, unit, "values", int(quantified.sum()))
    shares = _shares(y, dv, quantified, on_logs(problem.noise[observable]))
    return (*told, *shares, *_quantiles(found.lasts.get(observable)))


def whole(x: np.ndarray) -> bool:
    """Whether all values are whole numbers: states, grades, counts, events."""
    good = x[np.isfinite(x)]
    return bool(np.all(good == np.round(good)))


def _of_means(means: np.ndarray, measured: float) -> tuple[float, ...]:
    low, high = np.quantile(means, OUTER)
    return (measured, measured, *map(float, np.quantile(means, [0.05, 0.5, 0.95])), float(not low <= measured <= high))


def _shares(y: np.ndarray, dv: np.ndarray, quantified: np.ndarray, logs: bool) -> tuple[float, ...]:
    """Range measured; quantiles simulated; shares outside, far above, and (where values are positive) far below."""
    middle = tuple(map(float, np.nanquantile(y, [0.05, 0.5, 0.95])))
    if not quantified.any():
        return (np.nan, np.nan, *middle, np.nan, np.nan, np.nan)
    own, told = y[:, quantified], dv[quantified]
    low, high = np.nanquantile(own, OUTER, axis=0)
    most = float(np.abs(told).max())
    above = float(np.mean(np.abs(y[~np.isnan(y)]) > FOLD * most)) if most > 0 else np.nan
    below = float(np.mean(own[~np.isnan(own)] < told.min() / FOLD)) if logs else np.nan
    return (float(told.min()), float(told.max()), *middle, float(np.mean((told < low) | (told > high))), above, below)


def _quantiles(lasts: np.ndarray | None) -> tuple[float, ...]:
    """5, 50 and 95 % of how long an effect lasts; nothing where it mostly still rises at the end, as what is summed up does."""
    if lasts is None or np.isnan(lasts).mean() > 0.5:
        return (np.nan,) * 3
    return tuple(map(float, np.quantile(lasts[~np.isnan(lasts)], [0.05, 0.5, 0.95], method="inverted_cdf")))
