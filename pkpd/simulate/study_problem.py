"""A study as designed, as a fit problem: one subject for each arm, and what was assumed where the design says nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import transforms

from pkpd.components import Param
from pkpd.errors import FitError, choices
from pkpd.inference.linearised import FINE
from pkpd.inference.predictive import Predictive
from pkpd.inference.problem import FitProblem
from pkpd.inference.problem_checks import RESERVED
from pkpd.inference.space import Space
from pkpd.model import Model
from pkpd.noise import additive_error, lognormal_error, proportional_error
from pkpd.population import Population, fixed, logit_normal, lognormal, normal
from pkpd.simulate.scenario.study import PRIOR_SD, RESIDUAL_SD, Study
from pkpd.simulate.study_cohort import from_arms, from_records

NOISE = {"lognormal": lognormal_error, "proportional": proportional_error, "additive": additive_error}
FAINT = 1e-6
"""A prediction below this share of the observable's largest is told where no limit of quantification is given."""
SPREAD_SD = 1.0
"""Prior sd of ln of a spread between patients and of a residual sd."""


@dataclass(frozen=True, eq=False)
class StudyProblem:
    """A problem without data (DV is 1 in every row, and read by nobody), how many patients each subject stands for, the observables by the step at which
    they are added, and what was assumed, in sentences."""

    problem: FitProblem
    copies: tuple[int, ...]
    order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


def study_problem(model: Model, study: Study) -> StudyProblem:
    """The problem of a study: parameters around their values with the prior sds of the design (1 where it has none), residual errors as designed.

    A spread between patients and a residual sd have lognormal priors around the design's value, sd of ln 1. Raises `FitError` for what does not fit the
    model.

    >>> study_problem(model, read_study("design.toml", model)).problem                    # doctest: +SKIP
    """
    _check_names(model, study)
    cohort, copies, told = from_records(model, study) if study.records is not None else from_arms(model, study)
    seen = [o for o in model.observable_names if o in set(cohort.observations["observable"])]
    unseen = [o for o in study.errors if o not in seen]
    if unseen:
        raise FitError(f"{study.title}: no row looks at {unseen[0]}. {choices(unseen[0], seen)}")
    population, more = _population(model, study)
    noise = {o: _noise(*study.errors.get(o, ("lognormal", RESIDUAL_SD))) for o in seen}
    plain = [o for o in seen if o not in study.errors]
    if plain:
        more = (f"Residual of {', '.join(plain)}: lognormal, sd {RESIDUAL_SD:g} (30 %).", *more)
    problem, low = _above(FitProblem(model, cohort, population, noise, name=study.title, solver=FINE), study, copies)
    order = {s: tuple(o for o in names if o in problem.noise) for s, names in study.stages.items()}
    return StudyProblem(problem, copies, {s: n for s, n in order.items() if n}, (*study.assumed, *told, *low, *more))


def _above(problem: FitProblem, study: Study, copies: tuple[int, ...]) -> tuple[FitProblem, tuple[str, ...]]:
    """Without the looks whose prediction lies below a limit of quantification, or is 0 under an error that goes with it."""
    seen, rows = _predicted(problem), problem.rows
    limit, told = np.full(len(seen), -np.inf), []
    looks = problem.cohort.observations.reset_index(drop=True)
    each = np.array(copies)[looks["subject"].to_numpy(int)[rows.index]]
    for i, o in enumerate(problem.observed_names):
        at, plain = rows.observable == i, study.errors.get(o, ("lognormal",))[0] == "additive"
        nothing = at & (seen <= 0.0) & (not plain)
        if nothing.any():
            told.append(f"{o}: {each[nothing].sum()} of {each[at].sum()} looks have a prediction of 0, tell nothing and are left out.")
        limit[nothing] = np.inf
        if o in study.limits:
            limit[at & ~nothing] = study.limits[o]
            n = each[at & ~nothing & (seen < limit)].sum()
            said = f"lie below {study.limits[o]:g} {_unit(problem, o)} at these values and count for nothing"
        else:
            n = 0 if plain else each[at & ~nothing & (seen < FAINT * seen[at].max())].sum()
            said = "are predicted below a millionth of its peak and count as if measured: give the observable a limit"
        if n:
            told.append(f"{o}: {n} of {each[at].sum()} looks {said}.")
    low = seen < limit
    if low.all():
        raise FitError(
            f"{study.title}: every look lies below its limit of quantification at these values, or is 0. Look at other times, or give more."
        )
    if not low.any():
        return problem, tuple(told)
    kept = looks.assign(scored=~np.isin(np.arange(len(looks)), rows.index[low]))
    left = set(rows.observable[~low].tolist())
    lost = [o for i, o in enumerate(problem.observed_names) if i not in left]
    noise = {o: e for o, e in problem.noise.items() if o not in lost}
    told += [f"{o}: no look is left, so it tells nothing." for o in lost]
    return replace(problem, cohort=replace(problem.cohort, observations=kept), noise=noise), tuple(told)


def _predicted(problem: FitProblem) -> np.ndarray:
    """Of each row at the design's values, without random effects."""
    space, index = Space(problem), problem.rows.index
    run = jax.jit(lambda z: problem.predictor(Predictive(problem, {}).individual(space.constrain(z)))[index])
    return np.asarray(run(jnp.asarray(space.start({}))))


def _unit(problem: FitProblem, observable: str) -> str:
    return next(o.unit for o in problem.model.observables if o.name == observable)


def _noise(kind: str, sd: float) -> Any:
    return NOISE[kind](dist.LogNormal(math.log(sd), SPREAD_SD))


def _population(model: Model, study: Study) -> tuple[Population, tuple[str, ...]]:
    held = [p.name for p in model.params if _held(p, study)]
    nothing = [n for n in held if _zero(model.param(n), study) and not _named(n, study)]
    differ = {n for n, v in study.variability.items() if v}
    made = {
        p.name: _spec(p, study, p.name in held)
        for p in model.params
        if p.name not in held or p.name in differ or _value(p, study) != p.value
    }
    plain = [p.name for p in model.params if p.name not in held and p.name not in study.priors]
    typical = [f"{p.name} {p.value:g}" for p in model.params if p.name not in study.parameters and p.name not in held]
    told = []
    if typical:
        told.append(f"At the model's typical value: {', '.join(typical)}.")
    if plain:
        told.append(
            f"Prior sd {PRIOR_SD:g} (of ln; of the logit of a fraction; a value that may be negative: its size, at least 1): {', '.join(plain)}."
        )
    known = [f"{n} {_value(model.param(n), study):.3g}" for n in held]
    if known:
        told.append(f"Held, as if known: {', '.join(known)}.")
    if nothing:
        told.append(f"Held because they are 0, which has no logarithm: {', '.join(nothing)}.")
    named = [n for n in held if n.startswith(RESERVED)]
    if named:
        told.append(
            f"Held because their names begin like a fit's own (a parameter of another name could be estimated): {', '.join(named)}."
        )
    spread = [f"{n} {v:g}" for n, v in study.variability.items() if v]
    told.append(
        f"Patients differ in {', '.join(spread)} (sd)." if spread else "Patients of an arm do not differ ([variability] says otherwise)."
    )
    return Population(**made), tuple(told)


def _value(p: Param, study: Study) -> float:
    return float(study.parameters.get(p.name, p.value))


def _held(p: Param, study: Study) -> bool:
    unasked = p.name.startswith(RESERVED) and p.name not in study.priors
    return _named(p.name, study) or unasked or _zero(p, study)


def _named(name: str, study: Study) -> bool:
    return name not in study.priors if study.fixed == "others" else name in study.fixed


def _zero(p: Param, study: Study) -> bool:
    return p.support == "nonnegative" and _value(p, study) == 0.0


def _spec(p: Param, study: Study, hold: bool) -> Any:
    v, sd = _value(p, study), study.priors.get(p.name)
    spread = study.variability.get(p.name)
    omega = dist.LogNormal(math.log(spread), SPREAD_SD) if spread else None
    if hold:
        return _known(p, v, omega)
    if p.support == "unit":
        _check_value(p, v, 0.0 < v < 1.0, "a number between 0 and 1")
        on_logit = dist.Normal(math.log(v / (1.0 - v)), sd or PRIOR_SD)
        return logit_normal(dist.TransformedDistribution(on_logit, transforms.SigmoidTransform()), omega)
    if p.support == "real":
        _check_value(p, v, bool(np.isfinite(v)), "a finite number")
        return normal(dist.Normal(v, sd or max(abs(v), 1.0) * PRIOR_SD), omega)
    _check_value(p, v, 0.0 < v < math.inf, "a number above 0")
    return lognormal(dist.LogNormal(math.log(v), sd or PRIOR_SD), omega)


def _known(p: Param, v: float, omega: Any) -> Any:
    """Held at a value; its patients may differ all the same, on the scale of its support."""
    sound = {"unit": 0.0 <= v <= 1.0, "real": np.isfinite(v), "nonnegative": v >= 0.0}.get(p.support, v > 0.0)
    if not (sound and np.isfinite(v)):
        raise FitError(f"{p.name} = {v:g} is held, and lies outside of its support ({p.support}).")
    if omega is None or p.support == "real":
        return fixed(v, omega, scale="identity")
    if v == 0.0 or (p.support == "unit" and v == 1.0):
        raise FitError(
            f"{p.name} = {v:g} cannot differ between patients: leave it out of [variability], or give another value in [parameters]."
        )
    return fixed(v, omega, scale="logit" if p.support == "unit" else "log")


def _check_names(model: Model, study: Study) -> None:
    """Of a study made in Python: parameters, observables and arms that there are. A file has been told by its reader."""
    held = () if isinstance(study.fixed, str) else study.fixed
    for word, names in (("parameters", study.parameters), ("priors", study.priors), ("fixed", held), ("variability", study.variability)):
        for n in names:
            if n not in model.param_names:
                raise FitError(f"{study.title}: {word} names '{n}', which is no parameter of {model.name}. {choices(n, model.param_names)}")
    for o in (*(look.observable for look in study.looks), *study.errors, *study.limits):
        if o not in model.observable_names:
            raise FitError(f"{study.title}: {model.name} has no observable '{o}'. {choices(o, model.observable_names)}")
    for a in (a for look in study.looks for a in look.arms or ()):
        if a not in study.arms:
            raise FitError(f"{study.title}: '{a}' is no arm. {choices(a, study.arms)}")
    for n, v in study.variability.items():
        if not 0.0 <= v < math.inf:
            raise FitError(f"{study.title}: patients differ in {n} by {v!r}; accepted is a standard deviation, a number of at least 0.")
    for o, (kind, sd) in study.errors.items():
        if kind not in NOISE or not (np.isfinite(sd) and sd > 0):
            raise FitError(
                f"{study.title}: {o} has an error {(kind, sd)!r}; accepted are (kind, sd above 0), kind one of {', '.join(NOISE)}."
            )


def _check_value(p: Param, v: float, sound: bool, words: str) -> None:
    if not sound:
        raise FitError(f"{p.name} = {v:g} has no prior around it: give {words} in [parameters], or name it in fixed.")
