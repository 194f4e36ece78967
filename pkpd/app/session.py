"""One fit, asked again and again: a state becomes a scenario, the scenario runs, the runs become tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax
import pandas as pd
import xarray as xr

from pkpd.app.state import Range, State, Studied, checked, studied
from pkpd.app.toml import Source, to_toml
from pkpd.inference.fit import Fit
from pkpd.inference.problem import FitProblem
from pkpd.simulate.exposure import exposure
from pkpd.simulate.scenario import Scenario, parse_scenario
from pkpd.simulate.scenario.tables import exposure_table, target_table
from pkpd.simulate.virtual import needed, with_values
from pkpd.simulate.what_if_program import WhatIfProgram

PLACE = Path("scenario.toml")


@dataclass(frozen=True, eq=False)
class Answer:
    """What the page shows of a state: the scenario as text, its runs, its exposure table, its targets (None without a limit), and how long it took (s)."""

    state: State
    text: str
    scenario: Scenario
    runs: xr.Dataset
    exposure: pd.DataFrame
    targets: pd.DataFrame | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Session:
    """A fit with its problem, and where both are."""

    fit: Fit
    problem: FitProblem
    source: Source

    @cached_property
    def program(self) -> WhatIfProgram:
        return WhatIfProgram(self.fit, jax.random.key(self.source.seed), self.source.draws, self.source.patients)

    @cached_property
    def studied(self) -> Studied:
        return studied(self.problem)

    @cached_property
    def units(self) -> dict[str, str]:
        """The unit of each observable."""
        return {o.name: o.unit for o in self.problem.model.observables}

    @property
    def title(self) -> str:
        return self.problem.title or self.problem.name

    @cached_property
    def begin(self) -> State:
        """Both arms as the study had them."""
        observed = self.problem.observed_names or list(self.units)
        return State({"A": self.studied.arm, "B": self.studied.arm}, observed[0])

    @cached_property
    def limits(self) -> Mapping[str, float]:
        """A limit to begin with for each observable: the peak of the median patient under the study's regimen, to two digits."""
        runs = self.answer(self.begin).runs
        return {o: float(f"{float(exposure(runs.isel(arm=[0]), o)['cmax'].median()):.2g}") for o in self.units}

    def text(self, state: State) -> str:
        """The scenario file. Raises `FitError` for what cannot be."""
        mark = "" if self.fit.verdict.converged else "# NOT CONVERGED: the fit behind this scenario is not to be used.\n"
        return mark + to_toml(checked(state, self.studied), self.studied, self.source, f"{self.title}: what if", self.units)

    def answer(self, state: State) -> Answer:
        """Raises `FitError` and what else a regimen cannot be, before anything is solved."""
        began = time.perf_counter()
        text = self.text(state)
        scenario = parse_scenario(text, self.problem.model, PLACE, covariates=tuple(needed(self.problem)))
        people = with_values(self.problem, scenario.population.get("covariates", {}))
        runs = self.program.runs(scenario.arms, scenario.times, people)
        targets = target_table(runs, scenario) if scenario.targets else None
        return Answer(state, text, scenario, runs, exposure_table(runs, scenario), targets, time.perf_counter() - began)

    def beyond(self, state: State) -> list[Range]:
        """Covariates that are set outside of what the fit saw."""
        return [r for r in self.studied.covariates if r.name in state.covariates and r.outside(state.covariates[r.name])]


def csv(table: pd.DataFrame) -> str:
    """A table as `pkpd simulate` writes it."""
    return table.to_csv(index=False)


def named(session: Session, name: str) -> str:
    """The name of a downloaded file; it says so where the fit has not converged."""
    mark = "" if session.fit.verdict.converged else "NOT_CONVERGED_"
    return f"{mark}{session.problem.name}_{name}"
