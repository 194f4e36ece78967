"""`fit_patient`: a patient's records under a prior become a posterior of the patient's parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import pandas as pd

from pkpd.approximate.compiled import SADDLE
from pkpd.approximate.importance import importance_weights
from pkpd.approximate.mode import CONVERGED, REASONS
from pkpd.approximate.patient_mode import DF, Found, PatientProgram, Rows, people_of, scored
from pkpd.approximate.patient_prior import PatientPrior, told_covariates
from pkpd.data import Cohort, read_cohort
from pkpd.errors import FitError, choices
from pkpd.inference.approximated import FEWEST
from pkpd.inference.certificate import GOOD_K
from pkpd.model import predictor
from pkpd.model.moving import MovingPredictor, Sizes, check_steady, moving, records_of, sizes_of
from pkpd.noise import on_logs

ROWS = 16


@dataclass(frozen=True, eq=False)
class PatientPosterior:
    """What one patient's records tell: the mode of the random effects, the normal law around it, and weighted draws of the whole posterior.

    `eta` is the mode (NONMEM's POSTHOC estimate) and `parameters` the patient's at it; `covariance` [K, K] the inverse curvature there; `objective`
    -2 log p(y | eta) + eta' Omega^-1 eta without n ln 2 pi of exactly observed rows; `status` "converged" or why not. `draws` has a row a draw
    (parameters), `etas` [N, K] its random effects, `weights` [N] sum to 1, 0 where a draw could not be solved; `pareto_k` judges them (None: equal weights;
    infinite: no tail can be fitted), `ess` is their effective number.
    """

    prior: PatientPrior
    cohort: Cohort
    eta: pd.Series
    covariance: pd.DataFrame
    parameters: pd.Series
    objective: float
    status: str
    draws: pd.DataFrame
    etas: np.ndarray
    weights: np.ndarray
    pareto_k: float | None

    @property
    def ess(self) -> float:
        """1 / sum of squared weights."""
        return float(1.0 / np.sum(self.weights**2))

    @property
    def informed(self) -> pd.Series:
        """1 - sd of eta given the records / omega: 0 where they tell nothing of a random effect, 1 where they fix it."""
        sd = np.sqrt(np.diagonal(self.covariance.to_numpy()))
        omega = np.sqrt(np.diagonal(self.prior.omega({n: np.asarray(x) for n, x in (self.prior.values or {"none": 0.0}).items()})))
        return pd.Series(1.0 - sd / omega, index=self.eta.index, name="informed")

    @property
    def verdict(self) -> str:
        """One sentence: whether the mode was found and the draws can be used."""
        if self.status != "converged":
            return f"NOT CONVERGED: {self.status}. Check the records (a dose or a unit), or sample the patient with pkpd.sample."
        k = "" if self.pareto_k is None else f"Pareto k {self.pareto_k:.2f}, "
        told = f"{k}{self.ess:.0f} effective of {len(self.weights)} draws"
        if self.pareto_k is not None and self.pareto_k > GOOD_K:
            return f"The mode was found, but draws around it do not cover the posterior ({told}): sample the patient with pkpd.sample."
        if self.ess < FEWEST:
            return (
                f"The mode was found, but too few draws carry weight ({told}; at least {FEWEST:.0f} are needed): ask for more with forecast(..., draws=...), "
                "or sample the patient with pkpd.sample."
            )
        return f"Converged: {told}."


def fit_patient(prior: PatientPrior, records: Any, *, seed: int = 1, draws: int = 1000, **reading: Any) -> PatientPosterior:
    """Mode, curvature and weighted draws of one patient; `reading` goes to `read_cohort`."""
    cohort = read_patient(prior, records, **reading)
    k, d = len(prior.effects), len(next(iter(prior.draws.values())))
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < max(100, d):
        raise FitError(f"forecast(draws={draws!r}): a whole number of at least {max(100, d)} is needed.")
    rows, plan = _rows(prior, cohort)
    sizes = sizes_of(prior.model, plan, len(rows.x), ROWS)
    program = program_of(prior, sizes, plan)
    check_steady(prior.model, program.moving, plan)
    people = people_of(prior, told_covariates(prior, cohort.covariates), np.linalg.cholesky)
    found = program.run(people, records_of(plan, program.moving.targets, sizes), rows, _student(seed, draws, k))
    return _told(prior, cohort, jax.tree.map(np.asarray, found), rows, people.scale[0])


def _student(seed: int, draws: int, k: int) -> np.ndarray:
    """t_5 in k dimensions [draws, k]; the same for one seed, so that an update differs by what was measured alone."""
    one, other = jax.random.split(jax.random.key(seed))
    spread = jax.random.chisquare(other, DF, shape=(draws, 1)) / DF
    return np.asarray(jax.random.normal(one, (draws, k)) / spread**0.5)


def read_patient(prior: PatientPrior, records: Any, **reading: Any) -> Cohort:
    """The records of one patient, checked: one subject, covariates there, observables known."""
    if isinstance(records, Cohort):
        cohort = records
    else:
        asked = [*reading.pop("covariates", ()), *prior.covariates]
        cohort = read_cohort(records, prior.model, covariates=list(dict.fromkeys(asked)), name=reading.pop("name", "patient"), **reading)
    if len(cohort.subjects) != 1:
        raise FitError(
            f"A forecast takes the records of one patient, and these are of {len(cohort.subjects)}: {', '.join(cohort.subjects[:5])}."
        )
    missing = [c for c in prior.covariates if c not in cohort.covariates or not np.isfinite(float(cohort.covariates[c].iloc[0]))]
    if missing:
        known = choices(missing[0], list(cohort.covariates))
        raise FitError(f"The population reads the covariate '{missing[0]}', which the patient's records do not have. {known}")
    moved = [c for c in prior.read_by_effects if c in cohort.covariate_records]
    if moved:
        raise FitError(
            f"The covariate '{moved[0]}' changes within the patient and a parameter has an effect of it; a forecast takes one value. Keep the value that "
            "counts from here on in all rows, or write the effect into the model's equations, which follow a covariate in time."
        )
    table = cohort.observations[cohort.observations["scored"]]
    odd = [o for o in table["observable"].unique() if o not in prior.noise]
    if odd:
        raise FitError(f"The patient has measured {odd[0]}, for which the prior has no residual error. {choices(odd[0], prior.noise)}")
    return cohort


def _rows(prior: PatientPrior, cohort: Cohort) -> tuple[Rows, Any]:
    """Scored rows padded to a multiple of `ROWS`, and the plan with one look for each of them."""
    table = cohort.observations.reset_index(drop=True)
    table = table[table["scored"].to_numpy(bool)]
    bound = predictor(prior.model, replace(cohort, observations=table.reset_index(drop=True)), prior.solver)
    plan, n = bound.plan, len(table)
    size = ROWS * max(1, -(-n // ROWS))
    at = plan.row_time if n else np.zeros(1, int)  # no sample: one look that no row reads
    plan = replace(plan, look_time=plan.look_time[at], look_rank=plan.look_rank[at], look_place=plan.look_place[at])
    pad = lambda x, fill: np.concatenate([np.asarray(x), np.full(size - n, fill)])  # noqa: E731
    logs = np.array([on_logs(prior.noise[o]) for o in table["observable"]], bool)
    kind = np.array([prior.observed.index(o) for o in table["observable"]], int)
    which = np.array([prior.model.observable_names.index(o) for o in table["observable"]], int)
    x, low = scored(table["dv"].to_numpy(float), logs), scored(table["lower"].to_numpy(float), logs)
    cens = table["cens"].to_numpy(int)
    rows = Rows(pad(x, 0.0), pad(low, -np.inf), pad(cens, 0), pad(which, 0), pad(kind, 0), pad(logs, False), pad(np.ones(n, bool), False))
    return rows, plan


@lru_cache(maxsize=32)
def _program(prior: PatientPrior, sizes: Sizes) -> list[PatientProgram]:
    """Room for the one program of a prior and sizes."""
    return []


def program_of(prior: PatientPrior, sizes: Sizes, plan: Any) -> PatientProgram:
    """The program of a prior and sizes, made for the first plan that asks."""
    kept = _program(prior, sizes)
    if not kept:
        kept.append(PatientProgram(prior, room_for(prior, sizes, plan)))
    return kept[0]


def room_for(prior: PatientPrior, sizes: Sizes, plan: Any) -> MovingPredictor:
    return moving(prior.model, plan, tuple(prior.model.routes), sizes, prior.solver)


def _told(prior: PatientPrior, cohort: Cohort, found: Found, rows: Rows, scale: np.ndarray) -> PatientPosterior:
    names = list(prior.effects)
    status = REASONS[int(found.status)]
    definite = bool(np.all(np.isfinite(found.curvature)) and np.all(np.linalg.eigvalsh(found.curvature) > 0))
    if int(found.status) == CONVERGED and not definite:
        status = SADDLE
    inverse = np.linalg.inv(found.curvature) if definite else np.full(found.curvature.shape, np.nan)
    exact = int(np.sum(rows.real & (rows.cens == 0)))
    if not np.isfinite(found.log_weight).any():
        raise FitError(
            f"No draw around the mode of subject {cohort.subjects[0]} has a likelihood ({status}). Check the doses, times and units of the records."
        )
    found_weights = importance_weights(found.log_weight)
    return PatientPosterior(
        prior,
        cohort,
        pd.Series(scale @ found.u, index=names, name="eta"),
        pd.DataFrame(scale @ inverse @ scale.T, index=names, columns=names),
        pd.Series({n: float(x) for n, x in found.theta.items()}, name="parameter"),
        float(found.objective) - exact * float(np.log(2 * np.pi)),
        status,
        pd.DataFrame(found.draws),
        found.eta,
        found_weights.weight,
        found_weights.pareto_k,
    )
