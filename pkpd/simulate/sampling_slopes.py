"""Derivatives of what a group of subjects would show, in the population's values and in the random effects: what expected information is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.events.plan import LAST, Plan
from pkpd.model.arm_layout import lay_out
from pkpd.model.moving import MovingPredictor, moving, records_of, sizes_of
from pkpd.simulate.target import AFTER

LOOKS = 32


@dataclass(frozen=True, eq=False)
class SamplingGroup:
    """`subjects` who get a regimen and are sampled at `times` (h, by observable); `covariates` by name."""

    subjects: float
    regimen: Regimen
    times: Mapping[str, Any]
    covariates: Mapping[str, float] = field(default_factory=dict)

    def samples(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        """Times [T] and the index of the observable of each sample [T], in the order of the model's observables."""
        names = [o for o in model.observable_names if o in self.times]
        hours = [np.asarray(self.times[o], float).ravel() for o in names]
        which = [np.full(len(t), model.observable_names.index(o)) for o, t in zip(names, hours, strict=True)]
        return np.concatenate(hours), np.concatenate(which)


def sampling_group(
    subjects: float, regimen: Regimen, times: Mapping[str, Any], *, model: Any, covariates: Mapping[str, float] | None = None
) -> SamplingGroup:
    """A group of a study design: how many subjects, what they get, when each observable is sampled (h), and their covariates.

    Raises `FitError` for a number of subjects that is not positive, unknown observables, and times that are negative or none.

    >>> from pkpd import bolus
    >>> from pkpd.models.classic import one_compartment_iv
    >>> sampling_group(32, bolus((70, "mg")), {"cp": [1, 6, 24]}, model=one_compartment_iv).subjects
    32
    """
    if isinstance(subjects, bool) or not np.isfinite(subjects) or not subjects > 0:
        raise FitError(f"sampling_group(subjects={subjects!r}): a positive number is needed.")
    for o, t in times.items():
        if o not in model.observable_names:
            raise FitError(f"{model.name} has no observable '{o}'. {choices(o, model.observable_names)}")
        hours = np.asarray(t, float)
        if hours.ndim != 1 or not hours.size or not np.all(np.isfinite(hours) & (hours >= 0)):
            raise FitError(f"sampling_group(times={{'{o}': {t!r}}}): times are finite hours from 0 on, at least one.")
    if not times:
        raise FitError("sampling_group(times={}): at least one observable is sampled, as in {'cp': [1, 6, 24]}.")
    return SamplingGroup(subjects, regimen, dict(times), dict(covariates or {}))


class Slopes(NamedTuple):
    """Of every sample [T] in every lane [L]: sd; derivatives of mean and sd in the values [P], of the mean in the random effects [K]; `bend` [P, K] those
    of the latter in the values, where they were asked for. Means are on the scale where the residual is normal.
    """

    sd: Any
    d_mean: Any
    d_sd: Any
    effect: Any
    bend: Any


def estimated(prior: PatientPrior) -> tuple[str, ...]:
    """The values that a study would estimate: those with a prior."""
    if not prior.values:
        raise FitError(
            f"{prior.model.name}: every value of this population is held as a number, so a study has nothing to estimate. Give priors where it has, "
            "as in CL=lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5)), and values={'CL': 2.8, 'omega_CL': 0.3}."
        )
    return tuple(prior.values)


def slopes_of(prior: PatientPrior, group: SamplingGroup, values: Mapping[str, np.ndarray], eta: np.ndarray, bend: bool = False) -> Slopes:
    """At values [L] by name and random effects [L, K]."""
    hours, which = group.samples(prior.model)
    missing = [c for c in prior.covariates if c not in group.covariates]
    if missing:
        raise FitError(
            f"The population reads the covariate '{missing[0]}', which the group does not have; give covariates={{'{missing[0]}': ...}}."
        )
    odd = [o for o in group.times if o not in prior.noise]
    if odd:
        raise FitError(f"The group samples '{odd[0]}', for which the prior has no residual error. {choices(odd[0], prior.noise)}")
    size = LOOKS * -(-len(hours) // LOOKS)
    room, base = _room(prior, group.regimen, tuple(sorted(group.covariates.items())), size)
    plan = _looking(base, hours)
    records = records_of(plan, room.targets, room.sizes)
    pad = np.concatenate([which, np.full(size - len(which), which[0])])
    names = estimated(prior)
    run = _program(prior, room, tuple(sorted(group.covariates.items())), bend)
    found = run(np.stack([np.asarray(values[n], float) for n in names], -1), np.asarray(eta, float), records, pad)
    return Slopes(*(None if x is None else np.asarray(x)[..., : len(hours), :] for x in found))


def _looking(base: Plan, hours: np.ndarray) -> Plan:
    wide = {"look_time": hours[:, None], "look_rank": np.full((len(hours), 1), AFTER), "look_place": np.full((len(hours), 1), -1)}
    return replace(base, **wide, end=np.maximum(base.end, hours.max()))


@lru_cache(maxsize=64)
def _room(prior: PatientPrior, regimen: Regimen, covariates: tuple, size: int) -> tuple[MovingPredictor, Plan]:
    """Room for the samples of a regimen, and its plan with one look."""
    table = pd.DataFrame({c: [x] for c, x in covariates}, index=[0])
    last = max(1.0, regimen.start + 1.0)
    _, bound = lay_out(prior.model, regimen, np.array([last]), table, "design", solver=prior.solver)
    plan = replace(bound.plan, look_time=np.full((1, 1), last), look_rank=np.full((1, 1), LAST), look_place=np.full((1, 1), -1))
    sizes = sizes_of(prior.model, plan, size)
    return moving(prior.model, plan, tuple(prior.model.routes), sizes, prior.solver), plan


@lru_cache(maxsize=64)
def _program(prior: PatientPrior, room: MovingPredictor, covariates: tuple, bend: bool) -> Callable[..., Slopes]:
    """Compiled once for a group's regimen and covariates: other times and values run through it."""
    _ = room.chosen
    names, rows = estimated(prior), prior.rows(dict(covariates))

    def shown(p: Any, eta: Any, records: Any, which: Any) -> tuple[Any, Any]:
        """Mean and sd [T, L] at values p [L, P]."""
        values = {n: p[:, i] for i, n in enumerate(names)}
        typical = jax.vmap(lambda v: prior.typical_of(rows, v))(values)
        shapes = {
            n: jnp.broadcast_to(values.get(f"shape_{n}", prior.population.parameters[n].shape), p.shape[:1])
            for n in prior.shapes(prior.draws)
        }
        f = room.observables(prior.theta(typical, eta, shapes), records)[jnp.arange(len(which)), jnp.asarray(which)]
        mean, sd = jnp.zeros_like(f), jnp.ones_like(f)
        for o in prior.observed:
            error: Any = prior.noise[o]
            here = (jnp.asarray(which) == prior.model.observable_names.index(o))[:, None]
            sds = [jnp.broadcast_to(values.get(f"{prefix}_{o}", held), p.shape[:1]) for prefix, held in error.priors]
            m, s = error.mean_sd(jnp.where(here, f, 1.0), sds)
            mean, sd = jnp.where(here, m, mean), jnp.where(here, s, sd)
        return mean, sd

    def first(p: Any, eta: Any, records: Any, which: Any) -> tuple[Any, Any, Any, Any]:
        ways = jnp.eye(p.shape[1] + eta.shape[1])
        move = lambda w: (jnp.broadcast_to(w[: p.shape[1]], p.shape), jnp.broadcast_to(w[p.shape[1] :], eta.shape))  # noqa: E731
        at = lambda w: jax.jvp(lambda p, e: shown(p, e, records, which), (p, eta), move(w))  # noqa: E731
        (_, sd), (d_mean, d_sd) = jax.vmap(at, out_axes=(None, 0))(ways)
        count = p.shape[1]
        return sd, d_mean[:count], d_sd[:count], d_mean[count:]

    def run(p: Any, eta: Any, records: Any, which: Any) -> Slopes:
        records = room.prepared(records)
        sd, d_mean, d_sd, effect = first(p, eta, records, which)
        if not bend:
            return Slopes(sd, d_mean, d_sd, effect, None)
        ways = jnp.eye(p.shape[1])
        at = lambda w: jax.jvp(lambda p: first(p, eta, records, which)[3], (p,), (jnp.broadcast_to(w, p.shape),))[1]  # noqa: E731
        return Slopes(sd, d_mean, d_sd, effect, jax.vmap(at)(ways))

    return jax.jit(run)
