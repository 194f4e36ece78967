"""What happens under another regimen: the posterior carried through every arm with the same random numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.events.body import SIZES
from pkpd.inference.predictive import Predictive, over_draws
from pkpd.inference.problem import FitProblem
from pkpd.simulate.draws import centring, checked_vary, population_draws, problem_of
from pkpd.simulate.extrapolation import drivers, outside_the_data
from pkpd.simulate.grid import design
from pkpd.simulate.measured import Measured, refuse_undrawable
from pkpd.simulate.overrides import by_arm, check_made, overridden, product_share, with_product
from pkpd.simulate.virtual import own_subjects, virtual_subjects
from pkpd.solve.devices import Devices, checked_devices, told_devices, useful

log = logging.getLogger("pkpd")
DIMS = ("arm", "draw", "subject", "time")
TOGETHER = 2  # draws solved together


def what_if(
    fit: Any,
    arms: Mapping[str, Regimen],
    *,
    times: Any,
    key: Any,
    subjects: str = "new",
    n_subjects: int | None = None,
    draws: int = 100,
    covariates: Any = None,
    vary: Sequence[str] = ("parameters", "subjects"),
    overrides: Mapping[str, Any] | None = None,
    product: str | Sequence[str] = (),
    devices: Any = None,
) -> xr.Dataset:
    """Predict every observable under each regimen: an xarray Dataset with dims (arm, draw, subject, time).

    `fit` is a `Fit`, or a `FitProblem` for its prior. `times` (h) rise. `subjects="new"` draws random effects from the fitted variability;
    "posterior" takes the cohort's own subjects. `vary` says what varies: "parameters" (between draws; else all draws have the medians), "subjects"
    (random effects between subjects; else each is the typical one with its covariates) and "residual" (values as measured, without limits).

    `covariates` of new subjects: None (rows of the cohort drawn with replacement), a DataFrame, a csv file of virtual patients, or a function (key, n)
    that gives a DataFrame. `n_subjects` (of new subjects) is 100, or all rows of the table; another number than that draws rows with replacement.
    `product` names covariates (a viability, a CAR-positive fraction) by which each subject's amounts are multiplied. `overrides` maps parameters to a
    number in the model's unit or a function of the subject's value, for all arms, or by arm: `{"CL": 2.0, "inhibited": {"CL": lambda x: 0.5 * x}}`; a
    parameter tied to another one keeps its value. Draws are shared among `devices`: all of the machine (None), a number of them, or some of
    `jax.devices()`; `attrs["devices"]` says how many worked. The numbers are the same, to rounding.

    Draws, subjects and random numbers are the same in every arm, so differences between arms are sharp. An observable in classes (binary, ordinal,
    recist) has besides `<observable>_probability` (arm, draw, subject, time, <observable>_class); `theta_<parameter>` (arm, draw, subject) holds each
    subject's parameters, and the coordinate `solved` (arm, draw, subject) says whose prediction is no NaN. A fit that did not converge gives runs
    marked `attrs["converged"] = 0`, which plots badge and the report withholds; `attrs["source"]` is "posterior" or "prior".
    `attrs["extrapolation"]` says what lies outside the studied doses, covariates and times, and which parameters drive those arms. Raises `FitError`
    when the fit carries no problem or a value has no use.

    >>> runs = what_if(fit, {"double": bolus((640, "mg"))}, times=[1, 2, 4, 8], key=jax.random.PRNGKey(0))   # doctest: +SKIP
    """
    problem, varying = problem_of(fit), checked_vary(vary)
    _check(fit, arms, subjects)
    pick, shake = jax.random.split(key)
    columns = (product,) if isinstance(product, str) else tuple(product)
    table = _people(problem, subjects, covariates, n_subjects, columns, pick)
    changes, share = by_arm(problem.model, overrides, arms), product_share(table, columns)
    drawn = drawn_for(fit, draws, varying, shake)
    setting = Setting(
        problem, subjects, varying, table, np.asarray(times, float), share, Predictive(problem, centring(fit)), checked_devices(devices)
    )
    found = {n: setting.arm(n, r, changes[n], drawn) for n, r in arms.items()}
    for name, made in found.items():
        check_made(problem.model, name, changes[name], made["theta"])
    return told(labelled(setting, found), fit, arms, setting, drawn)


class Drawn(NamedTuple):
    """The draws of a what-if: values of the sampled sites [D, ...], where each stands among all [D], and its random key [D]."""

    sites: Mapping[str, np.ndarray]
    index: np.ndarray
    keys: Any


def drawn_for(fit: Any, draws: int, vary: frozenset[str], key: Any) -> Drawn:
    """The draws that a what-if with this key takes."""
    sites, index = population_draws(fit, draws, vary, jax.random.fold_in(key, 1))
    return Drawn(sites, index, jax.random.split(key, len(index)))


def _check(fit: Any, arms: Any, subjects: str) -> None:
    if subjects not in ("new", "posterior"):
        raise FitError(f"what_if(subjects={subjects!r}): 'new' (virtual subjects) or 'posterior' (the cohort's own).")
    if subjects == "posterior" and isinstance(fit, FitProblem):
        raise FitError("subjects='posterior' are those of a fit, and this is a problem that was not fitted: take subjects='new'.")
    if not arms:
        raise FitError("what_if needs at least one arm, as in {'D1': infusion(cells(5e9))}.")


def _people(problem: FitProblem, subjects: str, covariates: Any, n: int | None, product: Sequence[str], key: Any) -> pd.DataFrame:
    if subjects == "new":
        return virtual_subjects(problem, covariates, n, product, key)
    if covariates is not None:
        raise FitError("subjects='posterior' are the cohort's own, with their covariates: leave covariates out.")
    own = own_subjects(problem)
    missing = [c for c in product if c not in own]
    if missing:
        raise FitError(f"product names '{missing[0]}', which the cohort's subjects do not have as a number.")
    return own


@dataclass(frozen=True, eq=False)
class Setting:
    """What all arms share."""

    problem: FitProblem
    subjects: str
    vary: frozenset[str]
    table: pd.DataFrame
    times: np.ndarray
    share: np.ndarray
    predictive: Predictive
    devices: Devices

    def arm(self, name: str, regimen: Regimen, changes: Mapping[str, Any], drawn: Drawn) -> dict[str, Any]:
        """ "values" [draw, time, observable, subject], by observable in classes P(class) [draw, time, subject, class], and the "devices" that worked."""
        problem, table = self.problem, self.table
        read = {*problem.fitted_model.covariate_names, *(SIZES[size][0] for size in regimen.for_model(problem.model).sizes)}
        bound = design(
            problem.fitted_model,
            regimen,
            self.times,
            table[[c for c in table if c in read]],
            name,
            solver=replace(problem.solver, devices=1),  # devices share the draws
        ).predictor
        bound = with_product(bound, self.share) if (self.share != 1).any() else bound
        measured = Measured(problem, self.times, table)
        if "residual" in self.vary:
            refuse_undrawable(measured)

        def one(values: Any, key: Any) -> Any:
            theta = overridden(problem, self.theta(values, key), changes)
            seen = bound.observables(theta)[0]
            found = measured.probabilities(seen, values, jax.random.fold_in(key, 3))
            known = self.known(theta)
            shown = measured.sample(seen, values, jax.random.fold_in(key, 2)) if "residual" in self.vary else seen
            return {"values": shown, "theta": known, "classes": found}

        n = len(drawn.keys)
        working = useful(self.devices, -(-n // TOGETHER), bound.chosen.name, problem.solver.threads)
        log.info("what_if: %s, %d draws of %d subjects on %s.", name, n, len(table), told_devices(working))
        found = over_draws(one, drawn.sites, drawn.keys, batch=min(TOGETHER, n), devices=working)
        return found | {"devices": told_devices(working)}

    def known(self, theta: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter of the model by subject."""
        typical = self.problem.model.typical
        return {n: jnp.broadcast_to(theta.get(n, typical[n]), (len(self.table),)) for n in self.problem.model.param_names}

    def theta(self, values: Any, key: Any) -> dict[str, Any]:
        """Parameters of the subjects in one draw."""
        covariates = {c: self.table[c].to_numpy(float) for c in self.table}
        if self.subjects == "posterior":
            return self.predictive.individual(values) if "subjects" in self.vary else self.predictive.typical(values)
        if "subjects" in self.vary:
            return self.predictive.new(values, key, covariates, len(self.table))
        return self.predictive.typical(values, covariates)


def labelled(setting: Setting, found: Mapping[str, Mapping[str, Any]]) -> xr.Dataset:
    """What `Setting.arm` gives of each arm, with names."""
    problem, table, arms = setting.problem, setting.table, list(found)
    stacked = np.stack([found[n]["values"] for n in arms])
    data: dict[str, Any] = {}
    for i, o in enumerate(problem.model.observables):
        data[o.name] = (DIMS, np.moveaxis(stacked[:, :, :, i], 2, 3), {"unit": o.unit})
    coords: dict[str, Any] = {"arm": arms, "draw": np.arange(stacked.shape[1]), "subject": np.arange(len(table)), "time": setting.times}
    coords |= {c: ("subject", table[c].to_numpy(float)) for c in table}
    coords["solved"] = (DIMS[:3], ~np.isnan(stacked).any((2, 3)))
    for name in problem.model.param_names:
        data[f"theta_{name}"] = (DIMS[:3], np.stack([found[n]["theta"][name] for n in arms]), {"unit": problem.model.param(name).unit})
    for o in next(iter(found.values()))["classes"]:
        p = np.moveaxis(np.stack([found[n]["classes"][o] for n in arms]), 2, 3)
        data[f"{o}_probability"] = ((*DIMS, f"{o}_class"), p, {"unit": "1"})
        coords[f"{o}_class"] = Measured(problem, setting.times, table).labels(o, p.shape[-1])
    return xr.Dataset(data, coords=coords, attrs={"devices": ", ".join(sorted({found[n]["devices"] for n in arms}))})


def told(runs: xr.Dataset, fit: Any, arms: Mapping[str, Regimen], setting: Setting, drawn: Drawn) -> xr.Dataset:
    """The runs with what must be known of them: source, verdict, what is extrapolation and what drives it."""
    problem, prior = setting.problem, isinstance(fit, FitProblem)
    notes = outside_the_data(problem, fit, arms, setting.times, setting.table, setting.share)
    driven = drivers(fit, runs, drawn.sites if "parameters" in setting.vary else {}, notes)
    attrs = {
        "simulated": int(problem.simulated),
        "extrapolation": [*notes, *driven],
        "regimens": [f"{n}: {r!r}" for n, r in arms.items()],
        "time_unit": "h",
        "source": "prior" if prior else "posterior",
        "vary": sorted(setting.vary),
        "converged": 1 if prior else int(fit.verdict.converged),
    }
    return runs.assign_attrs(attrs).assign_coords(posterior_draw=("draw", drawn.index))
