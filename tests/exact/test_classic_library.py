"""Classic models against closed forms and limits: saturable elimination, target-mediated disposition, effect compartment, tumour growth."""

import numpy as np
import pytest
from scipy.special import lambertw

from pkpd.models.classic import (
    effect_compartment,
    michaelis_menten_iv,
    michaelis_menten_oral,
    one_compartment_iv,
    tmdd_full,
    tmdd_qss,
    tumour_claret,
    tumour_simeoni,
    tumour_wang,
)
from tests.courses import course, rates, seen

T = np.array([0.0, 2.0, 8.0, 24.0, 60.0])


def test_a_bolus_under_saturable_elimination_follows_lamberts_function():
    p = michaelis_menten_iv.typical
    found = course(michaelis_menten_iv, T, {"central": 500.0})["central"] / p["V"]
    c0 = 500.0 / p["V"]
    exact = p["Km"] * lambertw(c0 / p["Km"] * np.exp((c0 - p["Vmax"] / p["V"] * T) / p["Km"])).real
    np.testing.assert_allclose(found, exact, rtol=1e-7)


def test_far_below_km_elimination_is_linear():
    found = course(michaelis_menten_iv, T, {"central": 1e-6})["central"]
    p = michaelis_menten_iv.typical
    exact = course(one_compartment_iv, T, {"central": 1e-6}, CL=p["Vmax"] / p["Km"])["central"]
    np.testing.assert_allclose(found, exact, rtol=1e-6)  # C/Km is 2e-8
    swallowed = rates(michaelis_menten_oral, {"depot": 3.0, "central": 5.0})
    assert swallowed["depot"] == -4.5 and swallowed["central"] == pytest.approx(
        4.5 + rates(michaelis_menten_iv, {"central": 5.0})["central"]
    )


# Target-mediated disposition.


def test_without_drug_the_target_stays():
    assert rates(tmdd_full, {"drug": 0.0, "target": 10.0, "complex": 0.0}) == pytest.approx(dict.fromkeys(tmdd_full.state_names, 0.0))
    assert rates(tmdd_qss, {"drug": 0.0, "target": 10.0}) == pytest.approx({"drug": 0.0, "target": 0.0}, abs=1e-14)


def test_without_loss_drug_is_kept_and_binding_balances():
    """kel, kint, kdeg 0: L + RL and R + RL are kept, and at the end L R = KD RL."""
    end = course(tmdd_full, [0.0, 1000.0], {"drug": 60.0}, kel=1e-30, kint=1e-30, kdeg=1e-30)
    free, target, bound = end["drug"][-1] / 3.0, end["target"][-1], end["complex"][-1]
    assert free + bound == pytest.approx(20.0, rel=1e-8) and target + bound == pytest.approx(10.0, rel=1e-8)
    assert free * target == pytest.approx(1.0 * bound, rel=1e-7)  # KD = koff/kon = 1 nmol/L


def test_quasi_steady_state_is_the_limit_of_fast_binding():
    """kon, koff x 10000 of the typical ones: what is neglected is of the order of kint/koff = 1e-5, seen in the state as a part of it."""
    fast = {"kon": 1e3, "koff": 1e3}
    full = seen(tmdd_full, course(tmdd_full, T[1:], {"drug": 120.0}, **fast))["cp"]
    quasi = seen(tmdd_qss, course(tmdd_qss, T[1:], {"drug": 120.0}, Kss=(1e3 + 0.01) / 1e3), Kss=(1e3 + 0.01) / 1e3)["cp"]
    np.testing.assert_allclose(quasi[1:], full[1:], rtol=1e-3)


def test_equal_turnover_keeps_the_total_target_and_no_target_is_linear():
    end = course(tmdd_qss, T, {"drug": 120.0}, kint=0.02, kdeg=0.02)
    np.testing.assert_allclose(end["target"], 10.0, rtol=1e-9)
    alone = course(tmdd_qss, T, {"drug": 120.0}, R0=1e-12)["drug"]
    np.testing.assert_allclose(alone, 120.0 * np.exp(-0.005 * T), rtol=1e-8)


@pytest.mark.parametrize(("drug", "target"), [(3e-6, 1e3), (3e6, 1e-3), (30.0, 10.0)])
def test_free_drug_solves_its_quadratic(drug, target):
    """L + Rt L/(Kss + L) = Lt, without cancellation in either excess."""
    free = float(seen(tmdd_qss, {"drug": drug, "target": target})["cp"])
    assert free + target * free / (1.1 + free) == pytest.approx(drug / 3.0, rel=1e-12)


# Effect.


def test_the_effect_site_follows_a_constant_concentration():
    """A depot without absorption, a central amount without elimination: Ce = C (1 - exp(-ke0 t))."""
    found = course(effect_compartment, T, {"central": 96.0}, CL=1e-30, V=32.0)
    np.testing.assert_allclose(found["ce"], 3.0 * (1 - np.exp(-0.5 * T)), rtol=1e-8, atol=1e-12)
    y = seen(effect_compartment, found, V=32.0)["effect"]
    assert y[0] == pytest.approx(50.0, abs=1e-12)
    np.testing.assert_allclose(y[1:], 50 + 40 * found["ce"][1:] ** 1.5 / (2**1.5 + found["ce"][1:] ** 1.5), rtol=1e-12)


# Tumour growth.

DAYS = np.array([0.0, 10.0, 40.0, 150.0]) * 24.0
KEPT = {"CL": 1e-30, "V": 32.0}


def test_claret_at_a_constant_concentration():
    found = course(tumour_claret, DAYS, {"central": 160.0}, **KEPT)["size"]
    kl, kd, lam, d = 0.003, 0.002, 0.01, DAYS / 24
    np.testing.assert_allclose(found, 60 * np.exp(kl * d - kd * 5.0 * (1 - np.exp(-lam * d)) / lam), rtol=1e-7)
    alone = course(tumour_claret, DAYS)["size"]
    np.testing.assert_allclose(alone, 60 * np.exp(kl * d), rtol=1e-8)


def test_wang():
    found = seen(tumour_wang, course(tumour_wang, DAYS))["sld"]
    np.testing.assert_allclose(found, 60 * np.exp(-0.01 * DAYS / 24) + 0.1 * DAYS / 24, rtol=1e-8)


def test_simeoni_small_large_and_treated():
    """Exponential while small, linear when large (psi 20: the change is sharp), and x1 falls as exp((l0 - k2 C) t) while small."""
    d = np.array([0.0, 2.0, 4.0])
    small = course(tumour_simeoni, d * 24, w0=1e-3)["x1"]
    np.testing.assert_allclose(small, 1e-3 * np.exp(0.3 * d), rtol=1e-8)
    for weight in (1e3, 1e18):  # the second to the power of psi is beyond a double
        large = rates(tumour_simeoni, dict.fromkeys(tumour_simeoni.state_names, 0.0) | {"x1": weight})["x1"] * 24
        assert large == pytest.approx(0.7, rel=1e-6)
    hit = course(tumour_simeoni, d * 24, {"central": 160.0}, w0=1e-3, **KEPT)
    np.testing.assert_allclose(hit["x1"], 1e-3 * np.exp((0.3 - 0.1 * 5.0) * d), rtol=1e-7)
    y = dict.fromkeys(tumour_simeoni.state_names, 0.0) | {"x1": 0.2, "x2": 0.1, "x3": 0.05, "x4": 0.02, "central": 64.0}
    found = rates(tumour_simeoni, y, V=32.0)
    assert found["x2"] * 24 == pytest.approx(0.1 * 2.0 * 0.2 - 0.7 * 0.1, rel=1e-12)
    assert found["x4"] * 24 == pytest.approx(0.7 * (0.05 - 0.02), rel=1e-12)
