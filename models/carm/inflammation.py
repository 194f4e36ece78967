"""The published endotoxin model with infused cells in the place of endotoxin and resting macrophages.

    u       = (L + H) + weight_A A                                        stimulus, as in cytokines.py
    N       = L + H + A                                                   infused cells that can be activated, from trafficking
    act     = Hp(u; x_u, h_u) (kM + kMTNF Hp(TNF; xMTNF, hMTNF)) Hm(IL10; xM10, hM10) N
    dMA/dt  = act - kMA MA                                                activity, 1e9 cells
    dC_j/dt = units made_j MA - k_j (C_j - w_j)                           made_j and its interactions as in macrophage_endotoxin

Of the 43 parameters of that model kE, kMR, xME, hME and Mmax fall away; x_u and h_u take their place, and `units` says how many of its arbitrary macrophage
units 1e9 infused cells are. Activation does not use a cell up: activity lasts 1/kMA = 22 min and a cell may be activated again (assumed), so MA is
activity, not a pool of cells, and the cells of trafficking balance without it. Elimination of IL-6 is 2.1/h: the 0.66/h there lies below what its data
allow (1.2/h). Baselines are the volunteers' own medians. TNF activates what makes TNF, so release is nearly all or none: after the typical infusion the
peak of IL-6 is 14 pg/mL at 5000 units and 370 at 5500 (a test). No dose-response as smooth as that of cytokines.py comes of it. Nothing was measured of
CAR-macrophages for any interaction: use it to ask what feedback could do, not to estimate it.
"""

from pkpd import Component, Param, State, compose, gain, loss, total

from . import cytokines
from .macrophage_endotoxin import TABLE, activated, made, turnover, up
from .trafficking import CELLS, TWO_WEEKS, car_dna, qpcr, trafficking

SWITCH = "assumption: just above 5500, from where 5e9 infused cells (3.4e9 CAR+ viable) start the release that TNF sustains"
GONE = ("kE", "kMR", "xME", "hME", "Mmax")
OWN = {
    "k6": (cytokines.CYTOKINES["il6"][2], cytokines.CYTOKINES["il6"][3]),
    **{w: cytokines.CYTOKINES[c][:2] for w, c in (("wTNF", "tnf"), ("w6", "il6"), ("w8", "il8"), ("w10", "il10"))},
}
PANEL = ("il6", "tnf", "il8", "il10")


def published(name, value, unit, meaning, source):
    value, source = OWN.get(name, (value, source))
    return Param(name, value, unit, meaning, source=source)


def rates(t, y, p, s):
    active = up(s.stimulus, p.x_u, p.h_u) * activated(y, p) * (s.cells_lung_liver + s.cells_active)
    return total(
        gain("activity", active),
        loss("activity", p.kMA * y.activity),
        turnover(y, p, made(y, p), p.units * y.activity),
    )


inflammation = Component(
    "carm_feedback",
    states=(
        State("activity", CELLS, "activity of infused cells, as a number of activated ones"),
        *(State(c, "pg/mL", f"{c} in serum", initial=w) for c, w in (("tnf", "wTNF"), ("il6", "w6"), ("il8", "w8"), ("il10", "w10"))),
    ),
    params=(
        Param("x_u", 5.0, CELLS, "stimulus of half the activation", source="assumption: as many as the largest simulated dose, 5e9 cells"),
        Param("h_u", 1.0, "1", "steepness in the stimulus", source="assumption: as hME = 1 of the endotoxin model (Windoloski 2024, files)"),
        Param("units", 6000.0, "1/(1e9 cells)", "macrophage units of the endotoxin model that 1e9 infused cells are", source=SWITCH),
        *(published(*row) for row in TABLE if row[0] not in GONE),
    ),
    reads=("stimulus", "cells_lung_liver", "cells_active"),
    rates=rates,
)  # fmt: skip

carm_inflammation = compose(
    "carm_inflammation",
    trafficking,
    qpcr,
    cytokines.driver,
    inflammation,
    observables=[car_dna, *map(cytokines.serum, PANEL)],
    text=__doc__,
    example=TWO_WEEKS,
)
