"""Medians and powers of what the sampler's coordinates are laid out by: shapes and types as a quantile function has them, edges as `**` has them."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from pkpd.inference.space import Coordinates
from pkpd.population.medians import median
from pkpd.population.power import power

AT = ((0, 10), (0.3, 2), (np.float32(1.5), 1), (0, jnp.ones(3)), (jnp.zeros(2), 1))
LAWS = [
    *(law(loc, scale) for law in (dist.Normal, dist.LogNormal) for loc, scale in AT),
    *(dist.HalfNormal(s) for s in (1, 0.5, jnp.array([1.0, 2.0]))),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{type(law).__name__}{law.batch_shape}")
def test_medians_of_common_priors_are_their_quantiles(law):
    found = median(law)
    assert found.dtype == jnp.float64 and found.shape == law.batch_shape
    np.testing.assert_allclose(
        found, law.icdf(jnp.float64(0.5)), rtol=1e-7 if np.asarray(getattr(law, "loc", 0.0)).dtype == np.float32 else 1e-14
    )


def test_coordinates_are_real_where_a_prior_is_written_in_integers():
    """An integer median once made a site's coordinate an integer: its value was cut to whole numbers, without a slope."""

    class Written(Coordinates):
        def model(self, weights):
            numpyro.sample("beta", dist.Normal(0, 10))
            numpyro.sample("k", dist.LogNormal(0.0, jnp.ones(3)))

    sites = Written().unconstrained(jnp.array([0.25, 0.5, 0.75, 1.25]))
    assert sites["beta"].dtype == jnp.float64 and sites["k"].shape == (3,)
    assert float(sites["beta"]) == 0.25


@pytest.mark.parametrize("w", [0.0, 1.0, 0, 1, 0.4, np.array([0.0, 0.4, 1.0])])
def test_powers_at_edges(w):
    for s in (0.0, 0.7, 3, np.inf, np.nan):
        np.testing.assert_allclose(power(s, w), np.float64(s) ** np.asarray(w, float), rtol=4e-16)


def test_slopes_of_powers():
    assert float(jax.grad(lambda s: power(s, 1.0))(0.0)) == 1.0
    assert float(jax.grad(lambda s: power(s, jnp.array(1.0)))(0.0)) == 1.0
    np.testing.assert_allclose(jax.grad(lambda s: power(s, jnp.array(0.4)))(0.7), 0.4 * 0.7**-0.6, rtol=1e-14)
    assert float(jax.grad(lambda s: power(s, jnp.array(0.0)))(0.7)) == 0.0
