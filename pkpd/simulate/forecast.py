"""`forecast`: one patient's course from few samples, with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr

from pkpd.approximate.patient import PatientPosterior, fit_patient
from pkpd.approximate.patient_prior import PatientPrior
from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.simulate.patient_looks import course, looked
from pkpd.simulate.target import AFTER


@dataclass(frozen=True, eq=False)
class Forecast:
    """A patient's posterior and what follows from it: `predict` gives draws, `bands` quantiles; `patient` holds mode, curvature, draws and verdict."""

    patient: PatientPosterior

    @property
    def eta(self) -> pd.Series:
        """Mode of the random effects (POSTHOC)."""
        return self.patient.eta

    @property
    def parameters(self) -> pd.Series:
        """The patient's parameters at the mode."""
        return self.patient.parameters

    @property
    def verdict(self) -> str:
        """Whether the mode was found and the draws can be used, in one sentence."""
        return self.patient.verdict

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter that varies: value at the mode, 5, 50 and 95 % of the posterior."""
        names = list(self.patient.prior.population.varying)
        quantiles = {
            f"{100 * q:g}%": [weighted_quantile(self.patient.draws[n], self.patient.weights, q) for n in names] for q in (0.05, 0.5, 0.95)
        }
        return pd.DataFrame({"mode": [self.parameters[n] for n in names], **quantiles}, index=pd.Index(names, name="parameter"))

    def predict(self, times: Any, then: Regimen | None = None) -> xr.Dataset:
        """Every observable at `times` (h) for each draw: dims (draw, time), coordinate `weight` (draw); without residual error.

        `then` is what will be given, not before the last record; without it nothing more is but the additional doses (ADDL) of the records.
        """
        when = _rising(times)
        path = course(self.patient, then, when, np.full(len(when), AFTER))
        theta = {n: self.patient.draws[n].to_numpy() for n in self.patient.draws}
        found = np.asarray(looked(path.room)(theta, path.records))[: len(when)]
        model = self.patient.prior.model
        data = {o.name: (("draw", "time"), found[:, i].T, {"unit": o.unit}) for i, o in enumerate(model.observables)}
        coords = {"time": when, "weight": ("draw", self.patient.weights)}
        return xr.Dataset(data, coords=coords, attrs={"verdict": self.verdict, "time_unit": "h"})

    def bands(
        self,
        times: Any,
        then: Regimen | None = None,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        residual: bool = False,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Quantiles over the posterior, a row a time (h), columns (observable, quantile); with `residual` of what would be measured."""
        runs = self.predict(times, then)
        found = {}
        for o in runs.data_vars:
            y = runs[o].to_numpy()
            if residual:
                if o not in self.patient.prior.noise:
                    raise FitError(
                        f"bands(residual=True): '{o}' has no residual error in this prior. {choices(str(o), self.patient.prior.noise)}"
                    )
                y = _measured(self.patient, str(o), y, seed)
            for q in quantiles:
                found[str(o), f"{100 * q:g}%"] = [weighted_quantile(y[:, t], self.patient.weights, q) for t in range(y.shape[1])]
        columns = pd.MultiIndex.from_tuples(list(found), names=["observable", "quantile"])
        return pd.DataFrame(np.array(list(found.values())).T, index=pd.Index(runs["time"].to_numpy(), name="time"), columns=columns)


def forecast(prior: PatientPrior, records: Any, *, seed: int = 1, draws: int = 1000, **reading: Any) -> Forecast:
    """One patient's posterior from few samples, and the patient's course from here on.

        eta* = argmin -2 log p(y | eta) + eta' Omega^-1 eta,     draws around eta*, weighted by p(y | eta) p(eta) / q(eta)

    `records` are NONMEM-style rows of one patient (a DataFrame, csv path or `Cohort`; `reading` goes to `read_cohort`: units=..., columns=...): doses so far,
    samples so far (none is allowed: the prior), covariates. Rows below a limit count by the M3 method. Call it again with more rows when samples
    arrive: rows are padded, so the program compiled for the first call serves. The draws are those of a Student's t around the mode (for each draw of the
    population where the prior carries them), importance-weighted and Pareto-smoothed. Returns a `Forecast`. Raises `DataError` for records that are not
    valid and `FitError` for what the prior cannot take.
    Source: Sheiner & Beal 1982, J Pharm Sci 71:1344 (individual estimates); Vehtari et al. 2024, JMLR 25:72 (weights).

    >>> import pandas as pd
    >>> from pkpd import Population, fixed, patient_prior, proportional_error
    >>> from pkpd.models.classic import one_compartment_iv
    >>> people = Population(CL=fixed(3.0, between=0.3), V=fixed(20.0, between=0.2))
    >>> prior = patient_prior(one_compartment_iv, population=people, noise={"cp": proportional_error(0.15)})
    >>> rows = pd.DataFrame({"ID": 1, "TIME [h]": [0, 6], "AMT [mg]": [100, 0], "DV [mg/L]": [None, 2.6]})
    >>> forecast(prior, rows).parameters.round(2).to_dict()                                # doctest: +SKIP
    {'CL': 2.71, 'V': 19.91}
    """
    return Forecast(fit_patient(prior, records, seed=seed, draws=draws, **reading))


def _rising(times: Any) -> np.ndarray:
    when = np.asarray(times, float)
    if when.ndim != 1 or not len(when) or not np.isfinite(when).all() or (np.diff(when) <= 0).any():
        raise FitError(f"The times of a forecast are finite hours, each later than the one before; got {times!r}.")
    return when


def _measured(patient: PatientPosterior, name: str, y: np.ndarray, seed: int) -> np.ndarray:
    """y [N, T] with residual error; each draw has its own population's."""
    prior = patient.prior
    values = {n: np.asarray(x)[np.arange(len(y)) % len(x)] for n, x in prior.draws.items()}
    sds = [x[:, None] for x in prior.sds(values)[prior.observed.index(name)]]
    error: Any = prior.noise[name]
    mean, sd = (np.asarray(x) for x in error.mean_sd(y, sds))
    x = mean + sd * np.asarray(jax.random.normal(jax.random.key(seed), y.shape))
    return np.exp(x) if error.logs else x


def weighted_quantile(x: Any, weights: np.ndarray, q: float) -> float:
    """The value below which weights of `q` lie.

    >>> weighted_quantile([1.0, 2.0, 3.0], np.array([0.2, 0.6, 0.2]), 0.5)
    2.0
    """
    return float(np.quantile(np.asarray(x, float), q, weights=weights, method="inverted_cdf"))
