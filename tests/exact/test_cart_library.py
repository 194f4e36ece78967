"""CAR-T models: printed numbers of the published curve (SCIENCE.md (j), V1), binding equilibrium, and what predator and prey conserve."""

import numpy as np
import pytest
from scipy.integrate import quad

from pkpd.model import predictor
from pkpd.models.cart import carrgo, cart_effector_memory, cart_stein, cart_stein_comedication
from tests.courses import course, rates, seen
from tests.oracle import Given, cohort

DAY = 24.0
TYPICAL = cart_stein.typical


def copies(days, model=cart_stein, infused=1.0, covariates=None, **theta):
    """Transgene copies at days after the infusion, from the model's own observable."""
    since = np.atleast_1d(np.asarray(days, float)) * DAY
    states = {"infused": np.full_like(since, infused), "since": since}
    return seen(model, states, covariates, **theta)["car_dna"]


def formula(t, foldx, Tmax, Cmax, alpha, FB, beta):
    """The curve as printed; hours."""
    rho, late = np.log(foldx) / Tmax, t - Tmax
    return np.where(t < Tmax, Cmax / foldx * np.exp(rho * t), Cmax * ((1 - FB) * np.exp(-alpha * late) + FB * np.exp(-beta * late)))


def test_the_typical_curve_has_the_printed_numbers():
    """V1, each to the digits printed."""
    p = TYPICAL
    rho = np.log(p["foldx"]) / p["Tmax"] * DAY
    assert round(copies(0.0)[0], 4) == 6.1538 and round(rho, 5) == 0.88911 and round(np.log(2) / rho, 5) == 0.77960
    area = lambda a, b: quad(lambda t: copies(t)[0], a, b, epsabs=0, epsrel=1e-10, limit=200)[0]  # noqa: E731
    first = area(0, 9.3)
    assert round(first + area(9.3, 28)) == 171_774
    late = p["Cmax"] * ((1 - p["FB"]) / p["alpha"] + p["FB"] / p["beta"]) / DAY
    assert round(first + late) == 235_051
    assert round(copies(28)[0], 1) == 1373.6 and round(copies(365)[0], 2) == 60.74
    assert round(np.log(2) / 0.16, 3) == 4.332 and round(np.log(2) / 0.0032, 1) == 216.6


@pytest.mark.slow
def test_the_solver_gives_the_formula_whenever_the_infusion_was():
    """An infusion at 30 h: the clock starts there. 1e-12: the clock is linear in time, so any solver keeps it."""
    times = np.array([10.0, 30.0, 100.0, 253.2, 253.3, 500.0, 5000.0])
    bound = predictor(cart_stein, cohort([[Given(30.0, 1.0, "infusion")]], [[(t, t if t != 30.0 else 31.0) for t in times]], "car_dna"))
    found = np.asarray(bound({n: TYPICAL[n] for n in ("Tmax",)}))
    exact = np.where(times < 30.0, 0.0, formula(times - 30.0, **TYPICAL))
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-12)


def test_without_expansion_two_exponentials_are_left():
    t = np.array([0.01, 5.0, 60.0])
    found = copies(t, foldx=1.0, Tmax=1e-9)
    p = TYPICAL
    exact = p["Cmax"] * ((1 - p["FB"]) * np.exp(-p["alpha"] * t * DAY) + p["FB"] * np.exp(-p["beta"] * t * DAY))
    np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize(("toci", "ster"), [(72.0, 120.0), (120.0, 72.0), (1e6, 48.0), (100.0, 1e6)])
def test_comedication_multiplies_the_rate_from_its_start(toci, ster):
    """ln C by quadrature of rho F(t); what is reached at Tmax takes the place of Cmax."""
    days, factors = np.array([1.0, 4.0, 7.0, 9.3, 20.0]), {"F_toci": 1.2, "F_ster": 0.7}
    found = copies(days, cart_stein_comedication, covariates={"TOCI_H": toci, "STER_H": ster}, **factors)
    p, rho = TYPICAL, np.log(TYPICAL["foldx"]) / TYPICAL["Tmax"]
    factor = lambda t: (1.2 if t > toci else 1.0) * (0.7 if t > ster else 1.0)  # noqa: E731
    for t, value in zip(days * DAY, found, strict=True):
        end = min(t, p["Tmax"])
        cuts = [x for x in (toci, ster) if x < end]
        grown = rho * quad(factor, 0, end, points=cuts or None)[0]
        late = max(t - p["Tmax"], 0)
        left = (1 - p["FB"]) * np.exp(-p["alpha"] * late) + p["FB"] * np.exp(-p["beta"] * late)
        assert value == pytest.approx(p["Cmax"] / p["foldx"] * np.exp(grown) * left, rel=1e-9)


def test_comedication_that_never_began_changes_nothing():
    days = np.array([0.0, 3.0, 9.3, 30.0])
    np.testing.assert_allclose(copies(days, cart_stein_comedication), copies(days), rtol=1e-13)


EMPTY = dict.fromkeys(cart_effector_memory.state_names, 0.0)


def test_complexes_reach_the_binding_equilibrium():
    """(CAR n - X)(TAA N - X) = (koff/kon) X at constant cells: the lower root of the quadratic."""
    still = dict.fromkeys(("K12", "K21", "kel_e", "kel_m", "Kexp_max", "Rm", "Kkill_max", "Kg"), 1e-30)
    found = course(cart_effector_memory, [0.0, 50.0], {"effector_t": 0.73}, **still)
    p = cart_effector_memory.typical
    a, b, kd = p["CAR"] * 0.73 / p["Vt"], p["TAA"] * p["N0"], p["koff"] / p["kon"]
    exact = ((a + b + kd) - np.sqrt((a + b + kd) ** 2 - 4 * a * b)) / 2
    assert found["complexes"][-1] == pytest.approx(exact, rel=1e-8)  # fifty hours are two hundred times 1/koff


def test_expansion_killing_and_exchange_are_those_written():
    y = EMPTY | {"effector_b": 2.0, "memory_b": 0.5, "effector_t": 1.5, "memory_t": 0.5, "complexes": 3000.0, "tumour_cells": 0.8}
    p, found = cart_effector_memory.typical, rates(cart_effector_memory, y)
    n, m = 3000.0 / (2.0 / p["Vt"]), 3000.0 / 0.8  # complexes a CAR-T cell, a tumour cell
    assert found["effector_t"] == pytest.approx(
        p["K12"] * 2.0 - p["K21"] * 1.5 + (p["Kexp_max"] * n / (p["EC50"] + n) - p["Rm"]) * 1.5, rel=1e-12
    )
    assert found["tumour_cells"] == pytest.approx((p["Kg"] - p["Kkill_max"] * m / (p["KC50"] + m)) * 0.8, rel=1e-12)
    assert found["effector_b"] == pytest.approx(p["K21"] * 1.5 - (p["K12"] + p["kel_e"]) * 2.0, rel=1e-12)
    assert p["kon"] * 24 / 1e9 == pytest.approx(7.1e4 * 86400 / 6.022e23, rel=1e-12)  # L/(molecule d), as converted in SCIENCE.md
    assert all(np.isfinite(x) for x in rates(cart_effector_memory, EMPTY | {"tumour_cells": 1.0}).values())  # before any cell is there


def test_predator_and_prey():
    """rho 0: k2 T + k1 C - theta ln T is constant along any course; with growth both live where they should."""
    found = course(carrgo, np.linspace(0, 200, 9), {"cart_cells": 0.2}, rho=1e-30)
    p = carrgo.typical
    kept = p["k2"] * found["tumour_cells"] + p["k1"] * found["cart_cells"] - p["theta"] * np.log(found["tumour_cells"])
    np.testing.assert_allclose(kept, kept[0], rtol=1e-8)
    tumour = p["theta"] / p["k2"]
    still = rates(carrgo, {"tumour_cells": tumour, "cart_cells": p["rho"] * (1 - tumour / p["K"]) / p["k1"]})
    assert max(abs(x) for x in still.values()) < 1e-15
