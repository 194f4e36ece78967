"""The blood curve of CAR-macrophages is two exponentials: values, twins, and what it can identify (SCIENCE.md (f), V9)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pkpd.model import predictor
from pkpd.models.carm import carm_trafficking
from tests.oracle import Given, cohort

T = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0, 96.0, 168.0])
NAMES = ("f_L", "S", "k_LB", "k_Ld", "k_BH", "k_BP", "k_BT", "k_Bd")
TYPICAL = carm_trafficking.typical | {"k_Bd": 0.029}  # as rounded in the table of medians
DOSE = 5.0


@pytest.fixture(scope="module")
def blood():
    """theta -> S B at T after a bolus of 5e9 cells, on the default mesh."""
    return jax.jit(
        predictor(carm_trafficking, cohort([[Given(0.0, DOSE, "infusion")]], [[(t, 1.0) for t in T]], "car_dna", {"HER2": [3.0]}))
    )


def formula(p, t=T):
    """S B(t) = S {[(1 - f_L) D - K] exp(-kB t) + K exp(-kL t)}, K = f_L D k_LB / (kB - kL); at kL = kB: the removable singularity by expm1."""
    kl, kb = p["k_LB"] + p["k_Ld"], p["k_BH"] + p["k_BP"] + p["k_BT"] + p["k_Bd"]
    gap = kb - kl
    shared = t if gap == 0 else -np.expm1(-gap * t) / gap
    return p["S"] * DOSE * ((1 - p["f_L"]) * np.exp(-kb * t) + p["f_L"] * p["k_LB"] * shared * np.exp(-kl * t))


def with_rates(kl, kb, f_l, s, k_lb):
    return TYPICAL | {"f_L": f_l, "S": s, "k_LB": k_lb, "k_Ld": kl - k_lb, "k_BH": kb - TYPICAL["k_BP"] - TYPICAL["k_BT"] - TYPICAL["k_Bd"]}


@pytest.mark.parametrize("kb", [0.1, 0.2599999, 0.26, 0.4])
def test_two_exponentials(blood, kb):
    """Default mesh against the formula: 2e-6 of the peak (lambda h <= 0.4 + 0.35 lambda t, quartic interpolation), through kL = kB = 0.26."""
    p = with_rates(0.26, kb, 0.8, 4.3e4, 0.25)
    exact = formula(p)
    np.testing.assert_allclose(blood(p), exact, rtol=0, atol=2e-6 * exact.max())


def test_flip_flop_twin_numbers(blood):
    """Two parameter sets that no blood sample can tell apart (SCIENCE.md (f)); numbers printed to five decimals."""
    printed = [1.40832, 2.22004, 2.47682, 0.64552, 0.05964]
    where = [list(T).index(t) for t in (0.5, 2.0, 8.0, 24.0, 48.0)]
    one, two = with_rates(0.26, 0.10, 0.8, 1.0, 0.25), with_rates(0.10, 0.26, 0.928, 2.777778, 0.09)
    for p in (one, two):
        np.testing.assert_allclose(np.asarray(blood(p))[where], printed, rtol=0, atol=1e-5)


def log_jacobian(curve):
    """d ln y / d ln theta [times, 8] by automatic differentiation, at the medians."""
    x = jnp.log(jnp.asarray([TYPICAL[n] for n in NAMES]))
    return np.asarray(jax.jit(jax.jacfwd(lambda x: jnp.log(curve(TYPICAL | dict(zip(NAMES, jnp.exp(x), strict=True))))))(x))


@pytest.fixture(scope="module")
def sensitivities(blood):
    return log_jacobian(blood)


def test_blood_identifies_four_of_eight(sensitivities):
    """V9: rank 4, with the published singular values as printed; the other four are rounding, eps x the largest x a few."""
    values = np.linalg.svd(sensitivities, compute_uv=False)
    assert [round(float(v), d) for v, d in zip(values, (2, 3, 3, 3), strict=False)] == [12.63, 3.597, 1.706, 0.692]
    assert values[4] < 1e-13


def test_the_sensitivities_are_those_of_the_formula(sensitivities):
    """Column by column against differences of the formula extrapolated once; relative, since late samples carry the information."""
    for j, name in enumerate(NAMES):
        h = 1e-3
        change = [np.log(formula(TYPICAL | {name: TYPICAL[name] * np.exp(s * h)})) for s in (1, -1, 0.5, -0.5)]
        exact = (4 * (change[2] - change[3]) / h - (change[0] - change[1]) / (2 * h)) / 3
        np.testing.assert_allclose(sensitivities[:, j], exact, atol=2e-4, rtol=0, err_msg=name)
