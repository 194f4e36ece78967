"""Building blocks of a population for hand-written numpyro models; `Population` draws by the same ones."""

from __future__ import annotations

from math import factorial
from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from pkpd.errors import FitError, choices
from pkpd.population.power import power


def iiv(name: str, mean: Any, omega: Any, n: int, weight: Any = 0.0, df: Any = None) -> Any:
    """phi_i ~ N(m_i, omega) on the transformed scale [n], sampled as raw_<name> ~ N(w m, omega^w), phi = m + omega^(1-w) (raw - w m).

    `mean` is a number or [n]; `weight` is 0 (non-centred) to 1 (centred), a number or [n]. With `df`, Student's t of that many degrees of
    freedom in the place of the normal: its location and scale are moved in the same way.
    Source: Papaspiliopoulos, Roberts & Skold 2007, Stat Sci 22:59.
    """
    m = jnp.broadcast_to(mean, (n,))
    at, scale = weight * m, power(omega, weight)
    law = dist.Normal(at, scale) if df is None else dist.StudentT(df, at, scale)
    raw = numpyro.sample(f"raw_{name}", law.to_event(1))
    return m + power(omega, 1.0 - weight) * (raw - weight * m)


def iov(name: str, gamma: Any, n: int, levels: int) -> Any:
    """kappa_ik = gamma z_ik [n, levels], z from the site raw_occ_<name>, standard normal: the deviation at each occasion."""
    return gamma * numpyro.sample(f"raw_occ_{name}", dist.Normal(jnp.zeros((n, levels)), 1.0).to_event(2))


def across(name: str, tau: Any, levels: int) -> Any:
    """lambda_s = tau z_s [levels], z from the site raw_across_<name>, standard normal; also the deterministic site lambda_<name>.

    The deviation of each level (study, centre) of a grouping of subjects: lambda[s] with the level s [n] of each subject goes into its mean.
    """
    raw = numpyro.sample(f"raw_across_{name}", dist.Normal(jnp.zeros(levels), 1.0).to_event(1))
    return numpyro.deterministic(f"lambda_{name}", tau * raw)


def boxcox_eta(eta: Any, shape: Any) -> Any:
    """(exp(shape eta) - 1) / shape, and eta itself at shape 0, with every derivative: a series in shape eta where that is small.

    >>> float(boxcox_eta(0.5, 0.0))
    0.5
    """
    x = jnp.asarray(shape * eta, float)
    small = jnp.abs(x) < 0.3
    series = jnp.polyval(jnp.asarray([1.0 / factorial(k + 1) for k in range(14, -1, -1)]), jnp.where(small, x, 0.0))
    safe = jnp.where(small, 1.0, x)
    return eta * jnp.where(small, series, jnp.expm1(safe) / safe)


def covariate_effect(x: Any, reference: float, beta: Any, kind: str = "power") -> Any:
    """What a covariate adds on the transformed scale: power beta log(x/ref), exponential beta (x - ref), categorical beta [x != ref].

    >>> float(covariate_effect(3.0, 1.0, 0.5, "exponential"))
    1.0
    """
    x = jnp.asarray(x, float)
    made = {"power": lambda: jnp.log(x / reference), "exponential": lambda: x - reference, "categorical": lambda: (x != reference) * 1.0}
    if kind not in made:
        raise FitError(f"covariate_effect(kind={kind!r}) is not known. {choices(kind, made)}")
    return beta * made[kind]()
