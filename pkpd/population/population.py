"""A population: how each named parameter varies, and which random effects are correlated. Sampling is plain numpyro.

Sites (public, stable): `<param>` typical value in its unit, `omega_<param>`, `beta_<param>_<covariate>`, `corr_<a>_<b>`, with occasions
`gamma_<param>`, across levels `tau_<param>`, with a Box-Cox eta `shape_<param>`, with Student's t eta `df_<param>`, with a horseshoe `shrink_<name>`
and `slab_<name>`; `missing_<covariate>` of the subjects who lack it, in their order;
per subject the deterministic `<param>_i` and `eta_<param>` (random effect omega eta, on the transformed scale;
of a Box-Cox parameter the normal eta before it is bent). `raw_occ_<param>` [N, K] are standard normal, and `raw_across_<param>` [S],
of which the deterministic `lambda_<param>` [S] is made.
`raw_<param>` is the sampler's own coordinate: with centring weight w,
    raw_i ~ N(w m_i, omega^w),  phi_i = m_i + omega^(1-w) (raw_i - w m_i)
so w = 1 is centred, w = 0 non-centred, and the law of phi_i is N(m_i, omega) for any w (Papaspiliopoulos et al. 2007, Stat Sci 22:59; Gorinova et al. 2020).
A correlated group does the same one effect after another, those with large weights first: m_i and omega are then the mean and spread of phi_i given
the effects before it (`partly_centred.py`); each parameter keeps its own w.
With subpopulations (`mixture.py`) besides `share_2` and `shift_<param>_<k>`; `<param>_i` is then told for the subject's own kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpyro
from numpyro import handlers
from numpyro.distributions import Distribution

from pkpd.errors import FitError, choices
from pkpd.population import draw as parts
from pkpd.population import missing as imputation
from pkpd.population.blocks import iiv
from pkpd.population.medians import typical_value
from pkpd.population.mixture import SHARES, Mixture
from pkpd.population.parameters import Individual
from pkpd.population.shrink import Horseshoe, horseshoes, shared_sites, stored_coefficient


@dataclass(frozen=True, eq=False)
class Correlation:
    """Random effects that vary together: names, and the LKJ concentration (1 uniform, larger towards none)."""

    names: tuple[str, ...]
    concentration: float = 2.0


class Population:
    """How parameters vary over subjects, by name; a parameter not named stays at the model's typical value.

    Write `Population(CL=lognormal(...), V=lognormal(...), correlation=("CL", "V"))`; `correlation` is one group of names, or a
    `Correlation`, or a sequence of those; `mixture` is `subpopulations(...)` where subjects are of unknown kinds. `missing` maps a covariate to the
    prior of its value in a subject who lacks it (NaN), which is then a parameter: `missing={"WT": dist.LogNormal(4.25, 0.2)}`. Raises `FitError`
    for names and priors that do not fit.

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal
    >>> Population(CL=lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5))).varying
    ('CL',)
    """

    def __init__(
        self, correlation: Any = (), mixture: Any = None, missing: Any = (), **parameters: Any
    ):  # Individual, checked with a sentence
        wrong = [n for n, v in parameters.items() if not isinstance(v, Individual)]
        if wrong:
            raise FitError(
                f"Population({wrong[0]}=...) takes lognormal(...), logit_normal(...), normal(...), fixed(...) or tied(...), not {parameters[wrong[0]]!r}."
            )
        self.parameters: dict[str, Individual] = dict(parameters)
        if not isinstance(mixture, Mixture | None):
            raise FitError(f"Population(mixture={mixture!r}) takes subpopulations(shares, CL=prior), not {type(mixture).__name__}.")
        self.correlation = _groups(correlation)
        self.mixture: Mixture | None = mixture
        self.missing = imputation.checked(missing, parameters)
        self.horseshoes: dict[str, Horseshoe] = horseshoes(e.beta for v in parameters.values() for e in v.effects)
        self._check()

    def _check(self) -> None:
        used: list[str] = []
        for group in self.correlation:
            for name in group.names:
                if name not in self.varying:
                    raise FitError(
                        f"correlation names '{name}', which has no between-subject variability here. {choices(name, self.varying)}"
                    )
                if self.parameters[name].df is not None:
                    raise FitError(
                        f"'{name}' has etas of Student's t and stands in the correlation group ({', '.join(group.names)}), whose etas are normal. "
                        f"Take '{name}' out of the group, or leave its .tails(...) out."
                    )
            used += group.names
        twice = sorted({n for n in used if used.count(n) > 1})
        if twice:
            raise FitError(f"'{twice[0]}' stands in two correlation groups; put all its partners into one.")
        for name, spec in self.parameters.items():
            target = spec.tied_to
            if target is not None and (target not in self.parameters or self.parameters[target].tied_to):
                raise FitError(
                    f"'{name}' is tied to '{target}', which is not a free or fixed parameter of this Population. {choices(target, self.parameters)}"
                )
            if target in self.occasions:
                raise FitError(_loose(name, target, f"varies over '{self.occasions[target]}'"))
        self._check_mixture()

    def _check_mixture(self) -> None:
        free = [n for n, v in self.parameters.items() if v.tied_to is None]
        for name in self.mixture.steps if self.mixture else ():
            if name not in free:
                raise FitError(
                    f"subpopulations names '{name}', which is not a free or fixed parameter of this Population. {choices(name, free)}"
                )

    @property
    def varying(self) -> tuple[str, ...]:
        """Parameters with between-subject variability, in order."""
        return tuple(n for n, v in self.parameters.items() if v.varies)

    @property
    def estimated(self) -> tuple[str, ...]:
        """Parameters whose typical value has a prior, in order."""
        return tuple(n for n, v in self.parameters.items() if v.prior is not None)

    @property
    def occasions(self) -> dict[str, str]:
        """The column of occasions by parameter that varies over one."""
        return {n: v.occasion for n, v in self.parameters.items() if v.occasion is not None}

    @property
    def levels(self) -> dict[str, str]:
        """The column of levels by parameter that varies across one."""
        return {n: v.level for n, v in self.parameters.items() if v.level is not None}

    def at_medians(self, covariates: parts.Covariates, n_subjects: int) -> dict[str, np.ndarray]:
        """Each parameter of each subject [N] with every prior at its median and no random effect (kappa 0, lambda 0), covariate effects included.

        With subpopulations: of the first kind.
        """
        with jax.ensure_compile_time_eval():  # numbers, also when asked for while a model is traced
            quiet = handlers.seed(handlers.substitute(self.draw, substitute_fn=typical_value), jax.random.PRNGKey(0))
            with handlers.block():
                found = quiet(covariates, n_subjects, {})
        return {n: np.broadcast_to(np.asarray(v, float), (n_subjects,)) for n, v in found.items() if "@" not in n}

    def sites(self, covariates: parts.Covariates) -> list[str]:
        """Names of the population-level sites, in report order."""
        all_of = self.parameters.items()
        names = list(self.estimated)
        names += [s for n, v in all_of for e in v.effects if e.estimated for s in parts.columns(n, e, covariates)]
        for word, prior in (("omega", "between"), ("gamma", "gamma"), ("tau", "tau"), ("shape", "shape"), ("df", "df")):
            names += [f"{word}_{n}" for n, v in all_of if isinstance(getattr(v, prior), Distribution)]
        names += self.mixture.sites if self.mixture else []
        names += [s for h in self.horseshoes.values() for s in h.shared]
        return names + [f"corr_{a}_{b}" for g in self.correlation for i, a in enumerate(g.names) for b in g.names[i + 1 :]]

    def draw(self, covariates: parts.Covariates, n_subjects: int, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Sample every site inside a numpyro model and return individual parameters [N] (or one number where nothing varies).

        Besides: `kappa_<param>_<k>` [N] for each of the sorted `covariates["levels:<column>"]` of a parameter with occasions, and
        `slope_<param>_<covariate>` for each covariate in `covariates["changing"]`, whose effect is then not in the parameter.
        A parameter that varies across a column reads each subject's level in `covariates[column]`; levels beyond `covariates["levels:<column>"]`
        are new ones.
        """
        self._check_changing(covariates)
        covariates = imputation.filled(self.parameters, self.missing, covariates, imputation.drawn(self.missing))
        shared = shared_sites(self.horseshoes)
        made = {n: parts.mean(n, v, covariates, shared) for n, v in self.parameters.items() if v.tied_to is None}
        means = {n: m for n, (m, _) in made.items()}
        phi, theta = means | self._phi(means, n_subjects, weights), {}
        for n, m in means.items():
            spec = self.parameters[n]
            phi[n], eta = parts.bent(n, spec, m, phi[n])
            theta[n] = spec.back(phi[n])
            if spec.varies:
                numpyro.deterministic(f"eta_{n}", eta)
                numpyro.deterministic(f"{n}_i", theta[n])
        more = {k: v for _, slopes in made.values() for k, v in slopes.items()}
        for n in self.occasions:
            more |= parts.occasions(n, self.parameters[n], covariates, n_subjects)
        return self._in_kinds(theta, self.mixture.draw() if self.mixture else None) | more

    def typical(self, sites: Mapping[str, Any], covariates: parts.Covariates) -> dict[str, Any]:
        """Parameters of a typical subject (eta = 0, lambda = 0) with each subject's covariates, and slopes as from `draw`, from values of the sites."""
        self._check_changing(covariates)
        covariates = imputation.filled(self.parameters, self.missing, covariates, imputation.stored(sites))
        theta, more = {}, {}
        for n, v in self.parameters.items():
            if v.tied_to is None:
                m = v.forward(sites[n] if v.prior is not None else v.value)
                added, slopes = parts.effects(n, v, covariates, lambda s, e: _stored(s, e.beta, e.estimated, sites))
                theta[n], more = v.back(m + added), more | slopes
        kinds = self.mixture.values(lambda s, prior: sites.get(s, prior)) if self.mixture else None
        return self._in_kinds(theta, kinds) | more

    def _in_kinds(self, theta: dict[str, Any], kinds: tuple[Any, dict[str, Any]] | None) -> dict[str, Any]:
        """Tied parameters added; and where there are subpopulations, what differs in each of them as `<param>@<k>`."""
        found = self._with_tied(theta)
        if kinds is None:
            return found
        log_shares, shifts = kinds
        for k in range(1, len(log_shares)):
            spec = self.parameters
            moved = {n: spec[n].back(spec[n].forward(theta[n]) + x[k]) for n, x in shifts.items()}
            other = self._with_tied(theta | moved)
            found |= {f"{n}@{k + 1}": other[n] for n in other if n in moved or spec[n].tied_to in moved}
        return found | {SHARES: log_shares}

    def _with_tied(self, theta: dict[str, Any]) -> dict[str, Any]:
        return theta | {n: v.times * theta[v.tied_to] for n, v in self.parameters.items() if v.tied_to is not None}

    def _check_changing(self, covariates: parts.Covariates) -> None:
        for name, spec in self.parameters.items():
            for e in self.parameters[spec.tied_to].effects if spec.tied_to is not None else ():
                if parts.changes(e, covariates):
                    raise FitError(_loose(name, str(spec.tied_to), f"has an effect of {e.covariate}, which changes within a subject"))

    def _phi(self, means: Mapping[str, Any], n: int, weights: Mapping[str, Any]) -> dict[str, Any]:
        """phi [n] of each varying parameter; with a Box-Cox shape eta itself, non-centred: mean 0 and weight 0."""
        bends = {x for x in self.varying if self.parameters[x].shape is not None}
        means = dict(means) | dict.fromkeys(bends, 0.0)
        weights = {x: w for x, w in weights.items() if x not in bends}
        omega = lambda x: parts.sampled(f"omega_{x}", self.parameters[x].between)  # noqa: E731
        phi = {}
        for g in self.correlation:
            phi |= parts.group(g.names, g.concentration, [omega(x) for x in g.names], [means[x] for x in g.names], n, weights)
        for x in self.varying:
            if x not in phi:
                df = self.parameters[x].df
                phi[x] = iiv(x, means[x], omega(x), n, weights.get(x, 0.0), None if df is None else parts.sampled(f"df_{x}", df))
        return phi


def _stored(site: str, beta: Any, estimated: bool, sites: Mapping[str, Any]) -> Any:
    if isinstance(beta, Horseshoe):
        return stored_coefficient(site, beta, sites)
    return sites[site] if estimated else beta


def _loose(name: str, target: str, how: str) -> str:
    return (
        f"'{name}' is tied to '{target}', which {how}, while a tied parameter takes one value a subject. "
        f"Give '{name}' a prior of its own, or let a component read '{target}' in its place."
    )


def _groups(given: Any) -> tuple[Correlation, ...]:
    if isinstance(given, Correlation):
        return (given,)
    if isinstance(given, Sequence) and given and all(isinstance(x, str) for x in given):
        return (Correlation(tuple(given)),) if len(given) > 1 else _refuse(given)
    return tuple(g for x in given for g in _groups(x))


def _refuse(given: Any) -> Any:
    raise FitError(f"A correlation joins at least two parameters; got {list(given)}.")
