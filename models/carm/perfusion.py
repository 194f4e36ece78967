"""CAR-macrophage trafficking by perfusion: what leaves the blood is an organ's blood flow times the fraction extracted in one pass.

    k_BP = Q_spleen E_spleen / V_b                                       spleen and marrow, Q_spleen = 0.03 Q_CO
    k_BH = (0.22 Q_CO + Q_spleen (1 - E_spleen)) E_liver / V_b           hepatic artery and gut; what passes the spleen arrives by the portal vein
    k_BT = q_T m_T E_tumour / V_b                                        tumour: flow a gram times mass
    f_L  = E_lung                                                        the lung receives the whole output: extraction in the first pass

The states, the other rates and the dose are those of `carm_trafficking`, which this equals under that mapping (a test). The liver's total share is
0.25 of cardiac output; the spleen is not counted twice. Cells that the lung has released are not caught by it again (assumed, as in
`carm_trafficking`). Only the extractions are to be estimated, and from blood alone not even they: liver, spleen and tumour uptake appear there as one
sum.
"""

from types import SimpleNamespace

import jax.numpy as jnp

from pkpd import Component, Dose, Param, compose

from .trafficking import GIVES, HER2, STATES, TWO_WEEKS, car_dna, moves, qpcr, without

TEXTBOOK = "assumption: textbook physiology, unverified at the second digit"
MATCHED = "assumption: gives the rate of carm_trafficking at these flows"

PARAMS = (
    Param("E_lung", 0.8, "1", "share of the dose extracted by the lung in the first pass", source="assumption: as f_L", support="unit"),
    Param("E_liver", 0.05 * 5 / (66 + 9 * (1 - 0.02 * 5 / 9)), "1", "extraction by the liver", source=MATCHED, support="unit"),
    Param("E_spleen", 0.02 * 5 / 9, "1", "extraction by spleen and marrow", source=MATCHED, support="unit"),
    Param(
        "E_tumour",
        0.001 * 5 / 1.8,
        "1",
        "extraction by the tumour",
        source="assumption: k_BT = 0.001/h, at 0.6-3 L/h an extraction of 0.002-0.008",
        support="unit",
    ),
    Param("Q_CO", 300.0, "L/h", "cardiac output", source=TEXTBOOK),
    Param("V_b", 5.0, "L", "blood volume", source=TEXTBOOK),
    Param("share_liver", 0.22, "1", "share of output by hepatic artery and gut", source=TEXTBOOK, support="unit"),
    Param("share_spleen", 0.03, "1", "share of output to the spleen", source=TEXTBOOK, support="unit"),
    Param("q_T", 0.018, "L/h/g", "blood flow of a gram of tumour", source="assumption: 0.3 mL/min/g, of 0.1-0.5"),
    Param("m_T", 100.0, "g", "tumour mass", source="assumption: 100 g"),
)


def rate_constants(p):
    """The rate constants that these flows and extractions stand for (1/h)."""
    q_spleen = p.share_spleen * p.Q_CO
    return {
        "k_BP": q_spleen * p.E_spleen / p.V_b,
        "k_BH": (p.share_liver * p.Q_CO + q_spleen * (1.0 - p.E_spleen)) * p.E_liver / p.V_b,
        "k_BT": p.q_T * p.m_T * p.E_tumour / p.V_b,
    }


def rates(t, y, p, s):
    kept = {name: p[name] for name in ("k_LB", "k_Ld", "k_Bd", "k_Hd", "k_Pd", "k_act", "k_Td", "k_Ad")}
    return moves(y, SimpleNamespace(**rate_constants(p), **kept), jnp.where(s.HER2 >= 3.0, 1.0, p.h2))


perfused = Component(
    "perfused",
    states=STATES,
    params=(*PARAMS, *without("f_L", "k_BH", "k_BP", "k_BT", "k_HB")),
    rates=rates,
    gives=GIVES,
    signals=lambda t, y, p, s: {"cells_lung_liver": y.lung + y.liver, "cells_active": y.active},
    doses=Dose("infusion", into={"lung": "E_lung", "blood": "1 - E_lung"}, unit="1e9 cells"),
    covariates=HER2,
)

carm_mpbpk = compose("carm_mpbpk", perfused, qpcr, observables=[car_dna], text=__doc__, example=TWO_WEEKS)
