"""Parameters that change within a subject: by occasion and by covariates that change in time."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any

import jax.numpy as jnp
from jax.nn import sigmoid

from pkpd.components import Covariate, Param
from pkpd.errors import ModelError, choices
from pkpd.model.dose_checks import share_parameter
from pkpd.model.model import Model

SCALES = {"log": ("positive", "nonnegative", "unit"), "logit": ("unit",), "identity": ("positive", "nonnegative", "unit", "real")}
FORMS = {"power": 1, "exponential": 1, "categorical": 2}


@dataclass(frozen=True)
class Varying:
    """How one parameter p changes: g(p_now) = g(p) + kappa_k on occasion k + sum_j slope_j x_j.

    `scale` names g: "log", "logit" or "identity"; or it is a scale of one's own, with `forward` (g), `back` (g^-1) and `within` (does its range lie in a
    support?), whose repr is the same in every session. `occasion` is the column that numbers occasions and `levels` its values, one kappa each; any other
    value gives deviation 0. A slope is (covariate, form, reference), or (covariate, "categorical", reference, level); x is log(value / reference) for
    "power", value - reference for "exponential" and 1 at the level for "categorical".

    >>> Varying(occasion="OCC", levels=(1, 2)).scale
    'log'
    """

    scale: Any = "log"
    occasion: str | None = None
    levels: tuple[float, ...] = ()
    slopes: tuple[tuple[Any, ...], ...] = ()


def effect(form: str, numbers: tuple[float, ...], value: Any) -> Any:
    """The regressor x of a slope at a covariate's value."""
    if form == "power":
        return jnp.log(value / numbers[0])
    return value - numbers[0] if form == "exponential" else jnp.where(value == numbers[1], 1.0, 0.0)


def moved(scale: Any, value: Any, by: Any) -> Any:
    """The value whose g lies `by` from that of `value`."""
    if not isinstance(scale, str):
        return scale.back(scale.forward(value) + by)
    if scale == "log":
        return value * jnp.exp(by)
    return value + by if scale == "identity" else sigmoid(jnp.log(value) - jnp.log1p(-value) + by)


@dataclass(frozen=True, repr=False)
class VaryingModel(Model):
    """A model whose equations read g^-1(g(p) + change) in the place of varied parameters p; made by `vary`, never by hand.

    Doses take the covariates of their record, observations those of theirs, rates those of the time between records.
    """

    varied: tuple[tuple[str, Varying], ...] = ()

    @cached_property
    def plain(self) -> Model:
        """The model without the changes."""
        return Model(self.name, self.components, self.observables, self.text, self.example)

    @cached_property
    def extra(self) -> dict[str, tuple[str, ...]]:
        """The names of the deviations and slopes of each varied parameter: `kappa_CL_0`, `slope_CL_WT`."""
        kappas = lambda n, v: tuple(f"kappa_{n}_{k}" for k in range(len(v.levels)))  # noqa: E731
        return {n: kappas(n, v) + tuple(f"slope_{n}_{s[0]}" for s in v.slopes) for n, v in self.varied}

    @cached_property
    def params(self) -> tuple[Param, ...]:
        """The parameters of the components, then deviations and slopes, typically 0."""
        own, units = self.plain.params, {q.name: q.unit for q in self.covariates}
        more: list[Param] = []
        for n, v in self.varied:
            unit = self.plain.param(n).unit if v.scale == "identity" else "1"
            for k, level in enumerate(v.levels):
                more.append(_change(f"kappa_{n}_{k}", unit, f"change of {n} where {v.occasion} is {level:g}"))
            for name, form, *_ in v.slopes:
                per = f"/({units[name]})" if form == "exponential" and units[name] != "1" else ""
                more.append(_change(f"slope_{n}_{name}", unit + per, f"change of {n} with {name} ({form})"))
        return own + tuple(more)

    @cached_property
    def covariates(self) -> tuple[Covariate, ...]:
        """The covariates of the components, then occasions and the covariates of slopes."""
        found = {q.name: q for q in self.plain.covariates}
        for n, v in self.varied:
            if v.occasion:
                found.setdefault(v.occasion, Covariate(v.occasion, "1", f"occasion of {n}", v.levels[0]))
            for name, _, reference, *_ in v.slopes:
                found.setdefault(name, Covariate(name, "1", f"changes {n}", reference))
        return tuple(found.values())

    def changed(self, p: Mapping[str, Any], q: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters by name, the varied ones as they are at covariates q."""
        out = dict(p)
        for n, v in self.varied:
            by: Any = 0.0
            for k, level in enumerate(v.levels):
                by = by + jnp.where(q[str(v.occasion)] == level, p[f"kappa_{n}_{k}"], 0.0)
            for name, form, *numbers in v.slopes:
                by = by + p[f"slope_{n}_{name}"] * effect(form, tuple(numbers), q[name])
            out[n] = moved(v.scale, p[n], by)
        return out

    def telling(self, seen: Callable[[str], Any] | None) -> Callable[[str], None] | None:
        """`seen`, told the deviations and slopes of each parameter that is read too."""
        if seen is None:
            return None

        def tell(name: str) -> None:
            for each in (name, *self.extra.get(name, ())):
                seen(each)

        return tell

    def scope(self, t: Any, y: Any, p: Any, q: Any, seen: Any = None, signals: Any = None) -> Any:
        scope = super().scope(t, y, p, q, seen, signals)
        scope.p, scope.seen = self.changed(scope.p, scope.q), self.telling(seen)
        return scope

    def dose_value(self, route: str, attribute: str, p: Mapping[str, Any], q: Mapping[str, Any], seen: Any = None) -> Any:
        return super().dose_value(route, attribute, self.changed(p, q), q, self.telling(seen))

    @cached_property
    def digest(self) -> str:
        """The fingerprint of the model without the changes, and of what was declared of the changes."""
        return hashlib.sha256(f"{self.plain.digest}\n{self.varied!r}".encode()).hexdigest()[:16]


def _change(name: str, unit: str, meaning: str) -> Param:
    return Param(name, 0.0, unit, meaning, source="assumption: no change", support="real")


def vary(model: Model, varied: Mapping[str, Varying]) -> VaryingModel:
    """The model with parameters that change within a subject, p_now = g^-1(g(p) + sum_k 1[OCC = level_k] kappa_p_k + sum_j slope_p_COV x_j).

    `varied` maps names of parameters to `Varying`. The deviations `kappa_<parameter>_<k>` (k counts the levels from 0) and the slopes
    `slope_<parameter>_<covariate>` are further parameters of the model, one number or one value a subject [N], typically 0; occasions and covariates of
    slopes are further columns that it reads. A slope has the unit of g, "exponential" per unit of the covariate.
    Raises `ModelError` for a parameter that is unknown, cannot vary or varies already, and for a name that is taken.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> model = vary(one_compartment_iv, {"CL": Varying(occasion="OCC", levels=(1, 2), slopes=(("WT", "power", 70.0),))})
    >>> model.param_names
    ('CL', 'V', 'kappa_CL_0', 'kappa_CL_1', 'slope_CL_WT')
    >>> model.covariate_names
    ('OCC', 'WT')

    Karlsson MO, Sheiner LB. J Pharmacokinet Biopharm 1993;21:735 (occasions); Wählby U et al. Br J Clin Pharmacol 2004;58:367 (covariates in time).
    """
    before = dict(model.varied) if isinstance(model, VaryingModel) else {}
    plain = model.plain if isinstance(model, VaryingModel) else model
    both = sorted(set(before) & set(varied))
    if both:
        raise ModelError(f"'{both[0]}' varies already. Give its occasions and slopes in one Varying.")
    for n, v in varied.items():
        _check_parameter(plain, n, v)
        _check_occasion(n, v)
        _check_slopes(n, v)
    tidy = {n: replace(v, levels=tuple(map(float, v.levels)), slopes=tuple(map(_tidy, v.slopes))) for n, v in varied.items()}
    made = VaryingModel(model.name, model.components, model.observables, model.text, model.example, tuple({**before, **tidy}.items()))
    _check_names(made)
    return made


def _tidy(slope: Any) -> tuple[Any, ...]:
    return (*slope[:2], *map(float, slope[2:]))


def _check_parameter(model: Model, n: str, v: Varying) -> None:
    p = model.param(n)
    shares = [share_parameter(w) for d in model.doses for _, w in d.into if isinstance(w, str)]
    if n in [s.initial for s in model.states] or n in shares:
        raise ModelError(f"'{n}' is an initial value or a share of a dose route, which has no covariates. Vary another parameter.")
    if not isinstance(v.scale, str):
        if not v.scale.within(p.support):
            raise ModelError(f"'{n}' varies on {v.scale}, whose range is not inside its support '{p.support}'. Take one that is.")
    elif v.scale not in SCALES:
        raise ModelError(f"'{n}' varies on the scale '{v.scale}'. {choices(v.scale, SCALES)}")
    elif p.support not in SCALES[v.scale]:
        fits = [s for s in SCALES if p.support in SCALES[s]]
        raise ModelError(f"'{n}' varies on the scale '{v.scale}', and its support is '{p.support}'. Take {' or '.join(fits)}.")
    if not v.occasion and not v.slopes:
        raise ModelError(f"'{n}' has no occasion and no slope to vary by. Give occasion and levels, or slopes.")


def _check_occasion(n: str, v: Varying) -> None:
    if bool(v.occasion) != bool(v.levels) or len(set(v.levels)) != len(v.levels) or not all(map(_finite, v.levels)):
        raise ModelError(
            f"'{n}' varies by occasion {v.occasion!r} with levels {v.levels}. Give a column and its levels, finite numbers, each once."
        )


def _check_slopes(n: str, v: Varying) -> None:
    for s in v.slopes:
        told = f"'{n}' has the slope {s}"
        if len(s) < 2 or s[1] not in FORMS:
            raise ModelError(f"{told}, whose form is none. {choices(str(s[1]) if len(s) > 1 else '', FORMS)}")
        if len(s) != 2 + FORMS[s[1]] or not all(map(_finite, s[2:])):
            level = ", level" if s[1] == "categorical" else ""
            raise ModelError(f"{told}. Give (covariate, '{s[1]}', reference{level}) with finite numbers.")
        if s[1] == "power" and s[2] <= 0:
            raise ModelError(f"{told}, and a power of value / {s[2]:g} is none. Give a reference above 0, or take the form exponential.")
        if s[1] == "categorical" and s[2] == s[3]:
            raise ModelError(f"{told}, whose level is its reference. Give the level that differs from the reference.")
    twice = [name for name, count in Counter(s[0] for s in v.slopes).items() if count > 1]
    if twice:
        raise ModelError(f"'{n}' has two slopes on the covariate '{twice[0]}'. Give each covariate once.")


def _finite(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool) and math.isfinite(x)


def _check_names(model: VaryingModel) -> None:
    """No name that the changes bring stands for something else."""
    new = [x for xs in model.extra.values() for x in xs]
    covariates, plain = model.covariate_names, model.plain
    words = {"state": plain.state_names, "signal": tuple(plain.signal_owner), "parameter": plain.param_names}
    for kind, taken in words.items():
        for name in (*new, *covariates):
            if name in taken:
                what = "a deviation or slope" if name in new else "a column that parameters vary by"
                raise ModelError(f"{model.name}: '{name}' is {what}, and a {kind} of the model. Rename one of them.")
    for name, count in Counter((*new, *covariates)).items():
        if count > 1:
            raise ModelError(f"{model.name}: '{name}' is the name of two changes or columns. Rename a parameter or a covariate.")


def check_cohort(model: Model, cohort: Any) -> None:
    """Refuse columns that a varied parameter cannot read: a category on a straight line between records, a power of a value that is not above 0."""
    for n, v in model.varied if isinstance(model, VaryingModel) else ():
        steps = [s[0] for s in v.slopes if s[1] == "categorical"] + ([v.occasion] if v.occasion else [])
        for name in steps:
            if dict(cohort.interpolation).get(name) == "linear":
                raise ModelError(
                    f"'{n}' varies by the category '{name}', which is interpolated linearly. Give interpolation={{'{name}': 'nocb'}}."
                )
        for name in [s[0] for s in v.slopes if s[1] == "power"]:
            _check_above_zero(n, name, cohort)


def _check_above_zero(n: str, name: str, cohort: Any) -> None:
    records = cohort.covariate_records
    tables = [cohort.covariates] + ([records] if records is not None and name in records.columns else [])
    low = min((float(t[name].min()) for t in tables if name in t), default=math.inf)
    if low <= 0:
        raise ModelError(
            f"'{n}' varies by a power of '{name}', which is {low:g} in {cohort.name}. Mend the column, or take the form exponential."
        )
