"""Divided differences of exp: double precision against 150 digits, in value and gradient, through every coincidence of nodes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd.solve.divided import ascending, divided_exp
from tests.exact.decimals import divided

# Nodes are eigenvalues (and a zero) in 1/h: apart, close, equal, on both sides of the switch to the series at (spread x tau) = 0.5.
GAPS = (0.0, 1e-14, 1e-9, 1e-4, 0.03, 0.4999, 0.5001, 2.0)
TAUS = (1e-3, 1.0, 30.0)


@pytest.fixture(scope="module")
def computed():
    last = jax.jit(lambda x, tau: divided_exp(ascending([x[i] for i in range(4)]), tau)[-1])
    return last, jax.jit(jax.grad(last, argnums=(0, 1)))


def quadruples():
    """0 and three decay rates, for each tau, with every pair of gaps (in units of 1/tau)."""
    for tau, (a, b) in itertools.product(TAUS, itertools.product(GAPS, GAPS)):
        first = -0.3 / tau
        yield tau, np.array([0.0, first, first - a / tau, first - a / tau - b / tau])


def test_every_coincidence_of_four_nodes_to_twelve_digits(computed):
    """1e-12: the last quotient divides by gaps of half a unit at least and loses two digits there, once for each of three orders."""
    for tau, x in quadruples():
        np.testing.assert_allclose(computed[0](jnp.asarray(x), tau), divided(x, tau), rtol=1e-12, err_msg=f"{x}, tau {tau}")


def test_the_gradient_is_the_divided_difference_with_the_node_repeated(computed):
    """d f[x0..xk] / d xi = f[x0..xk, xi]; relative to the largest of them, with one digit less than the value for the extra order."""
    for tau, x in quadruples():
        exact = np.array([divided([*x, xi], tau) for xi in x])
        np.testing.assert_allclose(computed[1](jnp.asarray(x), tau)[0], exact, rtol=1e-10, err_msg=f"{x}, tau {tau}")


def test_the_gradient_in_time_is_finite_and_right(computed):
    """d/dtau of a divided difference of exp(tau x) is that of x exp(tau x): x0 f[x0..xk] + f[x1..xk] with x0 any node."""
    for tau, x in quadruples():
        exact = x[0] * divided(x, tau) + divided(x[1:], tau)
        np.testing.assert_allclose(computed[1](jnp.asarray(x), tau)[1], exact, rtol=1e-10, err_msg=f"{x}, tau {tau}")


def test_no_time_at_all():
    """At tau = 0 only the first survives: f = 1, then zeros; their slopes in tau are 1 for the second and 0 beyond, times the nodes for the first."""
    x = [jnp.asarray(v) for v in (-1.5, -1.5, -0.2)]
    value, slope = jax.jvp(lambda tau: divided_exp(x, tau), (jnp.asarray(0.0),), (jnp.asarray(1.0),))
    assert [float(v) for v in value] == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(slope, [-1.5, 1.0, 0.0], rtol=0, atol=0)


def test_the_order_of_nodes_does_not_matter(computed):
    x = np.array([-0.7, 0.0, -0.2, -0.7])
    values = {float(computed[0](jnp.asarray(p), 2.0)) for p in itertools.permutations(x)}
    assert len(values) == 1
