"""The variance that the best linear predictor leaves (docs/validation/extra_sample.py) is that of the posterior where all is normal and linear."""

import numpy as np
import pytest

from tests.scripts import loaded


@pytest.fixture(scope="module")
def script(root):
    return loaded(root / "docs" / "validation" / "extra_sample.py")


def draws_with(mean, covariance, n):
    """Draws whose own mean and covariance are exactly these."""
    z = np.random.default_rng(1).normal(size=(n, len(mean)))
    z -= z.mean(0)
    white = z @ np.linalg.inv(np.linalg.cholesky(z.T @ z / n)).T
    return mean + white @ np.linalg.cholesky(covariance).T


def test_it_is_the_posterior_variance_of_a_normal_linear_model(script):
    """theta ~ N(mu, P), y = X theta + e, e ~ N(0, s2 I): Var(a' theta | y) = a' (P^-1 + X' X / s2)^-1 a, to rounding."""
    p = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])
    a, x, s2 = np.array([1.0, -2.0, 0.5]), np.array([[1.0, 0.0, 0.3], [0.2, 1.0, -1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 1.0]]), 0.7
    theta = draws_with(np.array([3.0, -1.0, 10.0]), p, 50)
    exact = a @ np.linalg.inv(np.linalg.inv(p) + x.T @ x / s2) @ a
    assert script.remaining(theta @ a, theta @ x.T, s2) == pytest.approx(exact, rel=1e-10)
    assert script.gain(theta @ a, theta @ x.T, s2) == pytest.approx(1 - np.sqrt(exact / (a @ p @ a)), rel=1e-10)


def test_n_values_of_one_mean_are_their_average(script):
    """Var(q) - c^2 / (Var(m) + s2 / n), whether n values are given or their mean with variance s2 / n."""
    q, m = draws_with(np.zeros(2), np.array([[1.0, 0.8], [0.8, 2.0]]), 40).T
    exact = 1.0 - 0.8**2 / (2.0 + 0.9 / 5)
    assert script.remaining(q, np.repeat(m[:, None], 5, axis=1), 0.9) == pytest.approx(exact, rel=1e-10)
    assert script.remaining(q, m[:, None], 0.9 / 5) == pytest.approx(exact, rel=1e-10)
