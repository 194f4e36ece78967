"""Default priors around a model's typical values: a start that says what it assumes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

import numpyro.distributions as dist

from pkpd.components import Param
from pkpd.errors import FitError, choices
from pkpd.model import Model
from pkpd.population.parameters import Individual, logit_normal, lognormal, normal
from pkpd.population.parameters import fixed as held
from pkpd.population.population import Population

log = logging.getLogger("pkpd")

DEFAULT = "default prior: "
PSEUDO = 4.0
"""A Beta prior of a fraction weighs as much as four observations of yes or no."""


def default_priors(
    model: Model, *, vary: Iterable[str] = (), spread: float = 1.0, between: float = 0.5, fixed: Iterable[str] = ()
) -> Population:
    """A population with a weak prior around the typical value v of each parameter; a start to be looked at, every line an assumption.

    Above 0: LogNormal(log v, spread). Between 0 and 1: Beta(4 v, 4 (1 - v)). Real: Normal(v, max(abs v, 1) spread), the 1 in the parameter's own unit. A
    typical value of 0 that may not be negative is fixed. `vary` names parameters that differ between subjects, with omega ~ HalfNormal(between); `fixed` those
    held at their typical value. Each line carries its source, which the report prints, and is logged; `prior_table` shows them all.
    Raises `FitError` for a name that is not known, or stands in both, and for a spread that is not positive.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> default_priors(one_compartment_iv, vary=["CL"], fixed=["V"]).parameters["CL"].source
    'default prior: lognormal around the typical value 2.8 L/h, sd of the log 1; omega half-normal(0.5) (assumption)'
    """
    vary, fixed = list(vary), list(fixed)
    _check(model, vary, fixed, spread, between)
    made = {p.name: _one(p, between if p.name in vary else None, spread, p.name in fixed) for p in model.params}
    for name, spec in made.items():
        log.info("%s: %s", name, spec.source)
    return Population(**made)


def _check(model: Model, vary: list[str], fixed: list[str], spread: float, between: float) -> None:
    for word, names in (("vary", vary), ("fixed", fixed)):
        for n in names:
            if n not in model.param_names:
                raise FitError(f"default_priors({word}=...) names '{n}', which {model.name} does not have. {choices(n, model.param_names)}")
    both = [n for n in vary if n in fixed]
    if both:
        raise FitError(f"default_priors: '{both[0]}' stands in vary and in fixed; leave it out of one.")
    stuck = [n for n in vary if _zero(model.param(n))]
    if stuck:
        raise FitError(
            f"default_priors(vary=...) names '{stuck[0]}', whose typical value is 0; it is fixed there. Write its prior by hand: lognormal(...)."
        )
    for word, x in (("spread", spread), ("between", between)):
        if isinstance(x, bool) or not isinstance(x, (int, float)) or not x > 0:
            raise FitError(f"default_priors({word}={x!r}): a number above 0 is needed, the sd on the parameter's transformed scale.")


def _zero(p: Param) -> bool:
    return p.support == "nonnegative" and float(p.value) == 0.0


def _one(p: Param, between: float | None, spread: float, hold: bool) -> Individual:
    v = float(p.value)
    at = f"the typical value {v:g}{'' if p.unit == '1' else ' ' + p.unit}"
    if hold or _zero(p):
        return held(v, scale="identity", source=f"held at {at} ({p.source})")
    omega = None if between is None else dist.HalfNormal(between)
    told = "" if between is None else f"; omega half-normal({between:g})"
    source = lambda text: f"{DEFAULT}{text}{told} (assumption)"  # noqa: E731
    if p.support == "unit":
        return logit_normal(
            dist.Beta(PSEUDO * v, PSEUDO * (1 - v)), omega, source=source(f"Beta with mean at {at}, as of {PSEUDO:g} observations")
        )
    if p.support == "real":
        sd = max(abs(v), 1.0) * spread
        return normal(dist.Normal(v, sd), omega, source=source(f"normal around {at}, sd {sd:g}"))
    return lognormal(dist.LogNormal(math.log(v), spread), omega, source=source(f"lognormal around {at}, sd of the log {spread:g}"))
