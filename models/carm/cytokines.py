"""Cytokine release with tolerance: cells in lung, liver and (antigen-activated) tumour stimulate production; exposure dampens it.

    u       = (L + H) + weight_A A                                        driver, 1e9 lung-or-liver-equivalent cells
    dZ/dt   = k_Z (u - Z)                                                tolerance follows the driver
    dC_j/dt = kout_j (base_j + gain_j u / (1 + Z/Z50)) - kout_j C_j      C_j(0) = base_j

`gain_j` is base_j s_j of the usual indirect-response form, in pg/mL per 1e9 cells: base and slope alone are hardly told apart (correlation -0.99)
when the baseline lies below the limit of quantification. The lung and liver weight is 1; only `weight_A` is a free weight.
Form: indirect response III (Dayneka 1993) with a moderator (Gabrielsson & Weiner). A release term that does not need HER2 is required:
macrophages without a CAR raised IL-6 and IL-8 with dose (Hennemann 1997).
"""

from pkpd import Component, Observable, Param, Signal, State, gain, loss, total

CELLS = "1e9 cells"
VOLUNTEERS = "derived: pre-dose median of 20 volunteers given 2 ng/kg endotoxin (Windoloski 2024, files); assay-dependent"
ENDOTOXIN = "published: macrophage endotoxin model (Windoloski 2024, files), rounded"
FREE = "assumption: an order of magnitude; free, log sd 1.5"
KOUT = "assumption: elimination as of the others, log sd 1"

#               base  source      kout   source
CYTOKINES = {
    "il6": (
        0.71,
        VOLUNTEERS,
        2.1,
        "published: 20 min half-life (Hosseini 2020); derived: at least 1.2/h, from the late decline in volunteers",
        43.0,
    ),
    "tnf": (6.3, VOLUNTEERS, 1.4, ENDOTOXIN, 126.0),
    "il8": (2.8, VOLUNTEERS, 0.69, ENDOTOXIN, 56.0),
    "il10": (4.2, VOLUNTEERS, 0.80, ENDOTOXIN, 84.0),
    "mcp1": (200.0, FREE, 0.7, KOUT, 4000.0),
    "ifng": (5.0, FREE, 0.7, KOUT, 100.0),
}

driver = Component(
    "driver",
    params=Param("weight_A", 50.0, "1", "weight of an activated tumour cell against a lung or liver cell", source="assumption"),
    reads=("cells_lung_liver", "cells_active"),
    gives=Signal("stimulus", CELLS, "lung-or-liver-equivalent cells that release cytokines"),
    signals=lambda t, y, p, s: {"stimulus": s.cells_lung_liver + p.weight_A * s.cells_active},
)

tolerance = Component(
    "tolerance",
    states=State("Z", CELLS, "tolerance: the stimulus, followed with delay"),
    params=(
        Param("k_Z", 0.03, "1/h", "rate at which tolerance builds and fades", source="assumption"),
        Param("Z50", 0.5, CELLS, "tolerance that halves the stimulation", source="assumption"),
    ),
    reads="stimulus",
    gives=Signal("drive", CELLS, "stimulus after tolerance"),
    signals=lambda t, y, p, s: {"drive": s.stimulus / (1.0 + y.Z / p.Z50)},
    rates=lambda t, y, p, s: total(gain("Z", p.k_Z * s.stimulus), loss("Z", p.k_Z * y.Z)),
)


def cytokine_turnover(
    name: str, drive: str = "drive", drive_unit: str = CELLS, gain_value: float | None = None, gain_source: str = ""
) -> Component:
    """Production and elimination of one cytokine ("il6", "tnf", "il8", "il10", "mcp1", "ifng"), stimulated by the signal `drive`."""
    base, base_source, kout, kout_source, slope = CYTOKINES[name]
    gain_source = gain_source or "assumption: slope 60 (IL-6) or 20 per 1e9 cells, times the baseline"

    def rates(t, y, p, s):
        production = p[f"base_{name}"] + p[f"gain_{name}"] * s[drive]
        return total(gain(name, p[f"kout_{name}"] * production), loss(name, p[f"kout_{name}"] * y[name]))

    return Component(
        f"turnover_{name}",
        states=State(name, "pg/mL", f"{name} in serum", initial=f"base_{name}"),
        params=(
            Param(f"base_{name}", base, "pg/mL", "concentration without stimulus", source=base_source),
            Param(f"kout_{name}", kout, "1/h", "elimination", source=kout_source),
            Param(
                f"gain_{name}", gain_value or slope, f"pg/mL/({drive_unit})", "rise per unit of stimulus (base x slope)", source=gain_source
            ),
        ),
        reads=drive,
        rates=rates,
        text=__doc__,
    )


def serum(name: str) -> Observable:
    """The cytokine's concentration as measured."""
    return Observable(name, "pg/mL", lambda y, p, s: y[name], f"serum {name}")
