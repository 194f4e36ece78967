"""The middle of a prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from numpyro.distributions import Distribution, ExpandedDistribution, HalfNormal, Independent, LogNormal, Normal, StudentT

PLAIN: dict[type, Callable[[Any], Any]] = {
    Normal: lambda fn: fn.loc,
    LogNormal: lambda fn: jnp.exp(fn.loc),
    HalfNormal: lambda fn: 0.6744897501960817 * fn.scale,
}
"""Those of common priors, without a quantile function run step by step."""


def median(fn: Distribution) -> Any:
    """The median of a prior: by its quantile function, else from 4001 draws with a fixed key."""
    if (plain := PLAIN.get(type(fn))) is not None:
        return jnp.broadcast_to(
            jnp.asarray(plain(fn), float), fn.batch_shape
        )  # Normal(0, 10) has an integer there, and coordinates take its type
    try:
        return fn.icdf(0.5)
    except (NotImplementedError, ImportError):
        return jnp.median(fn.sample(jax.random.PRNGKey(1), (4001,)), axis=0)


def typical_value(site: Mapping[str, Any]) -> Any:
    """What a sampled site takes at the typical subject: medians, random effects at their location, correlations at none."""
    if site["type"] != "sample" or site.get("is_observed"):
        return None
    if site["name"].startswith(("raw_", "chol_")):
        fn = site["fn"]
        return jnp.eye(fn.event_shape[-1]) if site["name"].startswith("chol_") else _location(fn)
    if site["name"].startswith("missing_"):
        return jnp.broadcast_to(median(_one(site["fn"])), site["fn"].shape())
    return median(site["fn"])


def _location(fn: Any) -> Any:
    """Its mean, and for a Student's t, which has none at 1 degree of freedom and below, its centre."""
    base = getattr(fn, "base_dist", fn)
    return jnp.broadcast_to(base.loc, fn.shape()) if isinstance(base, StudentT) else fn.mean


def _one(fn: Any) -> Any:
    """The law of one value of a vector of alike values: only that has a quantile function."""
    return _one(fn.base_dist) if isinstance(fn, (Independent, ExpandedDistribution)) else fn
