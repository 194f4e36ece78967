"""Cytokines that act on each other: IL-10 dampens the release of TNF, IL-6 and IL-8, TNF adds to that of IL-6 and IL-8; release saturates in the
stimulus.

    drive_j = drive_max drive/(drive_max + drive) x x50^n/(x50^n + IL10^n) x (1 + tnf_gain TNF/(tnf50 + TNF))          the last factor for IL-6 and IL-8 only
    dC_j/dt = kout_j (base_j + gain_j drive_j) - kout_j C_j

Stimulus, tolerance and turnover are those of cytokines.py, whose model this is as drive_max and x50 grow and tnf_gain goes to 0 (a test). The form of
the interactions is that of the published endotoxin model (`macrophage_endotoxin`); their values there belong to its units of macrophages, so all here
are assumptions. Blood cytokines of one dose tell little of them: keep the plain panel unless two arms differ in IL-10 or TNF.
"""

from pkpd import Component, Param, Signal, compose

from . import cytokines
from .macrophage_endotoxin import down
from .trafficking import CELLS, car_dna, qpcr, trafficking

PANEL = ("il6", "tnf", "il8", "il10")
FORM = "assumption: order of magnitude of the endotoxin model"

interactions = Component(
    "interactions",
    params=(
        Param("drive_max", 5.0, CELLS, "stimulus that saturates release", source="assumption: the largest dose"),
        Param("x50", 30.0, "pg/mL", "IL-10 that halves release", source=FORM),
        Param("steep", 1.5, "1", "steepness in IL-10", source=FORM),
        Param("tnf_gain", 1.0, "1", "release of IL-6 and IL-8 that TNF adds at most", source=FORM),
        Param("tnf50", 250.0, "pg/mL", "TNF of half of it", source=FORM),
    ),
    reads=("drive", "il10", "tnf"),
    gives=tuple(Signal(f"drive_{c}", CELLS, f"stimulus of {c} after all interactions") for c in PANEL),
    signals=lambda t, y, p, s: _drives(y, p, s.drive),
)


def _drives(y, p, drive):
    held = p.drive_max * drive / (p.drive_max + drive)
    dampened = held * down(y.il10, p.x50, p.steep)
    added = dampened * (1.0 + p.tnf_gain * y.tnf / (p.tnf50 + y.tnf))
    return {"drive_il6": added, "drive_il8": added, "drive_tnf": dampened, "drive_il10": held}


cytokine_network = compose(
    "cytokine_network",
    trafficking,
    qpcr,
    cytokines.driver,
    cytokines.tolerance,
    interactions,
    *(cytokines.cytokine_turnover(c, f"drive_{c}") for c in PANEL),
    observables=[car_dna, *map(cytokines.serum, PANEL)],
    text=__doc__,
)
