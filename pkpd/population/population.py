"""A population: how each named parameter varies, and which random effects are correlated. Sampling is plain numpyro.

Sites (public, stable): `<param>` typical value in its unit, `omega_<param>`, `beta_<param>_<covariate>`, `corr_<a>_<b>`;
per subject the deterministic `<param>_i` and `eta_<param>` (standardised random effect omega eta, on the transformed scale).
`raw_<param>` is the sampler's own coordinate: with centring weight w,
    raw_i ~ N(w m_i, omega^w),  phi_i = m_i + omega^(1-w) (raw_i - w m_i)
so w = 1 is centred, w = 0 non-centred, and the law of phi_i is N(m_i, omega) for any w (Papaspiliopoulos 2007; Gorinova 2020).
A correlated group does the same column by column, its raw_i joined by the correlation's Cholesky factor; each parameter keeps its own w.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro import handlers
from numpyro.distributions import Distribution

from pkpd.errors import FitError, choices
from pkpd.population.medians import typical_value
from pkpd.population.parameters import Individual


@dataclass(frozen=True, eq=False)
class Correlation:
    """Random effects that vary together: names, and the LKJ concentration (1 uniform, larger towards none)."""

    names: tuple[str, ...]
    concentration: float = 2.0


class Population:
    """How parameters vary over subjects, by name; a parameter not named stays at the model's typical value.

    Write `Population(CL=lognormal(...), V=lognormal(...), correlation=("CL", "V"))`; `correlation` is one group of names, or a
    `Correlation`, or a sequence of those. Raises `FitError` for names that do not fit.

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal
    >>> Population(CL=lognormal(dist.LogNormal(1.0, 0.5), between=dist.HalfNormal(0.5))).varying
    ('CL',)
    """

    def __init__(self, correlation: Any = (), **parameters: Any):  # Individual, checked with a sentence
        wrong = [n for n, v in parameters.items() if not isinstance(v, Individual)]
        if wrong:
            raise FitError(
                f"Population({wrong[0]}=...) takes lognormal(...), logit_normal(...), normal(...), fixed(...) or tied(...), not {parameters[wrong[0]]!r}."
            )
        self.parameters: dict[str, Individual] = dict(parameters)
        self.correlation = _groups(correlation)
        self._check()

    def _check(self) -> None:
        used: list[str] = []
        for group in self.correlation:
            for name in group.names:
                if name not in self.varying:
                    raise FitError(
                        f"correlation names '{name}', which has no between-subject variability here. {choices(name, self.varying)}"
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

    @property
    def varying(self) -> tuple[str, ...]:
        """Parameters with between-subject variability, in order."""
        return tuple(n for n, v in self.parameters.items() if v.varies)

    @property
    def estimated(self) -> tuple[str, ...]:
        """Parameters whose typical value has a prior, in order."""
        return tuple(n for n, v in self.parameters.items() if v.prior is not None)

    def at_medians(self, covariates: Mapping[str, np.ndarray], n_subjects: int) -> dict[str, np.ndarray]:
        """Each parameter of each subject [N] with every prior at its median and no random effect, covariate effects included."""
        with jax.ensure_compile_time_eval():  # numbers, also when asked for while a model is traced
            quiet = handlers.seed(handlers.substitute(self.draw, substitute_fn=typical_value), jax.random.PRNGKey(0))
            with handlers.block():
                found = quiet(covariates, n_subjects, {})
        return {n: np.broadcast_to(np.asarray(v, float), (n_subjects,)) for n, v in found.items()}

    def sites(self, covariates: Mapping[str, np.ndarray]) -> list[str]:
        """Names of the population-level sites, in report order."""
        names = list(self.estimated)
        names += [
            f"beta_{n}_{c}"
            for n, v in self.parameters.items()
            for e in v.effects
            if e.estimated
            for c in e.columns(covariates[e.covariate])
        ]
        names += [f"omega_{n}" for n in self.varying if isinstance(self.parameters[n].between, Distribution)]
        return names + [f"corr_{a}_{b}" for g in self.correlation for i, a in enumerate(g.names) for b in g.names[i + 1 :]]

    def draw(self, covariates: Mapping[str, np.ndarray], n_subjects: int, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Sample every site inside a numpyro model and return individual parameters [N] (or one number where nothing varies)."""
        means = {n: self._mean(n, v, covariates) for n, v in self.parameters.items() if v.tied_to is None}
        phi = dict(means)
        grouped = {n for g in self.correlation for n in g.names}
        for group in self.correlation:
            phi.update(self._draw_group(group, means, n_subjects, weights))
        for name in self.varying:
            if name not in grouped:
                phi[name] = _draw_one(name, means[name], self._omega(name), n_subjects, weights.get(name, 0.0))
        theta = {n: self.parameters[n].back(x) for n, x in phi.items()}
        for name in self.varying:
            numpyro.deterministic(f"eta_{name}", phi[name] - means[name])
            numpyro.deterministic(f"{name}_i", theta[name])
        return self._with_tied(theta)

    def typical(self, sites: Mapping[str, Any], covariates: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Parameters of a typical subject (eta = 0) with each subject's covariates, from values of the population sites."""
        theta = {}
        for n, v in self.parameters.items():
            if v.tied_to is None:
                m = v.forward(sites[n] if v.prior is not None else v.value)
                theta[n] = v.back(
                    m + sum(b * x for b, x in self._effects(n, v, covariates, lambda s, e: sites[s] if e.estimated else e.beta))
                )
        return self._with_tied(theta)

    def _with_tied(self, theta: dict[str, Any]) -> dict[str, Any]:
        return theta | {n: v.times * theta[v.tied_to] for n, v in self.parameters.items() if v.tied_to is not None}

    def _mean(self, name: str, spec: Individual, covariates: Mapping[str, np.ndarray]) -> Any:
        typical = numpyro.sample(name, spec.prior) if spec.prior is not None else jnp.asarray(spec.value)
        sample = lambda site, e: numpyro.sample(site, e.beta) if e.estimated else e.beta  # noqa: E731
        return spec.forward(typical) + sum(b * x for b, x in self._effects(name, spec, covariates, sample))

    def _effects(self, name: str, spec: Individual, covariates: Mapping[str, np.ndarray], beta: Any) -> list[tuple[Any, np.ndarray]]:
        columns = [(f"beta_{name}_{c}", e, x) for e in spec.effects for c, x in e.columns(np.asarray(covariates[e.covariate])).items()]
        return [(beta(site, e), x) for site, e, x in columns]

    def _omega(self, name: str) -> Any:
        between = self.parameters[name].between
        return numpyro.sample(f"omega_{name}", between) if isinstance(between, Distribution) else jnp.asarray(float(between))

    def _draw_group(self, group: Correlation, means: Mapping[str, Any], n: int, weights: Mapping[str, Any]) -> dict[str, Any]:
        names, label = group.names, "_".join(group.names)
        omega = jnp.stack([self._omega(x) for x in names])
        chol: Any = numpyro.sample(f"chol_{label}", dist.LKJCholesky(len(names), group.concentration))
        corr = chol @ chol.T
        for i, a in enumerate(names):
            for j in range(i + 1, len(names)):
                numpyro.deterministic(f"corr_{a}_{names[j]}", corr[i, j])
        m = jnp.stack([jnp.broadcast_to(means[x], (n,)) for x in names], -1)
        w = jnp.stack([jnp.asarray(weights.get(x, 0.0), float) for x in names])
        raw = numpyro.sample(f"raw_{label}", dist.MultivariateNormal(w * m, scale_tril=(omega**w)[:, None] * chol).to_event(1))
        phi = m + omega ** (1.0 - w) * (raw - w * m)
        return {x: phi[:, i] for i, x in enumerate(names)}


def _draw_one(name: str, mean: Any, omega: Any, n: int, w: Any) -> Any:
    m = jnp.broadcast_to(mean, (n,))
    raw = numpyro.sample(f"raw_{name}", dist.Normal(w * m, omega**w).to_event(1))
    return m + omega ** (1.0 - w) * (raw - w * m)


def _groups(given: Any) -> tuple[Correlation, ...]:
    if isinstance(given, Correlation):
        return (given,)
    if isinstance(given, Sequence) and given and all(isinstance(x, str) for x in given):
        return (Correlation(tuple(given)),) if len(given) > 1 else _refuse(given)
    return tuple(g for x in given for g in _groups(x))


def _refuse(given: Any) -> Any:
    raise FitError(f"A correlation joins at least two parameters; got {list(given)}.")
