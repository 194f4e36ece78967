"""Subpopulations: subjects of several kinds that nobody has labelled, with a share each and parameters shifted from kind to kind.

    P(z_i = k) = share_k,   g(theta_i) = g(theta) + sum beta x + shift_2 + ... + shift_z + omega eta_i

The kind z_i is never sampled with the other unknowns: the likelihood sums over it (`pkpd.noise.Mixed`). Individual parameters therefore come in
all kinds at once: `theta["CL"]` is that of the first, `theta["CL@2"]` that of the second; `theta["log_shares@"]` [K].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import Distribution

from pkpd.errors import FitError

SHARES = "log_shares@"


@dataclass(frozen=True, eq=False)
class Mixture:
    """`shares` is a Beta, a Dirichlet or K numbers; `steps` holds by parameter the K - 1 steps (priors or numbers) from one kind to the next."""

    shares: Any
    n: int
    steps: Mapping[str, tuple[Any, ...]]

    @property
    def priors(self) -> dict[str, Any]:
        """Priors and numbers by site: `share_2` of two kinds, `split_k` of more; `shift_<param>_<k>`."""
        steps = {f"shift_{p}_{k + 2}": x for p, given in self.steps.items() for k, x in enumerate(given)}
        return self._split | steps

    def prior(self, site: str) -> Any:
        """The prior of a site; of a deterministic share of several the Beta that the Dirichlet makes it."""
        if site in self.priors or not site.startswith("share_"):
            return self.priors.get(site)
        a = [float(x) for x in self.shares.concentration]
        own = a[int(site.removeprefix("share_")) - 1]
        return dist.Beta(own, sum(a) - own)

    @property
    def sites(self) -> list[str]:
        """Names of the sampled population-level sites; of more than two kinds also the deterministic `share_k`."""
        more = [f"share_{k}" for k in range(2, self.n + 1)] if self.n > 2 and isinstance(self.shares, Distribution) else []
        return more + [s for s, prior in self.priors.items() if isinstance(prior, Distribution)]

    @property
    def _split(self) -> dict[str, Any]:
        """A Dirichlet as independent Betas: `split_k` is the part of kind k in what kinds before it have left."""
        if not isinstance(self.shares, Distribution):
            return {}
        if isinstance(self.shares, dist.Beta):
            return {"share_2": self.shares}
        a = [float(x) for x in self.shares.concentration]
        if self.n == 2:
            return {"share_2": dist.Beta(a[1], a[0])}
        return {f"split_{k + 1}": dist.Beta(a[k], sum(a[k + 1 :])) for k in range(self.n - 1)}

    def values(self, value: Any) -> tuple[Any, dict[str, Any]]:
        """log shares [K], and each parameter's shift of every kind [K] (0 for the first); `value(site, prior)` gives a site's value."""
        found = {s: value(s, prior) for s, prior in self.priors.items()}
        steps = {p: jnp.stack([jnp.asarray(found[f"shift_{p}_{k + 2}"], float) for k in range(self.n - 1)]) for p in self.steps}
        return self._log_shares(found), {p: jnp.concatenate([jnp.zeros(1), jnp.cumsum(x)]) for p, x in steps.items()}

    def _log_shares(self, found: Mapping[str, Any]) -> Any:
        if not isinstance(self.shares, Distribution):
            return jnp.log(jnp.asarray(self.shares, float))
        if self.n == 2:
            return jnp.stack([jnp.log1p(-found["share_2"]), jnp.log(found["share_2"])])
        split = jnp.stack([found[f"split_{k + 1}"] for k in range(self.n - 1)])
        rest = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.log1p(-split))])
        return rest + jnp.concatenate([jnp.log(split), jnp.zeros(1)])

    def draw(self) -> tuple[Any, dict[str, Any]]:
        """Sample the shares and shifts inside a numpyro model."""
        sampled = lambda s, prior: numpyro.sample(s, prior) if isinstance(prior, Distribution) else prior  # noqa: E731
        log_shares, shifts = self.values(sampled)
        if self.n > 2 and isinstance(self.shares, Distribution):
            for k in range(1, self.n):
                numpyro.deterministic(f"share_{k + 1}", jnp.exp(log_shares[k]))
        return log_shares, shifts


def subpopulations(shares: Any, **steps: Any) -> Mixture:
    """Several kinds of subjects: P(kind k) = share_k, and from kind k-1 to k a parameter steps by shift_k on its transformed scale.

    `shares`: dist.Beta(a, b) as the prior of the second kind's share, dist.Dirichlet of K kinds, or K fixed shares that sum to 1.
    `steps`: by parameter the prior (or number) of the step, or K - 1 of them; exp(step) is the ratio of a lognormal parameter. The first
    parameter named orders the kinds, so its priors are of one sign (HalfNormal, for example): without an order the labels could be exchanged.
    Raises `FitError` for shares or steps that are none of this. The kind of a subject is summed over in the likelihood and drawn afterwards
    (`subpopulation` in the posterior). Source: as $MIXTURE of NONMEM; Carlsson et al. 2009, AAPS J 11:148.

    >>> subpopulations(dist.Beta(2, 2), CL=dist.HalfNormal(1.0)).sites
    ['share_2', 'shift_CL_2']
    """
    n = _kinds(shares)
    if not steps:
        raise FitError("subpopulations(...) names no parameter that differs; give one, as in CL=dist.HalfNormal(1.0).")
    found = {p: _steps(p, given, n) for p, given in steps.items()}
    first = next(iter(found))
    for prior in found[first]:
        if isinstance(prior, Distribution) and bool(prior.support(-1e-9)) and bool(prior.support(1e-9)):
            raise FitError(
                f"subpopulations({first}={type(prior).__name__}(...)): the first parameter orders the kinds, and this prior has both signs, so that their "
                "labels could be exchanged. Take dist.HalfNormal(1.0), for example."
            )
    return Mixture(shares, n, found)


def _kinds(shares: Any) -> int:
    if isinstance(shares, dist.Beta):
        return 2
    if isinstance(shares, dist.Dirichlet):
        return shares.event_shape[0]
    good = isinstance(shares, (tuple, list)) and len(shares) > 1 and all(isinstance(x, (int, float)) and 0 < x < 1 for x in shares)
    if not good or abs(sum(shares) - 1) > 1e-9:
        raise FitError(
            f"subpopulations({shares!r}): accepted are dist.Beta(a, b), dist.Dirichlet(...), or at least two shares that sum to 1."
        )
    return len(shares)


def _steps(name: str, given: Any, n: int) -> tuple[Any, ...]:
    steps = tuple(given) if isinstance(given, (tuple, list)) else (given,) * (n - 1)
    if len(steps) != n - 1 or not all(isinstance(x, (Distribution, int, float)) for x in steps):
        raise FitError(f"subpopulations({name}={given!r}): {n} kinds take a prior or a number, or {n - 1} of them.")
    return steps


def of_kind(theta: Mapping[str, Any], kind: int) -> dict[str, Any]:
    """Individual parameters as if every subject were of one kind (from 1)."""
    plain = {n: v for n, v in theta.items() if "@" not in n}
    return plain | {n.partition("@")[0]: v for n, v in theta.items() if n.endswith(f"@{kind}")}


def settled(theta: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Individual parameters with each subject of its own kind [N] (from 1); without subpopulations as they are."""
    if SHARES not in theta:
        return dict(theta)
    found = of_kind(theta, 1)
    for name in [n for n in theta if n != SHARES and "@" in n]:
        plain, _, k = name.partition("@")
        found[plain] = jnp.where(jnp.asarray(kind) == int(k), theta[name], found[plain])
    return found


def drawn_kind(theta: Mapping[str, Any], key: Any, n: int) -> dict[str, Any]:
    """`settled` with kinds drawn by their shares for n subjects: new ones, of whom nothing is known."""
    if SHARES not in theta:
        return dict(theta)
    return settled(theta, 1 + jax.random.categorical(key, theta[SHARES], shape=(n,)))
