"""Textbook solutions of one and two compartments, written out here, against the closed-form backend and the cascade."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd import Solver
from pkpd.model import predictor
from pkpd.models.classic import one_compartment_iv, one_compartment_oral, two_compartment_iv, two_compartment_oral
from tests.oracle import Given, cohort

T = np.array([0.0, 0.3, 1.0, 2.0, 3.5, 8.0, 24.0, 60.0])  # 0 is read after the dose (rank 1)
LOOKS = [(t, 9.0) for t in T]
CLOSED = 1e-12  # superposition of exponentials: rounding of a few sums
CASCADE = 2e-6  # default mesh: interpolation of the force on 5 Lobatto nodes, lambda h <= 0.4 + 0.35 lambda t; measured 1e-6 of the peak


def curve(model, doses, method="closed_form"):
    """A jitted function theta -> cp at T."""
    return jax.jit(predictor(model, cohort([doses], [LOOKS], "cp"), Solver(method=method)))


@pytest.fixture(scope="module")
def oral():
    return curve(one_compartment_oral, [Given(0.0, 100.0, "oral")])


def during(t, k, length):
    """Response of a first-order pool to a constant input of 1 during `length`."""
    return np.where(t < length, 1 - np.exp(-k * t), (np.exp(k * length) - 1) * np.exp(-k * t)) / k


@pytest.mark.parametrize("method", ["closed_form", "cascade"])
def test_bolus(method):
    """A state that nothing drives but itself is exact in the cascade too."""
    cp = curve(one_compartment_iv, [Given(0.0, 100.0, "iv")], method)({"CL": 3.0, "V": 20.0})
    np.testing.assert_allclose(cp, 5.0 * np.exp(-0.15 * T), rtol=CLOSED)


@pytest.mark.parametrize("method", ["closed_form", "cascade"])
def test_infusion(method):
    """A constant input is a polynomial of degree 0: exact in the cascade."""
    cp = curve(one_compartment_iv, [Given(0.0, 100.0, "iv", duration=2.0)], method)({"CL": 3.0, "V": 20.0})
    np.testing.assert_allclose(cp, 50.0 / 20.0 * during(T, 0.15, 2.0), rtol=CLOSED)


def test_multiple_doses_superpose():
    doses = [Given(12.0 * k, 100.0, "iv", rank=k) for k in range(3)]
    cp = curve(one_compartment_iv, doses)({"CL": 3.0, "V": 20.0})
    exact = sum(np.where(12.0 * k <= T, 5.0 * np.exp(-0.15 * (T - 12.0 * k)), 0.0) for k in range(3))
    np.testing.assert_allclose(cp, exact, rtol=CLOSED)


def bateman(dose, ka, k, v):
    return dose / v * ka / (ka - k) * (np.exp(-k * T) - np.exp(-ka * T))


@pytest.mark.parametrize("ka", [0.05, 0.2, 1.5])  # flip-flop, near, usual; k = 0.15
def test_oral(oral, ka):
    np.testing.assert_allclose(oral({"CL": 3.0, "V": 20.0, "ka": ka}), bateman(100.0, ka, 0.15, 20.0), rtol=CLOSED, atol=1e-15)


@pytest.fixture(scope="module")
def oral_by_ka(oral):
    return jax.jit(lambda theta: jax.jvp(lambda ka: oral(theta | {"ka": ka}), (theta["ka"],), (jnp.ones(()),)))


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-8, 1e-5, 1e-3])
def test_absorption_as_fast_as_elimination(oral_by_ka, gap):
    """With d = (ka - k) t: C = D/V ka t exp(-k t) (1 - d/2 + d^2/6 - ...), and its slope in ka; the series is cut at d^3/24."""
    k, v, dose = 0.15, 20.0, 100.0
    ka = k * (1 + gap)
    decay, d = dose / v * np.exp(-k * T), (ka - k) * T
    value, slope = decay * ka * T * (1 - d / 2 + d**2 / 6), decay * T * (1 - d / 2 + d**2 / 6 + ka * T * (-0.5 + d / 3 - d**2 / 8))
    theta = {"CL": jnp.asarray(k * v), "V": jnp.asarray(v), "ka": jnp.asarray(ka)}
    got = oral_by_ka(theta)
    np.testing.assert_allclose(got[0], value, rtol=max(1e-12, d.max() ** 3), atol=1e-15)
    np.testing.assert_allclose(got[1], slope, rtol=max(1e-11, 9 * d.max() ** 3), atol=1e-13)


def test_the_cascade_at_equal_rates(oral):
    """Exponential collocation has no such singularity; only its mesh error remains."""
    same = {"CL": 3.0, "V": 20.0, "ka": 0.15}
    cascade = curve(one_compartment_oral, [Given(0.0, 100.0, "oral")], "cascade")(same)
    np.testing.assert_allclose(cascade, oral(same), rtol=0, atol=CASCADE * 2.0)


P2 = {"CL": 5.0, "V1": 20.0, "Q": 3.0, "V2": 50.0}


def two_exponents(CL, V1, Q, V2):
    """alpha > beta of the two-compartment model, by the sum and product of the roots."""
    total, product = CL / V1 + Q / V1 + Q / V2, CL / V1 * Q / V2
    root = np.sqrt(total**2 - 4 * product)
    return (total + root) / 2, (total - root) / 2


def test_two_compartments_bolus_and_infusion():
    alpha, beta = two_exponents(**P2)
    k21 = P2["Q"] / P2["V2"]
    a, b = (alpha - k21) / (alpha - beta) / 20.0, (k21 - beta) / (alpha - beta) / 20.0
    bolus = curve(two_compartment_iv, [Given(0.0, 100.0, "iv")])(P2)
    np.testing.assert_allclose(bolus, 100.0 * (a * np.exp(-alpha * T) + b * np.exp(-beta * T)), rtol=CLOSED)
    infusion = curve(two_compartment_iv, [Given(0.0, 100.0, "iv", duration=2.0)])(P2)
    np.testing.assert_allclose(infusion, 50.0 * (a * during(T, alpha, 2.0) + b * during(T, beta, 2.0)), rtol=CLOSED, atol=1e-16)


@pytest.fixture(scope="module")
def oral_two():
    """cp of two compartments after an oral dose, with its slope in a direction of parameter space."""
    cp = curve(two_compartment_oral, [Given(0.0, 100.0, "oral")])
    return jax.jit(lambda theta, along: jax.jvp(cp, (theta,), (along,)))


@pytest.mark.parametrize("which", [0, 1])
def test_two_compartments_oral_with_ka_at_an_eigenvalue(oral_two, which):
    """ka equal to alpha or to beta: value and slopes finite and equal to the mean of those at ka (1 +- 1e-4), up to the square of that, 1e-8 x 1e2."""
    at = two_exponents(**P2)[which]
    theta = {n: jnp.asarray(v) for n, v in P2.items()} | {"ka": jnp.asarray(at)}
    sides = [theta | {"ka": jnp.asarray(at * (1 + s))} for s in (1e-4, -1e-4)]
    for name in theta:
        along = {n: jnp.asarray(float(n == name)) for n in theta}
        here, (up, down) = oral_two(theta, along), (oral_two(side, along) for side in sides)
        for i in range(2):
            np.testing.assert_allclose(here[i], (up[i] + down[i]) / 2, rtol=1e-6, atol=1e-9, err_msg=name)
