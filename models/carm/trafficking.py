"""CAR-macrophages after infusion: held in the lung, released to blood, cleared to liver and spleen, caught by tumour, activated by antigen.

    dL/dt = -(k_LB + k_Ld) L                                             lung          dose: f_L of it
    dB/dt =  k_LB L - (k_BH + k_BP + k_BT + k_Bd) B + k_HB H             blood         dose: 1 - f_L
    dH/dt =  k_BH B - (k_Hd + k_HB) H                                    liver
    dP/dt =  k_BP B - k_Pd P                                             spleen and marrow
    dT/dt =  k_BT B - k_act h T - k_Td T                                 tumour, resting
    dA/dt =  k_act h T - k_Ad A                                          tumour, antigen-activated
    h = 1 for HER2 3+, h2 for HER2 2+                                    y = S B

States in 1e9 CAR+ viable cells, time in hours. No CT-0508 kinetics are published: every value is an assumption or transcribed, as marked.
Noise-free blood determines only four combinations of these parameters; liver, spleen and tumour uptake appear in it as one sum.
HER2 acts on activation alone: with k_Ad = k_Td, as the typical values have it and the fits tie it, T + A is the same whatever HER2; retention by HER2
needs k_Ad < k_Td (a prior of its own for k_Ad, or `tied("k_Td", 0.5)`).
"""

import math

import jax.numpy as jnp

from pkpd import Component, Covariate, Dose, Example, Observable, Param, Signal, State, cells, compose, flow, infusion, loss, total

CELLS = "1e9 cells"

STATES = (
    State("lung", CELLS, "held in the lung vasculature"),
    State("blood", CELLS, "circulating"),
    State("liver", CELLS, "taken up by the liver"),
    State("spleen", CELLS, "taken up by spleen and marrow"),
    State("tumour", CELLS, "in the tumour, resting"),
    State("active", CELLS, "in the tumour, activated by antigen"),
)

PARAMS = (
    Param(
        "f_L",
        0.8,
        "1",
        "share of the dose first held in the lung",
        source="assumption: lungs predominate in the first hour (Quillien 2001)",
        support="unit",
    ),
    Param("k_LB", 0.25, "1/h", "release from lung to blood", source="assumption: half-life 2.8 h, from lung scans of infused macrophages"),
    Param("k_Ld", 0.01, "1/h", "death in the lung", source="assumption: small against release"),
    Param("k_BH", 0.05, "1/h", "uptake by the liver", source="assumption: total exit of 0.10/h, a 7 h half-life as of labelled leucocytes"),
    Param("k_BP", 0.02, "1/h", "uptake by spleen and marrow", source="assumption: 0.4 of liver uptake"),
    Param(
        "k_Bd",
        math.log(2) / 24,
        "1/h",
        "death in blood",
        source="assumption: classical monocytes live about 1 day (Patel 2017, JEM 214:1913)",
    ),
    Param("k_BT", 0.001, "1/h", "capture by the tumour", source="assumption: bounded by tumour perfusion, 0.2-1 % of cardiac output"),
    Param("k_HB", 0.0, "1/h", "return from liver to blood", source="assumption: no recirculation", support="nonnegative"),
    Param("k_Hd", math.log(2) / 48, "1/h", "death in the liver", source="assumption: residence of days; labels elute"),
    Param("k_Pd", math.log(2) / 72, "1/h", "death in the spleen", source="assumption: residence of days; labels elute"),
    Param("k_act", 0.02, "1/h", "activation by antigen", source="assumption"),
    Param("h2", 0.3, "1", "activation at HER2 2+ relative to 3+", source="assumption: Beta(2, 4)", support="unit"),
    Param("k_Td", 0.02 / 24, "1/h", "death in the tumour, resting", source="transcribed: 0.02/d in Xu & Liu 2025 (code)"),
    Param("k_Ad", 0.02 / 24, "1/h", "death in the tumour, activated", source="transcribed: 0.02/d in Xu & Liu 2025 (code)"),
)

HER2 = Covariate("HER2", "1", "HER2 immunohistochemistry score, 2 or 3", reference=3.0)


def moves(y, k, antigen, perfusion=None):
    """Every move but the return from the liver: cells `y` by state, rate constants `k` by name, the antigen factor and that of tumour perfusion."""
    capture = k.k_BT * y.blood if perfusion is None else k.k_BT * perfusion * y.blood
    return total(
        flow("lung", "blood", k.k_LB * y.lung),
        loss("lung", k.k_Ld * y.lung),
        flow("blood", "liver", k.k_BH * y.blood),
        flow("blood", "spleen", k.k_BP * y.blood),
        flow("blood", "tumour", capture),
        loss("blood", k.k_Bd * y.blood),
        loss("liver", k.k_Hd * y.liver),
        loss("spleen", k.k_Pd * y.spleen),
        flow("tumour", "active", k.k_act * antigen * y.tumour),
        loss("tumour", k.k_Td * y.tumour),
        loss("active", k.k_Ad * y.active),
    )


def one_way(t, y, p, s):
    """Everything but the return from the liver."""
    return moves(y, p, jnp.where(s.HER2 >= 3.0, 1.0, p.h2))


def with_return(t, y, p, s):
    return total(one_way(t, y, p, s), flow("liver", "blood", p.k_HB * y.liver))


GIVES = (
    Signal("cells_lung_liver", CELLS, "cells in lung and liver"),
    Signal("cells_active", CELLS, "antigen-activated cells in the tumour"),
)


def component(name, params, rates_function, reads=(), covariates=HER2, text=__doc__):
    """Six pools with the same dose route and the same signals, moved by `rates_function`."""
    return Component(
        name,
        states=STATES,
        params=params,
        rates=rates_function,
        reads=reads,
        gives=GIVES,
        signals=lambda t, y, p, s: {"cells_lung_liver": y.lung + y.liver, "cells_active": y.active},
        doses=Dose("infusion", into={"lung": "f_L", "blood": "1 - f_L"}, unit=CELLS),
        covariates=covariates,
        text=text,
    )


def without(*names):
    """The parameters, less these."""
    return tuple(p for p in PARAMS if p.name not in names)


recirculating = component("trafficking", PARAMS, with_return)
trafficking = component("trafficking", without("k_HB"), one_way)

qpcr = Component(
    "qpcr",
    params=Param(
        "S",
        4.3e4,
        "copies/ug/(1e9 cells)",
        "vector copies per ug DNA for each 1e9 cells in blood",
        source="assumption: 7e6 nucleated cells/mL x 5 L, 6.6 pg DNA a cell, 10 copies a cell (the copy number is unknown)",
    ),
)

car_dna = Observable("car_dna", "copies/ug", lambda y, p, s: p.S * y.blood, "vector DNA in blood")

ONCE = infusion(cells(5e9, viability=0.9, car_fraction=0.75), over=(30, "min"))
AMOUNT = "assumption: the amount of the simulated study, 5e9 cells of which 90 % live and 75 % carry the CAR"
TWO_WEEKS = Example(ONCE, (14, "day"), AMOUNT)
TWELVE_WEEKS = Example(ONCE, (12, "week"), AMOUNT)

carm_trafficking = compose("carm_trafficking", trafficking, qpcr, observables=[car_dna], text=__doc__, example=TWO_WEEKS)
carm_recirculating = compose("carm_recirculating", recirculating, qpcr, observables=[car_dna], text=__doc__, example=TWO_WEEKS)
