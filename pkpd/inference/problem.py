"""A fit as one value: model, cohort, population, residual errors, and how to sample; checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpyro.distributions import Distribution

from pkpd.data import Cohort
from pkpd.errors import FitError, choices
from pkpd.inference.joint import bound
from pkpd.inference.observed_rows import observed_rows
from pkpd.inference.over_time import fitted_model, levels
from pkpd.inference.problem_checks import wrong_noise, wrong_parameters, wrong_rows
from pkpd.inference.published import Published
from pkpd.inference.quality import checked_quality
from pkpd.inference.summary_checks import check_shape
from pkpd.model import Model, Predictor, predictor
from pkpd.model.varying import VaryingModel
from pkpd.noise import Observation, ObservedRows, ResidualError, on_logs
from pkpd.population import Population
from pkpd.population.draw import columns
from pkpd.population.shrink import Horseshoe
from pkpd.population.table import in_words
from pkpd.solve import Solver

KERNELS = {"nuts": "NUTS", "hmc": "HMC (trajectories of random length)", "numpyro_nuts": "NUTS (NumPyro's)"}
"""What a chain may walk by, and its name in reports."""
ACCEPTANCE = {"nuts": 0.9, "hmc": 0.8, "numpyro_nuts": 0.9}
"""The acceptance a step is tuned to where none is given."""


@dataclass(frozen=True)
class Sampler:
    """How to sample: chains, draws and warm-up draws of each, target acceptance, and the largest tree depth; the kernel, and the rung of the ladder.

    `kernel` is "nuts" (BlackJAX's), "numpyro_nuts" (NumPyro's), or "hmc" with trajectories of random length and no tree (at most 2^max_tree_depth - 1 steps
    each). `target_accept` None stands for 0.9 with NUTS and 0.8 with HMC; `acceptance` is the number it comes to.

    `together` walks all chains in one program, as an accelerator wants it; None stands for that on an accelerator, and for a thread a chain on a CPU.

    `starts` is the number of places that the mode is looked for from: typical values, and draws of the prior; one where the warm-up has fewer than 200 draws.

    `quality` "draft" is an approximation in place of NUTS (`laplace`), "standard" these settings as they are, "final" a finer solver, longer chains, and more
    draws until 1000 are effective.

    >>> Sampler(chains=2).draws
    1000
    """

    chains: int = 4
    draws: int = 1000
    warmup: int = 1000
    target_accept: float | None = None
    max_tree_depth: int = 8
    quality: str = "standard"
    kernel: str = "nuts"
    together: Any = None
    starts: int = 4

    def __post_init__(self) -> None:
        checked_quality(self.quality)
        if self.kernel not in KERNELS:
            raise FitError(f"Sampler(kernel={self.kernel!r}) is not known. {choices(str(self.kernel), KERNELS)}")
        for name in ("chains", "draws", "warmup", "max_tree_depth", "starts"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise FitError(f"Sampler({name}={getattr(self, name)!r}): a whole number of at least 1 is needed.")
        if self.together not in (None, True, False):
            raise FitError(f"Sampler(together={self.together!r}): True, False or None is needed.")
        if not 0 < self.acceptance < 1:
            raise FitError(f"Sampler(target_accept={self.target_accept}): a number between 0 and 1 is needed.")

    @property
    def acceptance(self) -> float:
        """The acceptance that the step is tuned to."""
        return ACCEPTANCE[self.kernel] if self.target_accept is None else self.target_accept


def changed(sampler: Sampler, changes: Mapping[str, Any]) -> Sampler:
    """The sampler with other fields; another kernel takes its own usual acceptance unless one is given: what was tuned for NUTS wastes gradients of HMC."""
    other = changes.get("kernel", sampler.kernel) != sampler.kernel
    return replace(sampler, **(({"target_accept": None} if other else {}) | dict(changes)))


@dataclass(frozen=True, eq=False)
class Rows:
    """The scored rows of the long table as arrays: what the likelihood sees."""

    index: np.ndarray
    dv: np.ndarray
    cens: np.ndarray
    lower: np.ndarray
    logs: np.ndarray
    observable: np.ndarray


@dataclass(frozen=True, eq=False)
class FitProblem:
    """Everything a fit needs. `noise` maps each observable to its residual error; `arms` (name -> Regimen) are what-ifs run after the fit.

    `title` heads the report; `simulated` marks data that were simulated; `truth` (name -> value) is compared with the estimates;
    `assumptions` are printed. `summaries` [(SummaryArm, [term, ...]), ...] is what papers report of *other* patients, integrated over `summary_draws`
    virtual subjects an arm (more where their standard error asks for it). Raises `FitError` with every mismatch between the parts.
    """

    model: Model
    cohort: Cohort
    population: Population
    noise: Mapping[str, Observation]
    name: str = "fit"
    title: str = ""
    simulated: bool = False
    sampler: Sampler = Sampler()
    solver: Solver = Solver()
    truth: Mapping[str, float] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    what_if: Callable[[Any], Any] | None = None
    summaries: Sequence[Any] = ()
    summary_draws: int = 1024

    def __post_init__(self) -> None:
        check_shape(self.summaries)
        wrong = [*wrong_parameters(self), *wrong_noise(self)]
        if wrong:
            raise FitError(f"{self.name}: " + " ".join(wrong))
        wrong = wrong_rows(self)
        if wrong:
            more = f" ({len(wrong) - 5} more like these.)" if len(wrong) > 5 else ""
            raise FitError(f"{self.name}: " + " ".join(wrong[:5]) + more)
        if self.summaries:
            _ = self.published

    @cached_property
    def fitted_model(self) -> Model:
        """The model with what the population makes change within a subject."""
        return fitted_model(self.model, self.population, self.cohort)

    @cached_property
    def predictor(self) -> Predictor:
        at = self.population.at_medians(self.design, len(self.cohort.subjects))
        model = self.fitted_model
        more = [n for names in model.extra.values() for n in names] if isinstance(model, VaryingModel) else []
        return predictor(model, self.cohort, self.solver, free=(*self.population.parameters, *more), at=at, strict=True)

    @cached_property
    def design(self) -> dict[str, Any]:
        """Covariates by subject, and the levels of occasions and of what changes within a subject: what `Population.draw` reads."""
        return {**self.covariates, **self.levels}

    @cached_property
    def levels(self) -> dict[str, Any]:
        return levels(self.population, self.cohort)

    @cached_property
    def covariates(self) -> dict[str, np.ndarray]:
        return {
            n: self.cohort.covariates[n].to_numpy(float)
            for n in self.cohort.covariates.columns
            if self.cohort.covariates[n].dtype.kind in "fiu"
        }

    @cached_property
    def observed_names(self) -> list[str]:
        return [o for o in self.model.observable_names if o in self.noise]

    @cached_property
    def rows(self) -> Rows:
        """The scored rows."""
        table = self.cohort.observations.reset_index(drop=True)
        index = np.flatnonzero(table["scored"].to_numpy(bool))
        scored = table.iloc[index]
        names = scored["observable"].tolist()
        logs = np.array([on_logs(self.noise[o]) for o in names], bool)
        dv, cens = scored["dv"].to_numpy(float), scored["cens"].to_numpy(int)
        which = np.array([self.observed_names.index(o) for o in names], int)
        return Rows(index, dv, cens, scored["lower"].to_numpy(float), logs, which)

    @cached_property
    def observed_rows(self) -> dict[str, ObservedRows]:
        """The scored rows of each observable, as its law sees them."""
        return observed_rows(self.cohort, self.rows, self.observed_names, self.noise)

    @cached_property
    def observations(self) -> dict[str, Observation]:
        """`noise` bound to the rows."""
        return {o: self.noise[o].bound(self.observed_rows[o]) for o in self.observed_names}

    @cached_property
    def published(self) -> Published:
        """`summaries` bound to the population, `noise` and the solver."""
        return bound(self)

    @cached_property
    def residual_only(self) -> bool:
        """Whether every observation is a residual error alone."""
        return all(type(o) is ResidualError for o in self.observations.values())

    @property
    def plain(self) -> bool:
        """Whether all rows are one normal law: residual errors alone, and subjects of one kind."""
        return self.residual_only and self.population.mixture is None

    @cached_property
    def population_sites(self) -> list[str]:
        return self.population.sites(self.design) + [s for o in self.observed_names for s in self.observations[o].sites(o)]

    def site_unit(self, site: str) -> str:
        """Unit of a population-level site, for tables."""
        if site in self.model.param_names:
            return self.model.param(site).unit
        for o in self.model.observables:
            if (o.name in self.noise and site == f"sigma_add_{o.name}") or (
                site == f"sigma_{o.name}" and self.noise[o.name].kind == "additive"
            ):
                return o.unit
        return "1"

    def prior_text(self, site: str) -> str:
        """A prior in words and in the unit of its site: family, median and 90 % range (quantiles of 4000 draws with a fixed key)."""
        prior = self.prior_of(site)
        if not isinstance(prior, (Distribution, Horseshoe)):
            return f"LKJ({self._concentration(site):g})" if site.startswith("corr_") else "fixed"
        return in_words(prior)

    def _concentration(self, site: str) -> float:
        return next(g.concentration for g in self.population.correlation if site.startswith(tuple(f"corr_{n}_" for n in g.names)))

    def prior_of(self, site: str) -> Any:
        """The prior of a population-level site; None where it has none of its own."""
        parameters = self.population.parameters
        if site in parameters:
            return parameters[site].prior
        if site.startswith("omega_") and site.removeprefix("omega_") in parameters:
            return parameters[site.removeprefix("omega_")].between
        for name, spec in parameters.items():
            for word in ("gamma", "tau", "shape", "df"):
                prior = getattr(spec, word)
                if site == f"{word}_{name}" and isinstance(prior, Distribution):
                    return prior
            for e in spec.effects:
                if e.estimated and site in columns(name, e, self.design):
                    return e.beta
        mixture = self.population.mixture
        if mixture is not None and mixture.prior(site) is not None:
            return mixture.prior(site)
        if site.startswith("missing_"):
            return self.population.missing.get(site.removeprefix("missing_"))
        for h in self.population.horseshoes.values():
            if site in h.shared:
                return h.shared[site]
        for o, error in self.observations.items():
            for prefix, prior in error.priors:
                if site == f"{prefix}_{o}":
                    return prior
        return None
