"""Order of convergence of each batched method, the f_t of Rosenbrock methods included, and what one step does to a very stiff equation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pkpd.solve.batched import METHODS
from pkpd.solve.batched.field import make_field
from pkpd.solve.batched.solve import bind


def driven(t, y, p, q, r):
    """y' = -y + sin t, whose solution from 1 is (3 exp(-t) + sin t - cos t) / 2."""
    return [-p[0] * y[0] + jnp.sin(t)]


def bent(t, y, p, q, r):
    """Two states, nonlinear and dependent on time in every term."""
    return [-y[0] * y[1] * jnp.cos(t) + y[1], y[0] ** 2 / (1.0 + t) - p[0] * y[1]]


def bent_at_the_end():
    field = lambda t, y: [-y[0] * y[1] * np.cos(t) + y[1], y[0] ** 2 / (1.0 + t) - y[1]]  # noqa: E731
    return solve_ivp(field, (0.0, 1.0), [1.0, 0.5], method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]


CASES = {
    "driven": (driven, [1.0], lambda: np.array([(3 * np.exp(-1.0) + np.sin(1.0) - np.cos(1.0)) / 2])),
    "bent": (bent, [1.0, 0.5], bent_at_the_end),
}


def fixed_steps(method, rhs, start, steps):
    """The state at time 1 after so many equal steps, and the largest error estimate."""
    field, lane = make_field(rhs), jnp.ones(1)
    u = (jnp.ones((1, 1)), jnp.zeros((0, 1)), jnp.zeros((len(start), 1)))

    def one(y, i):
        worked = method.stages(field, True, i * lane / steps, lane / steps, y, u, ())
        y1, error = method.advance(lane / steps, y, worked)
        return y1, jnp.max(jnp.abs(error))

    y, errors = jax.lax.scan(one, jnp.asarray(start)[:, None], jnp.arange(float(steps)))
    return np.asarray(y)[:, 0], float(jnp.max(errors))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", METHODS)
def test_order_of_convergence(name, case):
    """Halving the step divides the error by 2^order and the estimate by 2^order (its method is one lower, one step's error one higher)."""
    method, (rhs, start, exact) = bind(METHODS[name]), CASES[case]
    runs = {n: fixed_steps(method, rhs, start, n) for n in (8, 16, 32)}
    errors = [np.abs(runs[n][0] - exact()).max() for n in (8, 16, 32)]
    slopes = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert slopes.max() > method.order - 0.35  # asymptotic from 8 steps on, to a third of an order
    assert np.log2(runs[16][1] / runs[32][1]) > method.order - 0.5


@pytest.mark.parametrize("name", ["rodas4", "rodas5p"])
def test_a_stiff_step_lands_on_the_slow_solution(name):
    """y' = -1e8 (y - sin t) + cos t with one step of 0.1: L-stable and stiffly accurate, so the transient is gone and the rest is right."""
    stiff = lambda t, y, p, q, r: [-1e8 * (y[0] - jnp.sin(t)) + jnp.cos(t)]  # noqa: E731
    method, field, lane = bind(METHODS[name]), make_field(stiff), jnp.ones(1)
    u = (jnp.ones((1, 1)), jnp.zeros((0, 1)), jnp.zeros((1, 1)))
    y1, _ = method.advance(0.1 * lane, 5.0 * lane[None], method.stages(field, True, 0.0 * lane, 0.1 * lane, 5.0 * lane[None], u, ()))
    np.testing.assert_allclose(y1[0], np.sin(0.1), rtol=0, atol=1e-5)  # a few times 5 / (1e8 h), what is left of the transient
