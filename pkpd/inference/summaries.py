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

from pkpd.errors import FitError, choices
from pkpd.events import Regimen
from pkpd.inference.summary_laws import Scatter, counted, log_difference, mean_and_sd, mean_log, moments, multinomial, ordered, peak_law
from pkpd.model import Model, Predictor
from pkpd.model.arm_layout import lay_out
from pkpd.noise.tails import log_below
from pkpd.solve import Solver

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

    def listed(self, draws: int) -> np.ndarray | None:
        """The patient whom each virtual subject stands for [draws], where covariates tell patients apart; None where all are alike."""
        apart = any(np.ndim(v) and np.ptp(np.asarray(v, float)) > 0 for v in (self.covariates or {}).values())
        return np.arange(draws) * self.n_patients // draws if apart else None

    def predictor(self, draws: int, solver: Solver | None = None) -> Predictor:
        """The model bound to `draws` virtual subjects, laid out once: `.observables(theta)[0]` is [times, observables, draws]."""
        if draws not in self._made:
            self._made[draws] = lay_out(self.model, self.regimen, np.asarray(self.times_h, float), self.table(draws), self.name)[1]
        return self._made[draws] if solver is None else replace(self._made[draws], solver=solver)


@dataclass(frozen=True, eq=False)
class Seen:
    """Virtual subjects of an arm: parameters `theta` [M], predictions `f` and `laws` of measurements by observable [times, M].

    `patient` [M] numbers the patient whom each stands for, where covariates tell them apart.
    """

    times: np.ndarray
    theta: Mapping[str, Any]
    f: Mapping[str, Any]
    laws: Mapping[str, Scatter]
    patient: np.ndarray | None = None

    def place(self, t: float) -> int:
        return int(np.flatnonzero(np.isclose(self.times, t, rtol=1e-9, atol=1e-9))[0])

    def law(self, observable: str, t: float) -> Scatter:
        """The law of the measurement at one visit [M]."""
        law, i = self.laws[observable], self.place(t)
        return Scatter(law.mean[i], law.sd[i], law.logs)


@dataclass(frozen=True)
class Detectable:
    """`count` of `of` patients measured above the limit `above` (unit of the observable) at visit `at` (h): Binomial(count; of, p).

    p = mean over subjects of P(y > above), Phi((ln f - ln above)/sigma) with a lognormal residual. Where covariates tell the patients of the arm
    apart, each has a p of its own and the count is Poisson-binomial, over all of them or over `of` of them at random.
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
        z = seen.law(self.observable, self.at).z(self.above)
        return counted(self.count, self.of, log_below(-z), log_below(z), seen.patient)


@dataclass(frozen=True)
class DetectableJointly:
    """Detection of the same patients at several visits `at` (h): `counts` maps a pattern, a sign + or - a visit, to a number of patients.

    Multinomial over patterns with p = mean over subjects of prod_t P(y_t > above) or P(y_t < above); a pattern not named has no patient.
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
        z = -jnp.stack([seen.law(self.observable, t).z(self.above) for t in self.at])
        signs = np.array([[1.0 if s == "+" else -1.0 for s in p] for p in self.counts])
        log_p = mean_log(jnp.sum(log_below(signs[:, :, None] * z), axis=1))
        return multinomial(list(self.counts.values()), log_p)


@dataclass(frozen=True)
class PeakSummary:
    """Median and range of the peaks of `of` patients, a peak being a patient's largest measurement over the arm's times.

    The joint density of the order statistics that are given; for an even `of` the two middle ones are m - d and m + d, integrated over d.
    Residuals of a patient's visits are independent, so P(peak < x) is their product: nothing is drawn.
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
        return self.density(self.median, seen.laws[self.observable])

    def density(self, median: Any, law: Scatter) -> Any:
        """log density of `median` (None: not reported) and the range, from the `law` of measurements [times, M]."""
        if median is None or self.of % 2:
            return self._ordered([median], law)
        u = 0.5 * (NODES + 1.0)  # the density of m is 2 integral f(m - d, m + d) dd
        d, slope = self._apart(median, u, law)
        each = jax.lax.map(lambda d: self._ordered([median - d, median + d], law), d)
        return logsumexp(each + jnp.log(WEIGHTS * slope))

    def _apart(self, median: Any, u: Any, law: Scatter) -> tuple[Any, Any]:
        """Half the distance d(u) of the two middle values, for u from 0 to 1, and dd/du; dense at 0, without an end where they have none."""
        below = None if self.low is None and not law.logs else median - (self.low or 0.0)
        ends = [e for e in (below, None if self.high is None else self.high - median) if e is not None]
        if not ends:
            scale = jnp.abs(median) + jnp.mean(law.sd)
            return scale * u**2 / (1.0 - u**2), 2.0 * scale * u / (1.0 - u**2) ** 2
        most = ends[0] if len(ends) == 1 else jnp.minimum(*ends)
        return most * u**2, 2.0 * most * u

    def _ordered(self, middle: Sequence[Any], law: Scatter) -> Any:
        laws = [peak_law(x, law) for x in (self.low, *middle, self.high) if x is not None]
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
        f = seen.f[self.observable][seen.place(self.at)]
        return mean_and_sd(self.mean, self.sd, self.of, moments(f, seen.law(self.observable, self.at)))


@dataclass(frozen=True)
class Responders:
    """`count` of `of` patients responded; `probability(theta, f)` gives [M], in [0, 1], from parameters [M] and predictions [times, M] by observable.

    `name` says what a response is, for tables.
    """

    probability: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    count: int
    of: int
    name: str = ""

    observable, visits = None, ()

    def wrong(self) -> str | None:
        return _wrong_count(self)

    def log_likelihood(self, seen: Seen) -> Any:
        some = next(iter(seen.f.values()))
        p = jnp.broadcast_to(self.probability(seen.theta, seen.f), some.shape[-1:])
        return counted(self.count, self.of, jnp.log(jnp.maximum(p, 1e-300)), jnp.log(jnp.maximum(1.0 - p, 1e-300)), seen.patient)


@dataclass(frozen=True)
class Classes:
    """How many patients fell in each of exclusive classes (grades, best responses): `counts` maps every class to a number of patients.

    `probabilities(theta, f)` gives a mapping of the same classes to probabilities [M] that sum to 1, from parameters [M] and predictions [times, M] by
    observable. Multinomial with p = mean over subjects; the patients of the arm are alike (one number for each covariate). `name` says what is classed.
    """

    probabilities: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
    counts: Mapping[str, int]
    name: str = ""

    observable, visits = None, ()

    @property
    def of(self) -> int:
        return sum(self.counts.values())

    def wrong(self) -> str | None:
        bad = [f"{c}: {k}" for c, k in self.counts.items() if k < 0 or k != int(k)]
        return f"{bad[0]} patients: a count is a whole number, 0 or more" if bad else None

    def log_probabilities(self, seen: Seen) -> Any:
        """log of the mean over subjects of each class's probability [classes], in the order of `counts`."""
        if seen.patient is not None:
            raise FitError(
                "Classes count patients who are alike, and this arm lists covariates of each: give one number a covariate, or an arm a group."
            )
        found, some = self.probabilities(seen.theta, seen.f), next(iter(seen.f.values()))
        missing = sorted(set(self.counts) ^ set(found))
        if missing:
            raise FitError(
                f"The classes counted and those given a probability differ in '{missing[0]}'. {choices(missing[0], self.counts)}"
            )
        p = jnp.stack([jnp.broadcast_to(found[c], some.shape[-1:]) for c in self.counts])
        return mean_log(jnp.log(jnp.maximum(p, 1e-300)))

    def log_likelihood(self, seen: Seen) -> Any:
        return multinomial(list(self.counts.values()), self.log_probabilities(seen))


def _wrong_count(term: Any) -> str | None:
    return None if 0 <= term.count <= term.of else f"count={term.count} of={term.of}: a count lies between 0 and of"


def _not_positive(term: Any, **values: float) -> str | None:
    bad = [f"{n}={v:g}" for n, v in values.items() if not (np.isfinite(v) and v > 0)]
    return f"{bad[0]} is not positive; give it in the unit of {term.observable}" if bad else None
