"""What one phase 1 patient is measured for, all in one model: blood copies, four cytokines, biopsies, tumour size, the grade of CRS.

    cells, tumour, T cells      as `carm_study` (combined.py): capture grows with the tumour, activated cells recruit T cells
    C_j                         dC_j/dt = kout_j (base_j + release gain_j u / (1 + Z/Z50)) - kout_j C_j ,  j in IL-6, TNF, IL-8, IL-10
    release                     how much a patient releases of all four, relative to the typical one: 1, with a spread between patients
    grade of CRS                logit P(grade >= g) = b (x - c_g) ,  x = ln(area of IL-6 above baseline so far / auc_ref + 0.001)

One factor `release` for all cytokines is the assumption that a patient who releases much of one releases much of all, in proportion; with 14 patients
four separate spreads would not be told apart.
"""

import jax.numpy as jnp

from pkpd import Component, Observable, Param, Signal, compose

from . import cytokines
from .combined import biopsy, biopsy_car, in_tumour
from .crs import exposure
from .gate import her2_gate
from .trafficking import TWELVE_WEEKS, car_dna, qpcr
from .tumour import lesions, sld, t_cells, tumour

MEASURED = ("il6", "tnf", "il8", "il10")

release = Component(
    "release",
    params=Param(
        "release",
        1.0,
        "1",
        "release of all cytokines by this patient's cells, relative to the typical patient",
        source="assumption: 1 stands for the typical patient",
    ),
    reads="drive",
    gives=Signal("released", cytokines.CELLS, "stimulus after tolerance, times the patient's release"),
    signals=lambda t, y, p, s: {"released": p.release * s.drive},
)

grading = Component(
    "grading",
    params=Param(
        "auc_ref",
        1000.0,
        "pg*h/mL",
        "area of IL-6 that cutpoints of grades are told against",
        source="assumption: a unit, 50 pg/mL above baseline for 20 h",
    ),
)


def log_area(y, p, s):
    return jnp.log(y.il6_auc / p.auc_ref + 1e-3)


carm_panel = compose(
    "carm_panel",
    in_tumour,
    her2_gate,
    qpcr,
    biopsy,
    tumour(),
    t_cells(),
    lesions,
    cytokines.driver,
    cytokines.tolerance,
    release,
    *(cytokines.cytokine_turnover(c, drive="released") for c in MEASURED),
    exposure,
    grading,
    observables=(
        car_dna,
        Observable("detect", car_dna.unit, car_dna.value, "vector DNA in blood, reported as detected or not"),
        *map(cytokines.serum, MEASURED),
        biopsy_car,
        sld,
        Observable("crs", "1", log_area, "ln of the area of IL-6 above baseline so far, over auc_ref: what the grade goes with"),
    ),
    text=__doc__,
    example=TWELVE_WEEKS,
)  # fmt: skip
