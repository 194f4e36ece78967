"""What a paper reports of an arm instead of its patients' data: counts above a limit, the median and range of peaks, means, responders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.scipy.special import logsumexp

from pkpd.data import read_cohort
from pkpd.errors import FitError, choices
from pkpd.events import Regimen, tile
from pkpd.events.intervals import constant_intervals
from pkpd.inference.summary_laws import binomial, log_difference, mean_and_sd, mean_log, multinomial, ordered, peak_law
from pkpd.model import Model, Predictor, predictor
from pkpd.noise.tails import log_below

NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)  # for the two middle values of an even number


@dataclass(frozen=True, eq=False)
class SummaryArm:
    """`n_patients` patients of a paper under one `regimen`, looked at `times_h` (h, rising; a look at the time of a dose is after it).

    `covariates` maps each covariate to one number or to one a patient [n_patients]; doses by body size read WT (kg) and BSA (m^2).
    `patients` is a label of the people, compared by `check_no_overlap`.
    """

    model: Model
    regimen: Regimen
    times_h: Sequence[float]
    n_patients: int
    covariates: Mapping[str, Any] | None = None
    name: str = "arm"
    patients: str = ""
    _made: dict[int, Predictor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        times = np.asarray(self.times_h, float)
        if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise FitError(f"The times of arm '{self.name}' are finite hours, each later than the one before; got {self.times_h!r}.")
        if self.n_patients < 1:
            raise FitError(f"Arm '{self.name}' has n_patients={self.n_patients}; give the number of patients, at least 1.")
        given = self.covariates or {}
        missing = [c for c in self.model.covariate_names if c not in given]
        if missing:
            raise FitError(
                f"{self.model.name} reads the covariate '{missing[0]}', which arm '{self.name}' does not have. {choices(missing[0], given)}"
            )
        for c, v in given.items():
            if np.shape(v) not in ((), (self.n_patients,)) or not np.isfinite(np.asarray(v, float)).all():
                raise FitError(
                    f"Covariate {c} of arm '{self.name}' is {v!r}; give one finite number, or one for each of {self.n_patients}."
                )

    def table(self, draws: int) -> pd.DataFrame:
        """Covariates of `draws` virtual subjects: each patient's own, in equal runs of neighbouring Sobol points."""
        patient = np.arange(draws) * self.n_patients // draws
        return pd.DataFrame(
            {c: np.broadcast_to(np.asarray(v, float), (self.n_patients,))[patient] for c, v in (self.covariates or {}).items()},
            index=range(draws),
        )

    def predictor(self, draws: int) -> Predictor:
        """The model bound to `draws` virtual subjects, laid out once: `.observables(theta)[0]` is [times, observables, draws]."""
        if draws not in self._made:
            self._made[draws] = _bound(self, self.table(draws))
        return self._made[draws]


def _bound(arm: SummaryArm, table: pd.DataFrame) -> Predictor:
    model, n = arm.model, len(table)
    by_size = bool(arm.regimen.for_model(model).sizes)  # such doses differ between subjects, all others are laid out once
    each = table if by_size else table.iloc[:1]
    doses = arm.regimen.to_records(model, subjects=each if by_size else None)
    cohort = read_cohort(_rows(arm, doses, each), model, units=doses.attrs["units"], covariates=list(table.columns), name=arm.name)
    bound = predictor(model, cohort)
    bound = replace(bound, plan=replace(bound.plan, start=np.minimum(bound.plan.start, 0.0)))
    if by_size:
        return bound
    wide = np.array([table[c].to_numpy(float) for c in model.covariate_names]).reshape(len(model.covariates), n)
    plan = replace(tile(bound.plan, n), intervals=constant_intervals(wide))
    return replace(bound, plan=plan, row_observable=np.tile(bound.row_observable, n))


def _rows(arm: SummaryArm, doses: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Dose records, and a look at every observable at every time after them."""
    n, names, times = len(table), arm.model.observable_names, np.asarray(arm.times_h, float)
    doses = doses.assign(RATE=doses["RATE"].where(doses["DUR"] == 0, 0.0), place=1, MDV=1, DVID="")
    one = pd.DataFrame({"TIME": np.repeat(times, len(names)), "EVID": 0, "MDV": 1, "DVID": list(names) * len(times)})
    one = one.assign(AMT=0.0, RATE=0.0, DUR=0.0, CMT="", place=2)
    looks = one.iloc[np.tile(np.arange(len(one)), n)].assign(ID=np.repeat([str(i + 1) for i in range(n)], len(one)))
    rows = looks if doses.empty else pd.concat([doses, looks], ignore_index=True)
    rows = rows.assign(lane=rows["ID"].astype(int) - 1).sort_values(["lane", "TIME", "place"], kind="stable")
    values = {c: table[c].to_numpy()[rows["lane"]] for c in table.columns}
    return rows.drop(columns=["lane", "place"]).assign(**values)


@dataclass(frozen=True, eq=False)
class Seen:
    """Virtual subjects of an arm: parameters `theta` [M], `log_f[observable]` [times, M], residual sd `sigma[observable]` of the log."""

    times: np.ndarray
    theta: Mapping[str, Any]
    log_f: Mapping[str, Any]
    sigma: Mapping[str, Any]

    def at(self, observable: str, t: float) -> Any:
        return self.log_f[observable][int(np.flatnonzero(np.isclose(self.times, t, rtol=1e-9, atol=1e-9))[0])]


@dataclass(frozen=True)
class Detectable:
    """`count` of `of` patients measured above the limit `above` (unit of the observable) at visit `at` (h): Binomial(count; of, p).

    p = mean over subjects of Phi((ln f - ln above)/sigma).
    """

    observable: str
    at: float
    above: float
    count: int
    of: int

    @property
    def visits(self) -> tuple[float, ...]:
        return (self.at,)

    def wrong(self) -> str | None:
        return _wrong_count(self) or _not_positive(self, above=self.above)

    def log_likelihood(self, seen: Seen) -> Any:
        z = (np.log(self.above) - seen.at(self.observable, self.at)) / seen.sigma[self.observable]
        return binomial(self.count, self.of, mean_log(log_below(-z)), mean_log(log_below(z)))


@dataclass(frozen=True)
class DetectableJointly:
    """Detection of the same patients at several visits `at` (h): `counts` maps a pattern, a sign + or - a visit, to a number of patients.

    Multinomial over patterns with p = mean over subjects of prod_t Phi(+-(ln f_t - ln above)/sigma); a pattern not named has no patient.
    """

    observable: str
    at: tuple[float, ...]
    above: float
    counts: Mapping[str, int]

    @property
    def of(self) -> int:
        return sum(self.counts.values())

    @property
    def visits(self) -> tuple[float, ...]:
        return tuple(self.at)

    def wrong(self) -> str | None:
        for pattern, n in self.counts.items():
            if len(pattern) != len(self.at) or set(pattern) - set("+-"):
                return f"the pattern '{pattern}' is not one sign + or - for each of the {len(self.at)} visits; write '{'+' * len(self.at)}'"
            if n < 0:
                return f"the pattern '{pattern}' counts {n} patients; a count is 0 or more"
        return _not_positive(self, above=self.above)

    def log_likelihood(self, seen: Seen) -> Any:
        log_f = jnp.stack([seen.at(self.observable, t) for t in self.at])
        z = (log_f - np.log(self.above)) / seen.sigma[self.observable]
        signs = np.array([[1.0 if s == "+" else -1.0 for s in p] for p in self.counts])
        log_p = mean_log(jnp.sum(log_below(signs[:, :, None] * z), axis=1))
        return multinomial(list(self.counts.values()), log_p)


@dataclass(frozen=True)
class PeakSummary:
    """Median and range of the peaks of `of` patients, a peak being a patient's largest measurement over the arm's times.

    The joint density of the order statistics that are given; for an even `of` the two middle ones are m - d and m + d, integrated over d.
    """

    observable: str
    median: float | None = None
    low: float | None = None
    high: float | None = None
    of: int = 1

    visits = ()

    def wrong(self) -> str | None:
        given = {n: v for n in ("low", "median", "high") if (v := getattr(self, n)) is not None}
        if not given:
            return "it has none of median, low and high; give at least one"
        values, ranks = list(given.values()), self.ranks()
        if any(b <= a for a, b in pairwise(values)):
            return f"low < median < high does not hold: {', '.join(f'{n}={v:g}' for n, v in given.items())}; use values before rounding"
        if any(b <= a for a, b in pairwise(ranks)):
            return f"{' and '.join(given)} of {self.of} patients are not different patients; leave one out"
        return _not_positive(self, **given)

    def ranks(self) -> list[int]:
        middle = [self.of // 2 + 1] if self.of % 2 else [self.of // 2, self.of // 2 + 1]
        return [1] * (self.low is not None) + middle * (self.median is not None) + [self.of] * (self.high is not None)

    def log_likelihood(self, seen: Seen) -> Any:
        return self.density(self.median, seen.log_f[self.observable], seen.sigma[self.observable])

    def density(self, median: Any, log_f: Any, sigma: Any) -> Any:
        """log density of `median` (None: not reported) and the range, from predictions `log_f` [times, M]."""
        if median is None or self.of % 2:
            return self._ordered([median], log_f, sigma)
        most = median - (self.low or 0.0) if self.high is None else jnp.minimum(median - (self.low or 0.0), self.high - median)
        u = 0.5 * (NODES + 1.0)  # d = most u^2; the density of m is 2 integral f(m - d, m + d) dd
        each = jax.lax.map(lambda d: self._ordered([median - d, median + d], log_f, sigma), most * u**2)
        return logsumexp(each + jnp.log(2.0 * WEIGHTS * most * u))

    def _ordered(self, middle: Sequence[Any], log_f: Any, sigma: Any) -> Any:
        laws = [peak_law(x, log_f, sigma) for x in (self.low, *middle, self.high) if x is not None]
        below = [b for b, _ in laws]
        inner = [log_difference(b, a) for a, b in pairwise(below)]
        between = [mean_log(b) for b in (below[0], *inner, log_difference(jnp.zeros_like(below[-1]), below[-1]))]
        gaps = [b - a - 1 for a, b in pairwise([0, *self.ranks(), self.of + 1])]
        return ordered(gaps, between, [mean_log(d) for _, d in laws])


@dataclass(frozen=True)
class MeanSd:
    """Mean and standard deviation (unit of the observable, not of its log) of `of` patients at visit `at` (h).

    Large-sample law of (ln mean, ln sd^2); rough below about 10 patients or with a heavy right tail.
    """

    observable: str
    at: float
    mean: float
    sd: float
    of: int

    @property
    def visits(self) -> tuple[float, ...]:
        return (self.at,)

    def wrong(self) -> str | None:
        return "a standard deviation needs of=2 patients or more" if self.of < 2 else _not_positive(self, mean=self.mean, sd=self.sd)

    def log_likelihood(self, seen: Seen) -> Any:
        return mean_and_sd(self.mean, self.sd, self.of, seen.at(self.observable, self.at), seen.sigma[self.observable])


@dataclass(frozen=True)
class Responders:
    """`count` of `of` patients responded; `probability(theta, f)` gives [M], in [0, 1], from parameters [M] and predictions [times, M] by observable."""

    probability: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    count: int
    of: int

    observable, visits = None, ()

    def wrong(self) -> str | None:
        return _wrong_count(self)

    def log_likelihood(self, seen: Seen) -> Any:
        p = jnp.mean(self.probability(seen.theta, {o: jnp.exp(v) for o, v in seen.log_f.items()}))
        return binomial(self.count, self.of, jnp.log(jnp.maximum(p, 1e-300)), jnp.log(jnp.maximum(1.0 - p, 1e-300)))


def _wrong_count(term: Any) -> str | None:
    return None if 0 <= term.count <= term.of else f"count={term.count} of={term.of}: a count lies between 0 and of"


def _not_positive(term: Any, **values: float) -> str | None:
    bad = [f"{n}={v:g}" for n, v in values.items() if not (np.isfinite(v) and v > 0)]
    return f"{bad[0]} is not positive; give it in the unit of {term.observable}" if bad else None
