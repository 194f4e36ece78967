"""A what-if asked again and again: other doses, times and covariates run through programs that are compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.errors import FitError
from pkpd.events import Regimen
from pkpd.events.intervals import constant_intervals
from pkpd.inference.predictive import Predictive
from pkpd.model.arm_layout import lay_out
from pkpd.model.moving import MovingPredictor, Records, Sizes, moving, records_of, sizes_of
from pkpd.simulate.draws import centring, checked_vary, problem_of
from pkpd.simulate.virtual import virtual_subjects
from pkpd.simulate.what_if import Drawn, Setting, drawn_for, labelled, told
from pkpd.solve.choose import waiting
from pkpd.solve.devices import checked_devices, told_devices

DOSES, LOOKS = 32, 64
"""Room for doses and looks is made in these steps: only a step further compiles a program anew."""
TOGETHER = 10  # draws solved together


@dataclass(frozen=True, eq=False)
class WhatIfProgram:
    """`what_if` of one fit (or problem, for its prior) with the same draws, subjects and numbers each time, without the classes of observables in classes.

    `.runs(arms, times, covariates)` gives what `what_if(fit, arms, times=times, covariates=covariates, key=key, n_subjects=..., draws=...)` gives: the same
    numbers, up to the tolerance of the solver (to rounding where that is exact).
    """

    fit: Any
    key: Any
    draws: int = 100
    n_subjects: int = 100
    kept: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def drawn(self) -> Drawn:
        return drawn_for(self.fit, self.draws, self._vary, jax.random.split(self.key)[1])

    @property
    def _vary(self) -> frozenset[str]:
        return checked_vary(("parameters", "subjects"))

    def runs(self, arms: Mapping[str, Regimen], times: Any, covariates: Any = None) -> xr.Dataset:
        """The Dataset of `what_if`. Raises `FitError` for doses by body size, and what `what_if` raises."""
        problem = problem_of(self.fit)
        table = virtual_subjects(problem, covariates, self.n_subjects, (), jax.random.split(self.key)[0])
        looks = np.asarray(times, float)
        one = checked_devices(None)[:1]
        setting = Setting(problem, "new", self._vary, table, looks, np.ones(len(table)), Predictive(problem, centring(self.fit)), one)
        theta, same = self._theta(setting), {"classes": {}, "devices": told_devices(one)}
        found = {name: {"values": self._arm(setting, name, r, theta), "theta": theta} | same for name, r in arms.items()}
        return told(labelled(setting, found), self.fit, arms, setting, self.drawn)

    def _theta(self, setting: Setting) -> dict[str, np.ndarray]:
        """Parameters [D, N] by name: drawn operation by operation, so that other covariates compile nothing; kept for the last covariates."""
        own = setting.table.to_numpy().tobytes()
        if self.kept.get("covariates") != own:
            found = jax.vmap(lambda sites, key: setting.known(setting.theta(sites, key)))(
                {n: jnp.asarray(v) for n, v in self.drawn.sites.items()}, self.drawn.keys
            )
            self.kept.update(covariates=own, theta={n: np.asarray(x) for n, x in found.items()})
        return self.kept["theta"]

    def _arm(self, setting: Setting, name: str, regimen: Regimen, theta: Mapping[str, np.ndarray]) -> np.ndarray:
        """Values [D, T, observables, N]."""
        model = setting.problem.fitted_model
        if regimen.for_model(setting.problem.model).sizes:
            raise FitError(f"{name} doses by body size, which this program does not hold; use what_if, or amounts.")
        solver = replace(waiting(setting.problem.solver), threads=0)
        _, bound = lay_out(model, regimen, setting.times, setting.table.iloc[:1], name, solver=solver)
        sizes = sizes_of(model, bound.plan, -(-len(setting.times) // LOOKS) * LOOKS, DOSES)
        room, run = self._program(sizes, bound, solver)
        records = _of_all(records_of(bound.plan, room.targets, sizes), setting.table, model.covariate_names)
        return np.asarray(run(theta, records))[:, : len(setting.times)]

    def _program(self, sizes: Sizes, bound: Any, solver: Any) -> tuple[MovingPredictor, Any]:
        if sizes not in self.kept:
            room = moving(bound.model, bound.plan, tuple(bound.model.routes), sizes, solver)
            _ = room.chosen  # picked with plain numbers, outside of the traced function
            self.kept[sizes] = (
                room,
                jax.jit(
                    lambda theta, records: jax.lax.map(lambda x: room.observables(x, records), theta, batch_size=min(TOGETHER, self.draws))
                ),
            )
        return self.kept[sizes]


def _of_all(records: Records, table: pd.DataFrame, names: tuple[str, ...]) -> Records:
    """The same doses and looks for every row of `table`, each with its covariates."""
    wide = constant_intervals(np.array([table[c].to_numpy(float) for c in names]).reshape(len(names), len(table)))
    own = (np.repeat(records.intervals[0], len(table), 1), wide.value, wide.slope, wide.origin)
    over = lambda x: np.repeat(wide.value[:, :1], x.shape[1], 1)  # noqa: E731
    return records._replace(intervals=own, at_doses=over(records.at_doses), at_looks=over(records.at_looks))
