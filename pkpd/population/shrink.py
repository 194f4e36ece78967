"""The regularised horseshoe: one prior for the coefficients of many candidate covariates, most of which are thought to do nothing.

Sites: `shrink_<name>` (tau) and `slab_<name>` (c^2) once, `local_<beta site>` (lambda) and `raw_<beta site>` (z) of each coefficient, whose
value is the deterministic `beta_<param>_<covariate>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import Distribution

from pkpd.errors import FitError

PER_SUBJECT, COEFFICIENT = ("raw_", "missing_"), "raw_beta_"
KEPT = ("raw_", "chol_", "local_", "missing_")
"""Sites that a fit keeps besides those of its tables: with those they are all that was sampled."""
SHARED = ("shrink_", "local_", "slab_")


def of_subjects(site: str) -> bool:
    """Whether a sampled site belongs to the subjects, so that new ones draw their own: not the z of a shrunk coefficient.

    >>> of_subjects("raw_CL"), of_subjects("raw_beta_CL_WT"), of_subjects("omega_CL")
    (True, False, False)
    """
    return site.startswith(PER_SUBJECT) and not site.startswith(COEFFICIENT)


@dataclass(frozen=True, eq=False)
class Horseshoe:
    """A prior of coefficients that share tau and c^2; made by `horseshoe`."""

    scale: float
    slab: float
    name: str

    @property
    def shared(self) -> dict[str, Distribution]:
        """Priors by site of what all its coefficients share."""
        return {f"shrink_{self.name}": dist.HalfCauchy(self.scale), f"slab_{self.name}": dist.InverseGamma(2.0, 2.0 * self.slab**2)}

    def sample(self, key: Any, shape: tuple[int, ...] = ()) -> Any:
        """Draws of one coefficient from its prior, tau and c^2 drawn with each."""
        keys = jax.random.split(key, 4)
        tau, c2 = (law.sample(k, shape) for law, k in zip(self.shared.values(), keys[:2], strict=True))
        return dist.Normal().sample(keys[2], shape) * spread(tau, dist.HalfCauchy(1.0).sample(keys[3], shape), c2)


def horseshoe(scale: float, slab: float = 1.0, name: str = "horseshoe") -> Horseshoe:
    """A prior of many covariate effects that leaves few of them large; stands wherever an effect takes a distribution.

    beta_j = z_j w_j,  w_j^2 = c^2 tau^2 lambda_j^2 / (c^2 + tau^2 lambda_j^2),  z_j ~ N(0, 1),  lambda_j ~ HalfCauchy(1),
    tau ~ HalfCauchy(scale),  c^2 ~ InverseGamma(2, 2 slab^2): a coefficient that escapes has a Student-t prior, 4 degrees of freedom, scale slab.

    `scale`: of tau, from `horseshoe_scale`. `slab`: how large an effect may be, on the transformed scale. `name` marks the sites
    `shrink_<name>` and `slab_<name>`. Give the same object to all candidates, of several parameters too. All betas are taken to be of one
    size, so covariates need a common scale: give slopes in standard deviations, `.effect("AGE", reference=40, slope=hs, per=12)`; the
    coefficient is then the change of g(theta) per 12 of AGE. Raises `FitError` for a scale or slab that is not a positive number.

    >>> import numpyro.distributions as dist
    >>> from pkpd import lognormal
    >>> hs = horseshoe(horseshoe_scale(2, 8, 40, 0.3))
    >>> CL = lognormal(dist.LogNormal(1.0, 0.5)).effect("AGE", reference=40, slope=hs, per=12).effect("SEX", reference=0, prior=hs)
    >>> [e.beta is hs for e in CL.effects]
    [True, True]

    Source: Piironen & Vehtari 2017, Electron J Stat 11:5018.
    """
    for word, value in (("scale", scale), ("slab", slab)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise FitError(
                f"horseshoe({word}={value!r}): a positive number is needed; horseshoe_scale(...) gives a scale, slab=1 is common."
            )
    if not isinstance(name, str) or not name.isidentifier():
        raise FitError(f"horseshoe(name={name!r}): a name of letters, digits and _ is needed; its sites are shrink_<name> and slab_<name>.")
    return Horseshoe(float(scale), float(slab), name)


def horseshoe_scale(expected: float, candidates: int, n: int, sd: float) -> float:
    """The scale of tau that expects `expected` of `candidates` effects: tau_0 = expected / (candidates - expected) sd / sqrt(n).

    `n`: subjects. `sd`: of what the effects explain, on the transformed scale: near omega of the parameter without covariates. Raises `FitError`
    for numbers that do not fit. Source: Piironen & Vehtari 2017, Electron J Stat 11:5018, eq. 3.12.

    >>> round(horseshoe_scale(2, 8, 36, 0.3), 6)
    0.016667
    """
    if not 0 < expected < candidates:
        raise FitError(f"horseshoe_scale(expected={expected!r}, candidates={candidates!r}): expected lies between 0 and candidates.")
    if not (n >= 1 and sd > 0):
        raise FitError(f"horseshoe_scale(n={n!r}, sd={sd!r}): at least one subject and a positive standard deviation are needed.")
    return expected / (candidates - expected) * sd / sqrt(n)


def spread(tau: Any, local: Any, c2: Any) -> Any:
    """w = c m / sqrt(c^2 + m^2), m = tau lambda: the sd of a coefficient given the rest.

    Written with the smaller of m and c over the larger, so that neither squares: finite, with finite derivatives, also where m is 0 and where either is vast.

    >>> float(spread(1e200, 1e50, 4.0)), float(spread(0.0, 1.0, 4.0))
    (2.0, 0.0)
    """
    m, c = tau * local, jnp.sqrt(c2)
    low, high = jnp.minimum(m, c), jnp.maximum(m, c)
    return low / jnp.sqrt(1.0 + (low / high) ** 2)


def shared_sites(horseshoes: Mapping[str, Horseshoe]) -> dict[str, tuple[Any, ...]]:
    """tau and c^2 of each horseshoe by name, sampled."""
    return {n: tuple(numpyro.sample(site, law) for site, law in h.shared.items()) for n, h in horseshoes.items()}


def coefficient(site: str, h: Horseshoe, shared: Mapping[str, tuple[Any, ...]]) -> Any:
    """beta of one effect, sampled."""
    tau, c2 = shared[h.name]
    local = numpyro.sample(f"local_{site}", dist.HalfCauchy(1.0))
    z = numpyro.sample(f"raw_{site}", dist.Normal(0.0, 1.0))
    return numpyro.deterministic(site, z * spread(tau, local, c2))


def stored_coefficient(site: str, h: Horseshoe, sites: Mapping[str, Any]) -> Any:
    """beta from values of the sites: its own, or those it is made of."""
    if site in sites:
        return sites[site]
    return sites[f"raw_{site}"] * spread(sites[f"shrink_{h.name}"], sites[f"local_{site}"], sites[f"slab_{h.name}"])


def horseshoes(betas: Any) -> dict[str, Horseshoe]:
    """Those among the coefficients, by name; `FitError` where two of one name differ."""
    found: dict[str, Horseshoe] = {}
    for h in (b for b in betas if isinstance(b, Horseshoe)):
        if found.setdefault(h.name, h) is not h:
            raise FitError(
                f"Two horseshoes are called '{h.name}'. Give the same object to all effects that share it, or name them: "
                f"horseshoe(..., name='{h.name}_2')."
            )
    return found
