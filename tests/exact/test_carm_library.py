"""CAR-macrophage models against closed forms, mass balance, mappings between them, and the printed numbers V2 and V8 of SCIENCE.md (j)."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from pkpd import available_models, load_model
from pkpd.model.registry import model_source
from pkpd.models.carm import (
    carm_inflammation,
    carm_kill_invitro,
    carm_mpbpk,
    carm_outcomes,
    carm_panel,
    carm_pembrolizumab,
    carm_study,
    carm_trafficking,
    carm_tumour,
    cell_biexp,
    cytokine_emax,
    cytokine_idr,
    cytokine_network,
    cytokine_panel,
    macrophage_endotoxin,
)
from pkpd.models.carm.perfusion import rate_constants
from pkpd.names import View
from tests.courses import course, rates, seen

DAY = 24.0
CELLS = ("lung", "blood", "liver", "spleen", "tumour", "active")


def random_cells(seed=1):
    return dict(zip(CELLS, np.random.default_rng(seed).uniform(0.1, 2.0, 6), strict=True))


# Perfusion.


@pytest.mark.parametrize("her2", [2.0, 3.0])
def test_perfusion_equals_trafficking_under_its_mapping(her2):
    p = carm_mpbpk.typical | {"E_liver": 0.3, "E_spleen": 0.2, "E_tumour": 0.05, "q_T": 0.03}
    k = {n: float(v) for n, v in rate_constants(View("p", tuple(p), p.__getitem__)).items()}
    q = p["share_spleen"] * p["Q_CO"]
    assert k["k_BP"] == pytest.approx(9.0 * 0.2 / 5.0) and k["k_BH"] == pytest.approx((66.0 + q * 0.8) * 0.3 / 5.0)
    same = {n: p[n] for n in carm_trafficking.param_names if n in p}
    found = rates(carm_mpbpk, random_cells(), {"HER2": her2}, **p)
    assert found == pytest.approx(rates(carm_trafficking, random_cells(), {"HER2": her2}, **same, **k), rel=1e-13)
    assert carm_mpbpk.routes["infusion"] == (("lung", "E_lung"), ("blood", "1 - E_lung"))


def test_typical_extractions_give_the_typical_rates_and_no_flow_is_counted_twice():
    p = carm_mpbpk.typical
    k = rate_constants(View("p", tuple(p), p.__getitem__))
    assert [k[n] for n in ("k_BH", "k_BP", "k_BT")] == pytest.approx([0.05, 0.02, 0.001], rel=1e-12)
    assert 0.002 <= p["E_tumour"] <= 0.008  # what k_BT = 0.001/h amounts to
    everything = p | {"E_liver": 1.0, "E_spleen": 1.0}
    k = rate_constants(View("p", tuple(everything), everything.__getitem__))
    assert (k["k_BH"] + k["k_BP"]) * p["V_b"] == pytest.approx(0.25 * p["Q_CO"], rel=1e-12)  # the liver's total share, spleen included


def test_cells_given_are_cells_in_the_body_and_cells_lost():
    """M1 mass balance: the states and the integrals of the losses sum to the dose; loss rates are constants, so areas are sums of states."""
    p, times = carm_trafficking.typical, np.linspace(0.0, 200.0, 4001)
    found = course(carm_trafficking, times, {"lung": 4.0, "blood": 1.0})
    lost = {"lung": "k_Ld", "blood": "k_Bd", "liver": "k_Hd", "spleen": "k_Pd", "tumour": "k_Td", "active": "k_Ad"}
    gone = sum(p[k] * np.trapezoid(found[s], times) for s, k in lost.items())
    assert sum(x[-1] for x in found.values()) + gone == pytest.approx(5.0, abs=1e-5)  # the trapezium at 0.05 h: (0.05)^2/12 x slopes


def test_detection_time_of_the_medians():
    """SCIENCE.md: 5e9 cells, LLOQ 50: peak about 1.2e5 copies/ug near 5 h, below 50 after 87 h."""
    times = np.linspace(0.0, 100.0, 1001)
    y = seen(carm_trafficking, course(carm_trafficking, times, {"lung": 4.0, "blood": 1.0}))["car_dna"]
    assert round(y.max(), -4) == 1.2e5 and 4.0 < times[y.argmax()] < 6.0 and round(times[y > 50][-1]) == 87


# Two exponentials.


@pytest.mark.parametrize("share", [0.0909, 1.6])
def test_two_exponentials_superpose(share):
    """Given 2e9 and 1e9 more at 6 h; a share above 1 makes the fast phase negative: blood rises first."""
    k1, k2, a, s = 0.7, 0.05, 0.4, 4.3e4
    theta = {"k_slow": k2, "k_more": k1 - k2, "amplitude": a, "slow_share": share, "S": s}
    first = course(cell_biexp, [0.0, 3.0, 6.0], {"fast": 2.0, "slow": 2.0}, k_slow=k2, k_more=k1 - k2)
    then = course(cell_biexp, [6.0, 20.0], {n: first[n][-1] + 1.0 for n in first}, k_slow=k2, k_more=k1 - k2)
    one = lambda t: a * ((1 - share) * np.exp(-k1 * t) + share * np.exp(-k2 * t))  # noqa: E731
    assert seen(cell_biexp, first, **theta)["car_dna"][1] == pytest.approx(s * 2 * one(3.0), rel=1e-8)
    assert seen(cell_biexp, then, **theta)["car_dna"][1] == pytest.approx(s * (2 * one(20.0) + one(14.0)), rel=1e-8)
    assert (one(1.0) > one(0.0)) == (share > 1.0 and share * k2 < (share - 1.0) * k1)


# Cytokines.


def test_without_cells_every_cytokine_stays_at_its_baseline():
    still = course(cytokine_panel, [0.0, 24.0])
    names = cytokine_panel.observable_names[1:]
    assert names == ("il6", "tnf", "il8", "il10", "mcp1", "ifng")
    assert [still[c][-1] for c in names] == pytest.approx([cytokine_panel.typical[f"base_{c}"] for c in names], rel=1e-10)


def test_a_constant_stimulus_ends_in_the_balance_of_tolerance():
    """u constant (all cells in the liver, nothing moves): Z = u, C = base + gain u/(1 + u/Z50)."""
    still = {n: 1e-30 for n in ("k_Hd", "k_LB", "k_Ld", "k_BH", "k_BP", "k_BT", "k_Bd")}
    end = course(cytokine_panel, [0.0, 1000.0], {"liver": 2.0}, **still)
    p = cytokine_panel.typical
    for c in ("il6", "ifng"):
        assert end[c][-1] == pytest.approx(p[f"base_{c}"] + p[f"gain_{c}"] * 2.0 / (1 + 2.0 / p["Z50"]), rel=1e-8)


def network_point(**changes):
    y = dict(zip(cytokine_network.state_names, np.linspace(0.5, 3.0, len(cytokine_network.state_names)), strict=True))
    return y | {"il10": 20.0, "tnf": 100.0} | changes


def test_the_network_without_interactions_is_the_plain_panel():
    off = {"U50": 1e12, "x50": 1e30, "tnf_gain": 1e-30}
    found = rates(cytokine_network, network_point(), **off)
    assert found == pytest.approx(rates(cytokine_idr, network_point()), rel=1e-9)


def test_the_interactions_are_those_written():
    y, p = network_point(), cytokine_network.typical
    u = y["lung"] + y["liver"] + p["weight_A"] * y["active"]
    held = p["U50"] * u / (p["U50"] + u) / (1 + y["Z"] / p["Z50"])  # M3: r(u)/(1 + Z/Z50), r saturating: tolerance after it
    dampened = held / (1 + (20.0 / p["x50"]) ** p["steep"])
    added = dampened * (1 + p["tnf_gain"] * 100.0 / (p["tnf50"] + 100.0))
    found = rates(cytokine_network, y)
    for c, d in {"il10": held, "tnf": dampened, "il6": added, "il8": added}.items():
        assert found[c] == pytest.approx(p[f"kout_{c}"] * (p[f"base_{c}"] + p[f"gain_{c}"] * d - y[c]), rel=1e-12)
    assert (
        rates(cytokine_network, network_point(il10=60.0))["il6"] < found["il6"] < rates(cytokine_network, network_point(tnf=300.0))["il6"]
    )


def test_tolerance_lowers_the_largest_release():
    """Saturation acts on the stimulus, tolerance on what is left: no number of cells makes up for Z (it would, were the tolerant drive saturated)."""
    y, p = network_point(Z=2.0, lung=1e9), cytokine_network.typical
    most = p["base_il10"] + p["gain_il10"] * p["U50"] / (1 + 2.0 / p["Z50"])
    assert rates(cytokine_network, y)["il10"] == pytest.approx(p["kout_il10"] * (most - y["il10"]), rel=1e-7)


def emax_point():
    return {n: network_point()[n] for n in cytokine_emax.state_names}


def test_release_saturates_for_each_cytokine_at_its_own_number_of_cells():
    """M3 as printed: kout base (1 + Emax u/(U50 + u)/(1 + Z/Z50)) - kout C with base Emax = gain U50."""
    u50 = {"il6": 1.0, "tnf": 2.0, "il8": 4.0, "il10": 8.0}
    y, p = emax_point(), cytokine_emax.typical
    found = rates(cytokine_emax, y, **{f"U50_{c}": x for c, x in u50.items()})
    u = y["lung"] + y["liver"] + p["weight_A"] * y["active"]
    for c, half in u50.items():
        emax = p[f"gain_{c}"] * half / p[f"base_{c}"]
        released = p[f"base_{c}"] * (1 + emax * u / (half + u) / (1 + y["Z"] / p["Z50"]))
        assert found[c] == pytest.approx(p[f"kout_{c}"] * (released - y[c]), rel=1e-12)


def test_saturation_far_away_is_the_plain_panel_and_one_for_all_is_the_network_without_interactions():
    y = emax_point()
    assert rates(cytokine_emax, y, **{f"U50_{c}": 1e12 for c in ("il6", "tnf", "il8", "il10")}) == pytest.approx(
        rates(cytokine_idr, y), rel=1e-9
    )
    off = {"x50": 1e30, "tnf_gain": 1e-30}
    assert rates(cytokine_emax, y) == pytest.approx(rates(cytokine_network, y, **off), rel=1e-12)


# Macrophages under endotoxin.


@pytest.fixture(scope="module")
def volunteers():
    times = np.linspace(0.0, 12.0, 1201)
    return times, course(macrophage_endotoxin, times, {"lps": 2.0})


def test_the_endotoxin_model_peaks_where_its_source_does(volunteers):
    """V2 as printed; a grid of 0.01 h."""
    times, found = volunteers
    printed = {"tnf": (365.7, 1.70), "il6": (749.0, 2.05), "il8": (747.0, 2.13), "il10": (42.2, 2.57)}
    assert {c: (round(found[c].max(), 1), round(times[found[c].argmax()], 2)) for c in printed} == printed
    assert len(macrophage_endotoxin.params) == 43


def test_the_endotoxin_model_fits_the_mean_as_its_source_does(volunteers, reference_data):
    """V2: squared correlation and 1 - SSE/SST with the mean of 20 volunteers."""
    times, found = volunteers
    mean = pd.read_csv(reference_data / "lps_bolus_mean.csv")
    names = {"TNF": "tnf", "IL-6": "il6", "IL-8": "il8", "IL-10": "il10"}
    got = {}
    for analyte, rows in mean.groupby("analyte"):
        y, f = rows["mean_no_outliers"].to_numpy(), np.interp(rows["time_h"], times, found[names[str(analyte)]])
        got[names[str(analyte)]] = (
            round(np.corrcoef(y, f)[0, 1] ** 2, 4),
            round(1 - ((y - f) ** 2).sum() / ((y - y.mean()) ** 2).sum(), 3),
        )
    assert got == {"tnf": (0.9484, 0.933), "il6": (0.9558, 0.935), "il8": (0.9472, 0.939), "il10": (0.9525, 0.937)}


CYTOKINES = ("tnf", "il6", "il8", "il10")


def test_infused_cells_take_the_place_of_endotoxin_and_of_resting_macrophages():
    """Where Hp(u) = Hp(E), N = MR and one unit is 1e9 cells, activation and every cytokine are those of the published model."""
    p = macrophage_endotoxin.typical
    same = {n: v for n, v in p.items() if n in carm_inflammation.param_names}
    levels = {"tnf": 150.0, "il6": 400.0, "il8": 300.0, "il10": 12.0}
    y = dict.fromkeys(CELLS, 0.0) | {"lung": 2.0, "liver": 1.0, "activity": 0.7} | levels
    found = rates(carm_inflammation, y, **same, units=1.0, x_u=p["xME"], h_u=p["hME"])
    published = rates(macrophage_endotoxin, {"lps": 3.0, "resting": 3.0, "activated": 0.7} | levels)
    assert {c: found[c] for c in CYTOKINES} == pytest.approx({c: published[c] for c in CYTOKINES}, rel=1e-12)
    assert found["activity"] == pytest.approx(published["activated"], rel=1e-12)
    cells = rates(carm_trafficking, {n: y[n] for n in CELLS}, {"HER2": 3.0})
    assert {n: found[n] for n in CELLS} == pytest.approx(cells, rel=1e-12)  # activation moves no cell


def test_without_cells_the_inflammation_stays_at_baseline():
    still = course(carm_inflammation, [0.0, 48.0])
    p = carm_inflammation.typical
    assert [still[c][-1] for c in CYTOKINES] == pytest.approx([p[w] for w in ("wTNF", "w6", "w8", "w10")], rel=1e-9)
    assert p["k6"] == 2.1 and (p["wTNF"], p["w6"]) == (6.3, 0.71)


def test_release_of_infused_cells_is_nearly_all_or_none():
    times, given = np.linspace(0.0, 24.0, 97), {"lung": 0.8 * 3.375, "blood": 0.2 * 3.375}
    peaks = [course(carm_inflammation, times, given, units=u)["il6"].max() for u in (5000.0, 5500.0)]
    assert peaks == pytest.approx([14.0, 370.0], rel=0.02)


# Killing in a dish.

ORDERS = [  # eta, gamma, M*, unstable and stable burden at M*/2, T(5 d), T(10 d), ceilings a macrophage and a tumour cell
    (2.02, 4.131, 1.411e6, 9.046e5, 6.066e6, 2.816e6, 1.168e6, 1.40, 2.87),
    (4.131, 2.02, 9.038e5, 6.508e5, 5.741e6, 1.366e6, 2.315e5, 2.87, 1.40),
]


@pytest.mark.parametrize(("eta", "gamma", "clearing", "unstable", "stable", "five", "ten", "each", "of_tumour"), ORDERS)
def test_killing_in_a_dish_in_both_orders(eta, gamma, clearing, unstable, stable, five, ten, each, of_tumour):
    """V8. With M constant the steady burdens are the roots of rho (1 - T/beta)(1 + eta M + gamma T) = kappa M; they meet at M*."""
    p = carm_kill_invitro.typical | {"eta": eta, "gamma": gamma}

    def net(m, t):
        return rates(carm_kill_invitro, {"tumour_cells": t, "macrophages": m}, eta=eta, gamma=gamma)["tumour_cells"] / t

    def roots(m):
        a, b = -p["rho"] * gamma / p["beta"], p["rho"] * (gamma - (1 + eta * m) / p["beta"])
        c = p["rho"] * (1 + eta * m) - p["kappa"] * m
        return a, b, c

    found = brentq(lambda m: roots(m)[1] ** 2 - 4 * roots(m)[0] * roots(m)[2], 1e5, 3e6)
    assert f"{found:.3e}" == f"{clearing:.3e}"
    low, high = sorted(np.roots(roots(found / 2)))
    assert (low, high) == pytest.approx((unstable, stable), rel=2e-4)  # one in the last digit printed, 6.5085e5 being 6.508 or 6.509
    assert net(found / 2, 0.99 * low) < 0 < net(found / 2, 1.01 * low) and net(found / 2, 0.99 * high) > 0 > net(clearing / 2, 1.01 * high)
    dish = course(carm_kill_invitro, [0.0, 5 * DAY, 10 * DAY], {"macrophages": 1.9e6}, eta=eta, gamma=gamma)["tumour_cells"]
    assert (f"{dish[1]:.3e}", f"{dish[2]:.3e}") == (f"{five:.3e}", f"{ten:.3e}")
    assert (round(p["kappa"] * DAY / gamma, 2), round(p["kappa"] * DAY / eta, 2)) == (each, of_tumour)


# Tumour and T cells.

NONE = {"kT": 1e-30}


def size(days, given=None, model=carm_tumour, **theta):
    return course(model, np.asarray(days, float) * DAY, given, **theta)


def test_an_untreated_tumour_grows_as_its_law_says():
    kg = 0.0098
    grown = size([0, 56], **NONE, kg=kg / DAY)
    ratio = grown["volume"][1] / grown["volume"][0]
    assert ratio == pytest.approx(math.exp(kg * 56), rel=1e-8)
    sld = seen(carm_tumour, grown)["sld"]
    assert sld[0] == pytest.approx(60.0, rel=1e-12) and sld[1] / sld[0] == pytest.approx(
        1.2, abs=1e-3
    )  # 20 % in 8 weeks: 0.0098/d in volume
    assert grown["effectors"][1] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("kind", ["gompertz", "logistic"])
def test_growth_laws_with_a_ceiling(kind):
    from pkpd import compose
    from pkpd.models.carm import combined
    from pkpd.models.carm.tumour import lesions, t_cells, tumour

    model = compose("growth", *combined._cells, tumour(kind), t_cells(), lesions, observables=carm_tumour.observables)
    v0, top, kg, t = model.typical["V0"], model.typical["Vmax"], 0.02, 100.0
    grown = size([0, t], model=model, kg=kg / DAY, **NONE)["volume"][1]
    exact = {
        "gompertz": top * math.exp(math.log(v0 / top) * math.exp(-kg * t)),
        "logistic": top / (1 + (top / v0 - 1) * math.exp(-kg * t)),
    }
    assert grown == pytest.approx(exact[kind], rel=1e-8)


def test_several_lesions_share_the_volume():
    v = 3 * math.pi / 6 * 20.0**3
    assert seen(carm_tumour, dict.fromkeys(carm_tumour.state_names, 0.0) | {"volume": v}, n_lesions=3.0)["sld"] == pytest.approx(60.0)


def test_kill_and_recruitment_at_a_point():
    a, v, e = 2e-3, 5e4, 3.0
    y = dict.fromkeys(carm_tumour.state_names, 0.0) | {"active": a, "volume": v, "effectors": e}
    found, p = rates(carm_tumour, y), carm_tumour.typical
    ml = v / 1000
    direct, t_cells = 6.0 * a * (ml / 10) / (1 + p["eta"] * a + ml / 10), 0.05 * e * ml / (10 + ml)
    assert found["volume"] * DAY / 1000 == pytest.approx(0.007 * ml - direct - t_cells, rel=1e-12)  # mL/d, as SCIENCE.md has it
    assert found["effectors"] * DAY == pytest.approx(0.05 * (1 - e) + 0.2 * a / (1e-3 + a) * e * (1 - e / 100), rel=1e-12)
    gone = found["lung"] + found["blood"] + found["liver"] + found["spleen"] + found["tumour"] + found["active"]
    assert gone == pytest.approx(-p["k_Ad"] * a, rel=1e-12)


def test_t_cells_stay_below_their_cap():
    """A constant far above A50: dE (1 - E) + pE E (1 - E/cap) = 0, the positive root."""
    still = {"k_Ad": 1e-30, "c_kill": 1e-30, **NONE}
    end = size([0, 3000], {"active": 1e3}, **still)["effectors"][-1]
    pe, de, cap = 0.2, 0.05, 100.0
    assert end == pytest.approx(max(np.roots([-pe / cap, pe - de, de])), rel=1e-5)  # A50/A = 1e-6


@pytest.mark.parametrize("model", [carm_tumour, carm_outcomes, carm_study, carm_panel])
def test_capture_follows_tumour_perfusion(model):
    """(V/V_ref)^(2/3), whatever the patient's own volume before treatment is."""
    y = dict.fromkeys(model.state_names, 0.0) | {"blood": 1.0, "volume": 8 * model.typical["V_ref"], "effectors": 1.0}
    assert rates(model, y, V0=7.0)["tumour"] == pytest.approx(4 * model.typical["k_BT"], rel=1e-12)


def test_the_printed_scale_of_direct_killing():
    """1 % of the cells reach the tumour; 5e9 then kill 0.7-1.4e8 a day (1.4-2.9 each) against 0.8-8e8 births; as coded 0.27 of 0.79 mL/d."""
    p = carm_tumour.typical
    released = p["f_L"] * p["k_LB"] / (p["k_LB"] + p["k_Ld"]) + 1 - p["f_L"]
    share = released * p["k_BT"] / (p["k_BH"] + p["k_BP"] + p["k_BT"] + p["k_Bd"])
    assert round(100 * share, 2) == 0.97
    assert (round(1.4 * 5e9 * share, -7), round(2.9 * 5e9 * share, -7)) == (7e7, 1.4e8)
    y = dict.fromkeys(carm_tumour.state_names, 0.0) | {"volume": p["V0"]}
    births = rates(carm_tumour, y)["volume"] * DAY / 1000
    killed = births - rates(carm_tumour, y | {"active": 5 * share})["volume"] * DAY / 1000
    assert (round(births, 2), round(killed, 2)) == (0.79, 0.27) and (round(births * 1e8, -7), round(births * 1e9, -8)) == (8e7, 8e8)


def test_pembrolizumab_is_no_effect_until_somebody_says_so():
    y = dict.fromkeys(carm_tumour.state_names, 0.1) | {"volume": 1e5, "effectors": 2.0}
    with_it = {"PEMBRO": 1.0}
    assert rates(carm_pembrolizumab, y, with_it) == pytest.approx(rates(carm_tumour, y), rel=1e-14)
    doubled = rates(carm_pembrolizumab, y, with_it, pembro_kill=2.0)
    assert doubled == pytest.approx(rates(carm_tumour, y, kT=2 * carm_tumour.typical["kT"]), rel=1e-13)
    tripled = rates(carm_pembrolizumab, y, with_it, pembro_expansion=3.0)
    assert tripled == pytest.approx(rates(carm_tumour, y, pE=3 * carm_tumour.typical["pE"]), rel=1e-13)
    assert rates(carm_pembrolizumab, y, pembro_kill=2.0) == pytest.approx(rates(carm_tumour, y), rel=1e-14)  # the covariate is 0


def test_every_source_begins_with_its_status():
    """The words of SCIENCE.md: PUB, DER, TRN, ASM."""
    status = re.compile(r"(published|derived|transcribed): \S|assumption($|: \S)")
    models = [load_model(n) for n in available_models() if model_source(n).parent.name in ("carm", "cart")]
    assert len(models) > 15 and [(m.name, p.name, p.source) for m in models for p in m.params if not status.match(p.source)] == []
    assert all("endotoxin model" in p.source for p in cytokine_network.params if p.name in ("x50", "steep", "tnf_gain", "tnf50"))


def test_the_library_lists_what_the_pages_promise():
    assert load_model("carm_mpbpk") is carm_mpbpk
