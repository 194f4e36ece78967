"""Neutropenia: what the equations say in closed form of no drug, of a constant concentration, and of cells without feedback."""

import numpy as np
import pytest

from pkpd import Solver
from pkpd.model import predictor
from pkpd.models.classic import friberg_karlsson
from tests.oracle import Given, cohort

TIGHT = Solver(method="rosenbrock", rtol=1e-8, native="off")
CELLS = {"mtt": 20.0, "circ0": 5.0, "alpha": 0.2, "gamma": 0.3}


def counts(doses, times, **theta):
    bound = predictor(friberg_karlsson, cohort([doses], [[(t, t) for t in times]], "anc"), TIGHT)
    return np.asarray(bound(CELLS | theta))


@pytest.mark.slow
def test_without_drug_nothing_moves():
    found = counts([Given(0.0, 1e-9, "oral")], [0.0, 10.0, 100.0, 1000.0])
    np.testing.assert_allclose(found, 5.0, rtol=1e-8)


@pytest.mark.parametrize("gamma", [0.2, 0.4])
def test_a_constant_concentration_balances_the_feedback(gamma):
    """(1 - alpha C) (circ0 / circ)^gamma = 1, C = rate / CL = 2 mg/L; twenty-five mean times on, the slowest departure is below 1e-6."""
    found = counts([Given(0.0, 1e5, "iv", duration=1e4)], [2000.0], CL=5.0, Q=3.0, V1=2.0, V2=2.0, gamma=gamma)
    assert found[0] == pytest.approx(5.0 * (1 - 0.2 * 2.0) ** (1 / gamma), rel=1e-5)


@pytest.mark.slow
def test_without_feedback_the_cells_are_a_gamma_distributed_delay():
    """gamma 0, alpha C constant: d prol = -ktr alpha C prol, and the blood is its past, delayed by four exponential stages."""
    ktr, times = 4 / 20.0, np.array([5.0, 20.0, 60.0])
    found = counts([Given(0.0, 1e6, "iv", duration=1e4)], times, CL=50.0, Q=1e-6, V1=1e-3, V2=1.0, gamma=1e-12)
    delay = np.linspace(0, 400, 400_001)
    density = ktr**4 * delay**3 / 6 * np.exp(-ktr * delay)
    made = [np.trapezoid(density * 5.0 * np.exp(-ktr * 0.2 * 2.0 * np.maximum(t - delay, 0)), delay) for t in times]
    np.testing.assert_allclose(found, made, rtol=1e-5)  # the concentration takes 1e-4 h to be constant
