"""The log prior density of each population site at each draw: what power-scaling of the prior needs."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import xarray as xr
from numpyro.distributions import Distribution, biject_to

from pkpd.inference.problem import FitProblem


def log_prior(problem: FitProblem, posterior: xr.Dataset) -> xr.Dataset:
    """log p [chain, draw] of every population site with a prior of its own, and of each correlation matrix (at `chol_<names>`).

    Typical values are read on their unconstrained scale (ln of a positive one, logit of a fraction), spreads and effects as they are: the power a of a
    lognormal prior then divides its log sd by sqrt(a) and leaves its median, and that of a half-normal one its scale. Random effects and coefficients
    under a horseshoe are no priors here: their law is part of the model. Shares that were made of others (`split_<k>`) have none beside those.
    """
    found, mixture = {}, problem.population.mixture
    for site in problem.population_sites:
        prior = problem.prior_of(site)
        made = mixture is not None and site.startswith("share_") and site not in mixture.priors
        if isinstance(prior, Distribution) and site in posterior and not made:
            found[site] = _density(prior, posterior[site].to_numpy(), site in problem.population.estimated)
    for group in problem.population.correlation:
        site = f"chol_{'_'.join(group.names)}"
        if site in posterior:
            law: Any = dist.LKJCholesky(len(group.names), group.concentration)
            found[site] = np.asarray(law.log_prob(jnp.asarray(posterior[site].to_numpy())))
    return xr.Dataset({n: (("chain", "draw"), v) for n, v in found.items()}, coords={k: posterior[k] for k in ("chain", "draw")})


def _density(prior: Distribution, x: np.ndarray, unconstrained: bool) -> np.ndarray:
    value = jnp.asarray(x)
    density = prior.log_prob(value)
    if unconstrained:
        map_ = biject_to(prior.support)
        density = density + map_.log_abs_det_jacobian(map_.inv(value), value)
    return np.asarray(density)
