"""Why a start has no density: which rows of which subjects, and which parameter lies at a bound of its support or far from the model's typical value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpyro import handlers

from pkpd.components.words import MEANS, Param, in_support
from pkpd.inference.cohort_model import parameters
from pkpd.inference.space import Space
from pkpd.model.predict import failed_subjects

FAR = 1000.0
"""How many times the model's typical value, or what part of it, a parameter must be to be named."""


def why_not_finite(space: Space, z: Any, weights: Mapping[str, Any]) -> str:
    """What a start without a density says: a summary, rows by subject with their parameters, or a prior by name."""
    trace, problem = space.trace_at(z, weights), space.problem
    bad = np.flatnonzero(~np.isfinite(np.asarray(trace["dv"]["fn"].log_prob(trace["dv"]["value"]))))
    if bad.size:
        return f"{problem.name}: {_rows(space, bad)}{_suspects(space, z, weights, bad)}"
    lost = _summary(space, z) if problem.summaries else ""
    return f"{problem.name}: {lost or _priors(trace)}"


def _rows(space: Space, bad: np.ndarray) -> str:
    """Which rows of which subjects, and what the solver says of them."""
    problem = space.problem
    table = problem.cohort.observations.reset_index(drop=True).iloc[problem.rows.index[bad]]
    failed = failed_subjects(problem.predictor.solve(problem.predictor.at)[0], problem.cohort.subjects)
    reasons = "".join(f" Subject {s}: {r}." for s, r in failed[:3])
    who = ", ".join(dict.fromkeys(problem.cohort.subjects[int(s)] for s in table["subject"]))
    return (
        f"at typical values the likelihood is not finite for {bad.size} rows (subjects {who}; first: row {table.iloc[0]['row']}, "
        f"{table.iloc[0]['observable']}). Check that every subject has a dose before its measurements and that the priors' medians give sensible predictions."
        f"{reasons}"
    )


def _suspects(space: Space, z: Any, weights: Mapping[str, Any], bad: np.ndarray) -> str:
    """The parameters of the first subject concerned that lie at a bound or far from typical values; in words also where none does."""
    problem = space.problem
    i = int(problem.cohort.observations["subject"].to_numpy(int)[problem.rows.index[bad[0]]])
    with handlers.seed(rng_seed=0), handlers.substitute(data=space.constrain(z)):
        theta = parameters(problem, weights)[0]
    each = {p: np.ravel(theta[p.name]) for p in problem.model.params if p.name in theta}
    told = [t for p, v in each.items() if (t := suspect(p, float(v[i if v.size > 1 else 0])))]
    who = f"subject {problem.cohort.subjects[i]}"
    if told:
        return f" Of {who}: {'; '.join(told)}."
    return (
        f" No parameter of {who} lies at a bound of its support, and none is {FAR:g} times the model's typical value or a {FAR:g}th of it."
    )


def suspect(param: Param, value: float) -> str:
    """What is odd about a parameter's value; empty where nothing is.

    >>> V = Param("V", 20.0, "L", "volume", source="assumption: example")
    >>> suspect(V, 21.0), suspect(V, 0.0)
    ('', "V is 0 L, at a bound of its support 'positive' (above 0)")
    >>> suspect(V, 3e6)
    "V is 3e+06 L, where the model's typical value is 20 L"
    """
    unit = "" if param.unit == "1" else f" {param.unit}"
    here = f"{param.name} is {value:.3g}{unit}"
    if not np.isfinite(value):
        return here
    if not in_support(value, param.support):
        return f"{here}, at a bound of its support '{param.support}' ({MEANS[param.support]})"
    far = value * param.value > 0 and abs(np.log(value / param.value)) > np.log(FAR)
    return f"{here}, where the model's typical value is {param.value:.3g}{unit}" if far else ""


def _summary(space: Space, z: Any) -> str:
    """The first published summary whose likelihood is not finite."""
    terms = np.asarray(space.problem.published.terms(space.constrain(z)))
    lost = [n for n, v in zip(space.problem.published.names, terms, strict=True) if not np.isfinite(v)]
    return (
        f"at typical values the likelihood of the summary '{lost[0]}' is not finite: virtual subjects of its arm cannot be "
        "solved. Check its regimen and that the priors' medians give sensible predictions."
        if lost
        else ""
    )


def _priors(trace: Mapping[str, Any]) -> str:
    """The priors without a density where the start stands."""
    drawn = {n: s for n, s in trace.items() if s["type"] == "sample" and not s["is_observed"]}
    lost = [f"{n} = {np.ravel(s['value'])[0]:.3g}" for n, s in drawn.items() if not np.all(np.isfinite(s["fn"].log_prob(s["value"])))]
    where = f" (of {', '.join(lost[:3])})" if lost else ""
    return f"the prior density is not finite at typical values{where}; check the priors and supports."
