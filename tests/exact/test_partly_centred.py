"""Correlated effects in partly centred coordinates: the same law whatever the weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import MultivariateNormal, biject_to

from pkpd.population.partly_centred import PartlyCentred

KEY = jax.random.PRNGKey(3)
M = jnp.asarray([[0.3, -1.0, 2.0], [0.1, -1.5, 2.5]])
OMEGA = jnp.asarray([0.2, 1.4, 0.6])
CHOL = jnp.asarray([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.3, 0.5, np.sqrt(1 - 0.34)]])
JOINT = MultivariateNormal(M, scale_tril=OMEGA[:, None] * CHOL)
PHI = M + jnp.asarray([[0.3, -0.2, 0.1], [-0.15, 2.0, 0.9]])


@pytest.mark.parametrize("weight", [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.2, 0.9, 0.5], [[0.1, 0.9, 0.4], [0.6, 0.3, 0.0]]])
def test_the_effects_have_the_multivariate_normal_law_whatever_the_weights(weight):
    law = PartlyCentred(M, OMEGA, CHOL, jnp.asarray(weight))
    raw = law.raw(PHI)
    np.testing.assert_allclose(law.effects(raw), PHI, rtol=1e-13)
    stretch = jnp.linalg.slogdet(jax.jacobian(lambda x: law.effects(x.reshape(2, 3)).ravel())(raw.ravel()))[1]
    np.testing.assert_allclose(law.log_prob(raw) - stretch, JOINT.log_prob(PHI).sum(), rtol=1e-12)


def test_weight_one_is_the_effect_itself_and_weight_zero_a_standard_normal():
    np.testing.assert_allclose(PartlyCentred(M, OMEGA, CHOL, 1.0).raw(PHI), PHI, rtol=1e-14)
    z = PartlyCentred(M, OMEGA, CHOL, 0.0).raw(PHI)
    np.testing.assert_allclose(M + z @ (OMEGA[:, None] * CHOL).T, PHI, rtol=1e-13)


def test_a_weak_effect_is_standard_normal_given_the_strong_ones_wherever_it_stands():
    weak_first = PartlyCentred(M, OMEGA, CHOL, jnp.asarray([0.0, 1.0, 1.0]))
    order = jnp.asarray([1, 2, 0])
    cov = JOINT.covariance_matrix[0][jnp.ix_(order, order)]
    slope = jnp.linalg.solve(cov[:2, :2], cov[:2, 2])
    mean = M[:, 0] + (PHI - M)[:, 1:] @ slope
    sd = jnp.sqrt(cov[2, 2] - cov[2, :2] @ slope)
    np.testing.assert_allclose(weak_first.raw(PHI)[:, 0], (PHI[:, 0] - mean) / sd, rtol=1e-12)
    np.testing.assert_allclose(weak_first.raw(PHI)[:, 1:], PHI[:, 1:], rtol=1e-14)


def test_the_same_key_draws_the_same_effects_whatever_the_weights():
    drawn = [
        law.effects(law.sample(KEY)) for law in (PartlyCentred(M, OMEGA, CHOL, jnp.asarray(w)) for w in ([0.0, 0.5, 1.0], [0.7, 0.1, 0.3]))
    ]
    np.testing.assert_allclose(*drawn, rtol=1e-12)


def test_log_scale_makes_the_density_that_of_standard_normals():
    law = PartlyCentred(M, OMEGA, CHOL, jnp.asarray([0.3, 0.8, 0.0]))
    raw = law.raw(PHI)
    z = PartlyCentred(M, OMEGA, CHOL, 0.0)
    np.testing.assert_allclose(law.log_prob(raw) + law.log_scale(), z.log_prob(z.raw(PHI)), rtol=1e-12)


def test_its_gradient_in_weightless_corners_is_finite():
    def density(log_omega, x):
        chol = biject_to(MultivariateNormal.arg_constraints["scale_tril"])(jnp.zeros(6))
        return PartlyCentred(M, jnp.exp(log_omega), chol, jnp.asarray([0.0, 1.0, 0.5])).log_prob(x)

    assert np.all(np.isfinite(jax.grad(density)(jnp.asarray([-12.0, 3.0, -8.0]), M)))
