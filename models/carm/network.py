"""Cytokines that act on each other: IL-10 dampens the release of TNF, IL-6 and IL-8, TNF adds to that of IL-6 and IL-8; release saturates in the
stimulus.

    held    = U50 u/(U50 + u) / (1 + Z/Z50)                              saturation first, tolerance of what is left
    drive_j = held x x50^n/(x50^n + IL10^n) x (1 + tnf_gain TNF/(tnf50 + TNF))     IL-6, IL-8; TNF without the last factor; IL-10: held alone
    dC_j/dt = kout_j (base_j + gain_j drive_j) - kout_j C_j

Stimulus u, tolerance Z and turnover are those of cytokines.py, whose model this is as U50 and x50 grow and tnf_gain goes to 0 (a test). gain_j is
base_j Emax_j/U50 of the usual form, with one U50 for all cytokines (assumed). The interactions have the form of the published endotoxin model
(`macrophage_endotoxin`), TNF's with steepness 1; their values there belong to its units of macrophages, so all here are assumptions. Blood cytokines of
one dose tell little of them: keep the plain panel unless two arms differ in IL-10 or TNF.
"""

from pkpd import Component, Param, Signal, compose

from . import cytokines
from .macrophage_endotoxin import down
from .trafficking import CELLS, TWO_WEEKS, car_dna, qpcr, trafficking

PANEL = ("il6", "tnf", "il8", "il10")
MODEL = "in the endotoxin model (Windoloski 2024, files)"

interactions = Component(
    "interactions",
    params=(
        Param("U50", 5.0, CELLS, "stimulus of half the largest release", source="assumption: as many as the largest simulated dose, 5e9 cells"),
        Param("x50", 30.0, "pg/mL", "IL-10 that halves release", source=f"assumption: of the order of x610 = 31, x810 = xTNF10 = 16 {MODEL}"),
        Param("steep", 1.5, "1", "steepness in IL-10", source=f"assumption: as h810 = 1.5; h610 = 4, hTNF10 = 3 {MODEL}"),
        Param("tnf_gain", 1.0, "1", "release of IL-6 and IL-8 that TNF adds at most", source=f"assumption: as k6TNF/k6M = 1.0, k8TNF/k8M = 1.1 {MODEL}"),
        Param("tnf50", 250.0, "pg/mL", "TNF of half of it", source=f"assumption: of the order of x6TNF = x8TNF = 261 {MODEL}"),
    ),
    reads=("stimulus", "drive", "il10", "tnf"),
    gives=tuple(Signal(f"drive_{c}", CELLS, f"stimulus of {c} after all interactions") for c in PANEL),
    signals=lambda t, y, p, s: _drives(y, p, s),
)  # fmt: skip


def _drives(y, p, s):
    held = s.drive * p.U50 / (p.U50 + s.stimulus)  # `drive` is the stimulus after tolerance
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
    example=TWO_WEEKS,
)
