"""CAR-macrophages with everything a trial looks at: blood, cytokines, biopsies, tumour size, T cells; and a place for pembrolizumab.

    trafficking            as carm_trafficking, with capture k_BT g(V), g = (V/V_ref)^(2/3), and activation k_act x antigen (the HER2 gate)
    tumour, T cells        as in tumour.py
    cytokines              as in cytokines.py
    biopsy                 S_x (T + A), vector copies in tumour tissue
    pembrolizumab          pE x expansion_boost , kT x kill_boost , both 1 unless the covariate PEMBRO is 1

Nothing was published of the combination but that its cohort enrols: the boosts are 1 (no effect) and have to be set by whoever asks what if. S_x and
k_BT are almost exchangeable when S_x is free (correlation -0.96): S_x is to be known. Parameters of killing, T cells and CRS stay at their prior in
any fit to 14 patients.
"""

from pkpd import Component, Covariate, Observable, Param, Signal, compose

from . import cytokines
from .crs import exposure
from .gate import her2_gate
from .trafficking import TWELVE_WEEKS, car_dna, component, moves, qpcr, without
from .tumour import baseline, lesions, sld, t_cell_level, t_cells, tumour

PANEL = ("il6", "tnf", "il8", "il10", "mcp1", "ifng")

in_tumour = component(
    "trafficking",
    without("k_HB", "h2"),
    lambda t, y, p, s: moves(y, p, s.antigen, s.perfusion),
    reads=("antigen", "perfusion"),
    covariates=(),
)

biopsy = Component(
    "biopsy",
    params=Param(
        "S_x",
        2.6e4,
        "copies/ug/(1e9 cells)",
        "vector copies per ug tumour DNA for each 1e9 cells in the tumour: known, not estimated",
        source="assumption: 5.7e10 nucleated cells in 113 mL, 6.6 pg DNA a cell, 10 copies a cell (the copy number is unknown)",
    ),
)

biopsy_car = Observable("biopsy_car", "copies/ug", lambda y, p, s: p.S_x * (y.tumour + y.active), "vector DNA in a tumour biopsy")

NO_EFFECT = "assumption: no effect; results of the combination cohort are unknown"
pembrolizumab = Component(
    "pembrolizumab",
    params=(
        Param("pembro_expansion", 1.0, "1", "factor on T-cell expansion under pembrolizumab", source=NO_EFFECT),
        Param("pembro_kill", 1.0, "1", "factor on T-cell killing under pembrolizumab", source=NO_EFFECT),
    ),
    gives=(
        Signal("expansion_boost", "1", "factor on T-cell expansion"),
        Signal("kill_boost", "1", "factor on T-cell killing"),
    ),
    signals=lambda t, y, p, s: {
        "expansion_boost": 1.0 + s.PEMBRO * (p.pembro_expansion - 1.0),
        "kill_boost": 1.0 + s.PEMBRO * (p.pembro_kill - 1.0),
    },
    covariates=Covariate("PEMBRO", "1", "1 while pembrolizumab is given, else 0; may change in time", reference=0.0),
)

_cells = (in_tumour, her2_gate, qpcr, biopsy)
_looks = (car_dna, biopsy_car, sld, t_cell_level)
_cytokines = (cytokines.driver, cytokines.tolerance, *(cytokines.cytokine_turnover(c) for c in PANEL), exposure)

carm_tumour = compose(
    "carm_tumour",
    *_cells,
    tumour(),
    t_cells(),
    lesions,
    observables=_looks,
    text=f"CAR-macrophages, the tumour they enter, the T cells they recruit.\n\n{__doc__}",
    example=TWELVE_WEEKS,
)

carm_pembrolizumab = compose(
    "carm_pembrolizumab",
    *_cells,
    tumour(boosted=True),
    t_cells(boosted=True),
    lesions,
    pembrolizumab,
    observables=_looks,
    text=f"CAR-macrophages with pembrolizumab, whose factors are 1 until set.\n\n{__doc__}",
    example=TWELVE_WEEKS,
)

carm_study = compose(
    "carm_study",
    *_cells,
    tumour(),
    t_cells(),
    lesions,
    *_cytokines,
    observables=(
        *_looks,
        *map(cytokines.serum, PANEL),
        Observable("il6_auc", "pg*h/mL", lambda y, p, s: y.il6_auc, "IL-6 above baseline, so far"),
        Observable("detect", car_dna.unit, car_dna.value, "vector DNA in blood, reported as detected or not"),
        Observable("recist", "mm", sld.value, "tumour size behind a class of response"),
        Observable("sld0", "mm", baseline, "tumour size before treatment"),
    ),
    text=f"CAR-macrophages with everything a trial looks at: blood, six cytokines, biopsies, tumour size, T cells.\n\n{__doc__}",
    example=TWELVE_WEEKS,
)
