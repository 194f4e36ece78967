"""Cytokine release that saturates in the stimulus, each cytokine at its own number of cells.

    drive_j = U50_j u/(U50_j + u) / (1 + Z/Z50)                          saturation first, tolerance of what is left
    dC_j/dt = kout_j (base_j + gain_j drive_j) - kout_j C_j              base_j Emax_j = gain_j U50_j

Stimulus u, tolerance Z and turnover are those of cytokines.py, whose model this is as every U50_j grows; gain_j is the slope where cells are few
(base_j s_j = base_j Emax_j/U50_j of the usual form), so the largest release of a cytokine is gain_j U50_j. One dose does not tell U50_j from gain_j and
tolerance: doses that span U50_j do (`docs/validation/recovery.py`).
"""

from pkpd import Component, Param, Signal, compose

from . import cytokines
from .trafficking import CELLS, TWO_WEEKS, car_dna, qpcr, trafficking

PANEL = ("il6", "tnf", "il8", "il10")
AS_MANY = "assumption: as many as the largest simulated dose, 5e9 cells; the same for all until data tell them apart"

saturation = Component(
    "saturation",
    params=tuple(Param(f"U50_{c}", 5.0, CELLS, f"stimulus of half the largest release of {c}", source=AS_MANY) for c in PANEL),
    reads=("stimulus", "drive"),
    gives=tuple(Signal(f"drive_{c}", CELLS, f"stimulus of {c} after saturation and tolerance") for c in PANEL),
    signals=lambda t, y, p, s: {f"drive_{c}": s.drive * p[f"U50_{c}"] / (p[f"U50_{c}"] + s.stimulus) for c in PANEL},
)

cytokine_emax = compose(
    "cytokine_emax",
    trafficking,
    qpcr,
    cytokines.driver,
    cytokines.tolerance,
    saturation,
    *(cytokines.cytokine_turnover(c, f"drive_{c}") for c in PANEL),
    observables=[car_dna, *map(cytokines.serum, PANEL)],
    text=__doc__,
    example=TWO_WEEKS,
)
