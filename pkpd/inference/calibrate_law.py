"""What calibration simulates and scores: rows whose values and censoring are arguments of one compiled program, cut by the assay's own limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import numpyro
from numpyro import handlers

from pkpd.errors import FitError
from pkpd.inference.calibrate_limits import Limits, Simulated, cut, limits
from pkpd.inference.cohort_model import measurement, parameters
from pkpd.inference.problem import FitProblem
from pkpd.noise import Joined, Measurement, ObservedRows
from pkpd.noise.limited import Limited


def blank(problem: FitProblem) -> dict[str, ObservedRows]:
    """The rows of each observable without what was observed: a law that needed it would show NaN."""
    empty = lambda r: replace(r, dv=np.full(len(r.dv), np.nan), cens=np.zeros_like(r.cens), lower=np.full(len(r.dv), np.nan))  # noqa: E731
    return {o: empty(rows) for o, rows in problem.observed_rows.items()}


def exact_law(problem: FitProblem, theta: Mapping[str, Any], values: Mapping[str, list[Any]]) -> Measurement | Joined:
    """The law of all scored rows before any limit; nothing observed is read."""
    fn: Any = measurement(problem, theta, values, blank(problem))
    return fn


def limited_law(problem: FitProblem, fn: Any, data: Simulated, at: Limits) -> Any:
    """`exact_law` with the censoring of a study: `Limited` rows where the law has tails."""
    limited, between = np.isfinite(at.lloq) | np.isfinite(at.uloq), np.isfinite(at.lod)
    if not isinstance(fn, Joined):
        return Limited(fn, data.cens, data.lower, limited, between)
    tails = [problem.observations[o].tails for o in problem.observed_names]
    laws = [
        Limited(law, data.cens[place], data.lower[place], limited[place], between[place]) if has else law
        for law, place, has in zip(fn.laws, fn.places, tails, strict=True)
    ]
    return Joined(laws, fn.places, fn.n)


def replicate_model(problem: FitProblem) -> Callable[..., None]:
    """A numpyro model `model(data, weights)` of the rows in `data`, a `Simulated`; beside `cohort_model` the rows are an argument here."""
    at = limits(problem)

    def model(data: Simulated, weights: Mapping[str, Any]) -> None:
        fn = limited_law(problem, exact_law(problem, *parameters(problem, weights)), data, at)
        numpyro.sample("dv", fn, obs=data.dv)

    return model


def study(problem: FitProblem, key: Any, weights: Mapping[str, Any]) -> tuple[Simulated, dict[str, Any]]:
    """A study of the problem's design, simulated from its priors; and the sampled sites it was made from."""
    of_sites, of_rows = jax.random.split(key)
    with handlers.trace() as seen, handlers.seed(rng_seed=of_sites):
        theta, values = parameters(problem, weights)
    y = exact_law(problem, theta, values).sample(of_rows)
    return cut(y, limits(problem)), {n: s["value"] for n, s in seen.items() if s["type"] == "sample"}


def refuse(problem: FitProblem) -> None:
    """Raise `FitError` where studies of this problem cannot be simulated and scored here, with the reason."""
    other = [o for o in problem.observed_names if not problem.observations[o].by_design]
    if other:
        raise FitError(
            f"{problem.name}: the law of noise['{other[0]}'], {problem.observations[other[0]].kind}, depends on the values that were observed, and "
            "calibration simulates new ones. Accepted are residual errors (plain, student_error, autoregressive, by_group, by_subject), detection, "
            "ordinal, recist, binary, counts and copies_per_reaction; leave that observable out, or write its law so that by_design holds."
        )
    if problem.population.mixture is not None:
        raise FitError(f"{problem.name}: calibration does not simulate subpopulations yet. Leave mixture= out.")
    if problem.summaries:
        raise FitError(f"{problem.name}: calibration does not simulate published summaries. Leave summaries= out.")
