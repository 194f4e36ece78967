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
import pandas as pd
from numpyro.distributions import transforms

from pkpd.components import Param
from pkpd.data import Cohort, read_cohort
from pkpd.data.unscored import read_unscored
from pkpd.errors import FitError, choices
from pkpd.inference.predictive import Predictive
from pkpd.inference.problem import FitProblem
from pkpd.inference.problem_checks import RESERVED
from pkpd.inference.space import Space
from pkpd.model import Model
from pkpd.noise import additive_error, lognormal_error, proportional_error
from pkpd.population import Population, fixed, logit_normal, lognormal, normal
from pkpd.simulate.scenario.study import PRIOR_SD, RESIDUAL_SD, Study, StudyArm
from pkpd.solve import Solver

NOISE = {"lognormal": lognormal_error, "proportional": proportional_error, "additive": additive_error}
FINE = Solver(rtol=1e-8, atol=1e-12, mesh_growth=0.1)
"""A design may look rarely and late, and its information is one of logarithms: the relative error of a tail counts as that of a peak does."""
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
    cohort, copies, told = _from_records(model, study) if study.records is not None else _from_arms(model, study)
    seen = [o for o in model.observable_names if o in set(cohort.observations["observable"])]
    unseen = [o for o in study.errors if o not in seen]
    if unseen:
        raise FitError(f"{study.title}: no row looks at {unseen[0]}. {choices(unseen[0], seen)}")
    population, more = _population(model, study)
    noise = {o: _noise(*study.errors.get(o, ("lognormal", RESIDUAL_SD))) for o in seen}
    plain = [o for o in seen if o not in study.errors]
    if plain:
        more = (f"Residual of {', '.join(plain)}: lognormal, sd {RESIDUAL_SD:g} (30 %).", *more)
    order = {s: tuple(o for o in names if o in seen) for s, names in study.stages.items()}
    problem, low = _above(FitProblem(model, cohort, population, noise, name=study.title, solver=FINE), study, copies)
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
    kept = looks.assign(scored=~np.isin(np.arange(len(looks)), rows.index[low]))
    return replace(problem, cohort=replace(problem.cohort, observations=kept)) if low.any() else problem, tuple(told)


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
    nothing = [n for n in held if _value(model.param(n), study) == 0 and model.param(n).support == "nonnegative" and n not in study.fixed]
    made = {p.name: _spec(p, study, p.name in held) for p in model.params if p.name not in held or _value(p, study) != p.value}
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
    named = p.name not in study.priors if study.fixed == "others" else p.name in study.fixed
    unasked = p.name.startswith(RESERVED) and p.name not in study.priors
    return named or unasked or (p.support == "nonnegative" and _value(p, study) == 0.0)


def _spec(p: Param, study: Study, hold: bool) -> Any:
    v, sd = _value(p, study), study.priors.get(p.name)
    if hold:
        return fixed(v, scale="identity")
    spread = study.variability.get(p.name)
    omega = dist.LogNormal(math.log(spread), SPREAD_SD) if spread else None
    if p.support == "unit":
        _check_value(p, v, 0.0 < v < 1.0, "a number between 0 and 1")
        on_logit = dist.Normal(math.log(v / (1.0 - v)), sd or PRIOR_SD)
        return logit_normal(dist.TransformedDistribution(on_logit, transforms.SigmoidTransform()), omega)
    if p.support == "real":
        return normal(dist.Normal(v, sd or max(abs(v), 1.0) * PRIOR_SD), omega)
    _check_value(p, v, v > 0.0, "a number above 0")
    return lognormal(dist.LogNormal(math.log(v), sd or PRIOR_SD), omega)


def _check_value(p: Param, v: float, sound: bool, words: str) -> None:
    if not sound:
        raise FitError(f"{p.name} = {v:g} has no prior around it: give {words} in [parameters], or name it in fixed.")


def _from_arms(model: Model, study: Study) -> tuple[Cohort, tuple[int, ...], tuple[str, ...]]:
    columns = list(dict.fromkeys(c for a in study.arms.values() for c in a.covariates))
    parts = [_rows(model, study, name, a) for name, a in study.arms.items()]
    amounts: dict[str, str] = {}
    for p in parts:
        amounts |= p.attrs["amounts"]
    units: Any = {"TIME": "h", "AMT": amounts, "DV": {o.name: o.unit for o in model.observables}}
    table = pd.concat(
        [p.assign(**{c: study.arms[n].covariates.get(c, np.nan) for c in columns}) for n, p in zip(study.arms, parts, strict=True)]
    )
    cohort = read_cohort(table.reset_index(drop=True), model, units=units, covariates=columns, name=study.title)
    return cohort, tuple(study.arms[s].patients for s in cohort.subjects), ()


def _rows(model: Model, study: Study, name: str, a: StudyArm) -> pd.DataFrame:
    """Dose rows and looks of one patient of an arm, in the order in which they act: a look at the time of a dose comes after it."""
    sizes = pd.DataFrame([{"ID": name, **a.covariates}]) if a.regimen.for_model(model).sizes else None
    doses = a.regimen.to_records(model, subjects=sizes) if sizes is not None else a.regimen.to_records(model, id=name)
    looks = [pd.DataFrame({"TIME": look.times, "DVID": look.observable}) for look in study.looks if look.arms is None or name in look.arms]
    if not looks:
        raise FitError(f"{study.title}: nobody looks at arm {name}. Name it in arms of an [[observations]], or leave the arm out.")
    seen = pd.concat(looks).drop_duplicates().assign(ID=name, EVID=0, MDV=0, DV=1.0, AMT=0.0, RATE=0.0, DUR=0.0, CMT="", place=2)
    given = doses.assign(RATE=doses["RATE"].where(doses["DUR"] == 0, 0.0), MDV=1, DVID="", DV=np.nan, place=1)
    rows = (
        pd.concat([given, seen] if len(given) else [seen], ignore_index=True)
        .sort_values(["TIME", "place"], kind="stable")
        .drop(columns="place")
    )
    rows.attrs["amounts"] = doses.attrs["units"]["AMT"] if len(given) else {}
    return rows


def _from_records(model: Model, study: Study) -> tuple[Cohort, tuple[int, ...], tuple[str, ...]]:
    """Every observation row of a file is a look, whatever its DV and MDV."""
    path: Any = study.records
    if not path.is_file():
        raise FitError(f"{study.title}: there is no file of records {path}.")
    cohort = read_unscored(path, model, units=study.units or None).cohort
    looks = cohort.observations.reset_index(drop=True)
    if looks.empty:
        raise FitError(f"{path.name} has no observation row (EVID 0), so nothing is looked at.")
    looks = looks.assign(scored=True, dv=1.0, cens=0, lower=np.nan)
    seen = set(looks["observable"])
    told = [
        f"{path.name}: {len(looks)} observation rows of {cohort.n_subjects} subject{'s' * (cohort.n_subjects > 1)}; DV, CENS and limits are not read."
    ]
    if len(seen) == 1 and len(model.observable_names) > 1:
        told.append(f"Every row is one of {next(iter(seen))}: the first observable where DVID says nothing.")
    return replace(cohort, observations=looks), (1,) * cohort.n_subjects, tuple(told)
