"""Which values the population takes: draws of the posterior or of the prior, or all of them at their medians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from pkpd.errors import FitError, choices
from pkpd.inference.cohort_model import prior_model
from pkpd.inference.fit import Fit
from pkpd.inference.predictive import over_draws
from pkpd.inference.problem import FitProblem
from pkpd.population.shrink import of_subjects

VARY = ("parameters", "subjects", "residual")
DERIVED = ("eta_", "corr_", "lambda_")
PRIOR_DRAWS = 2000


def checked_vary(vary: Any) -> frozenset[str]:
    """Raises `FitError` for a word that is none of `VARY`."""
    if isinstance(vary, str) or not isinstance(vary, Sequence | frozenset | set):
        raise FitError(f"vary={vary!r}: a sequence of words, as in ('parameters', 'subjects'). {choices(str(vary), VARY)}")
    for word in vary:
        if word not in VARY:
            raise FitError(f"vary names '{word}', which is no source of variation. {choices(str(word), VARY)}")
    return frozenset(vary)


def problem_of(fit: Any) -> FitProblem:
    """The problem of a fit, or the problem itself."""
    if isinstance(fit, FitProblem):
        return fit
    if not isinstance(fit, Fit):
        raise FitError(f"what_if takes a Fit, or a FitProblem for its prior, not {type(fit).__name__}.")
    if fit.problem is None:
        raise FitError(
            "This fit was loaded without its problem, so its model is not known here: load_fit(directory, problem=problem(quick=False))."
        )
    return fit.problem


def population_draws(fit: Any, draws: int, vary: frozenset[str], key: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Values of the sampled sites [D, ...] and where each draw stands among all [D] (-1: medians).

    Posterior draws are evenly spaced over the chains. Without "parameters" every draw has the medians over all draws (a Cholesky factor of a
    correlation is brought back to one); where nothing varies between draws, there is one.
    """
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
        raise FitError(f"draws={draws!r}: a whole number of draws, at least 1.")
    if "parameters" in vary:
        return _prior(fit, draws, key) if isinstance(fit, FitProblem) else _posterior(fit, draws)
    every = _prior(fit, PRIOR_DRAWS, key)[0] if isinstance(fit, FitProblem) else _posterior(fit, None)[0]
    times = draws if vary else 1
    held = {n: np.repeat(_median(n, v)[None], times, axis=0) for n, v in every.items()}
    return held, np.full(times, -1)


def centring(fit: Any) -> dict[str, Any]:
    """The weights with which the draws were made; none for the prior."""
    return {} if isinstance(fit, FitProblem) else {n: jnp.asarray(w) for n, w in fit.centring.items()}


def _posterior(fit: Fit, draws: int | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    posterior = fit.tree["posterior"].to_dataset()
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    chosen = np.arange(total) if draws is None else np.unique(np.linspace(0, total - 1, min(draws, total)).astype(int))
    names = [n for n in posterior.data_vars if not str(n).endswith("_i") and not str(n).startswith(DERIVED)]
    return {str(n): posterior[n].to_numpy().reshape(total, *posterior[n].shape[2:])[chosen] for n in names}, chosen


def _prior(problem: FitProblem, draws: int, key: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    levels = {f"raw_across_{n}" for n in problem.population.levels}

    def one(_: Any, key: Any) -> dict[str, Any]:
        trace = handlers.trace(handlers.seed(prior_model(problem), key)).get_trace()
        return {n: s["value"] for n, s in trace.items() if s["type"] == "sample" and (not of_subjects(n) or n in levels)}

    return over_draws(one, {"i": np.arange(draws)}, jax.random.split(key, draws), batch=min(128, draws)), np.arange(draws)


def _median(name: str, values: np.ndarray) -> Any:
    if name == "subpopulation":  # kinds are names, not amounts: the most frequent one
        return np.apply_along_axis(lambda v: np.bincount(v.astype(int)).argmax(), 0, values)
    middle = np.median(values, axis=0)
    return middle / np.linalg.norm(middle, axis=-1, keepdims=True) if name.startswith("chol_") else middle
