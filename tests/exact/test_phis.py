"""phi functions of the exponential collocation against 150 digits, in value and slope."""

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.solve.cascade import COEFFICIENTS, NODES, phis
from tests.exact.decimals import phi, phi_slope

Z = np.array([-700.0, -40.0, -6.0, -1.5001, -1.4999, -0.7, -1e-3, -1e-12, 0.0, 1e-8, 0.4, 1.4999, 1.5001, 9.0])


def test_values_to_thirteen_digits():
    """1e-13: upward recursion divides differences of order 1/k! by |z| >= 1.5, which loses under three digits at the switch."""
    exact = np.array([[phi(k, z) for z in Z] for k in range(1, 6)])
    np.testing.assert_allclose(phis(jnp.asarray(Z), 5), exact, rtol=1e-13)


def test_slopes():
    """Against a central difference of 1e-25 in 150 digits (its own error is 1e-50); 1e-11 because phi_k - k phi_{k+1} cancels for large -z."""
    slopes = jax.jvp(lambda z: phis(z, 5), (jnp.asarray(Z),), (jnp.ones(len(Z)),))[1]
    exact = np.array([[phi_slope(k, z) for z in Z] for k in range(1, 6)])
    np.testing.assert_allclose(slopes, exact, rtol=1e-11)


def test_five_lobatto_nodes_reproduce_every_quartic():
    assert NODES[0] == 0 and NODES[-1] == 1
    for power in range(5):
        np.testing.assert_allclose(COEFFICIENTS @ NODES**power, np.eye(5)[power], atol=2e-14)  # conditioning of the Vandermonde matrix: 1e2
