"""The tumour that CAR-macrophages enter: its growth, direct killing by activated cells, and the T cells they recruit, which kill too.

    dV/dt = growth(V) - c_kill A gam V / (1 + eta A + gam V) - kT E V / (V50 + V)                V(0) = V0
    dE/dt = dE (1 - E) + pE A/(A50 + A) E (1 - E/E_cap)                                          E(0) = 1, relative to baseline
    growth: kg V (exponential)  or  kg V ln(Vmax/V) (Gompertz)  or  kg V (1 - V/Vmax) (logistic)
    SLD = n (6 V / (n pi))^(1/3)                                                                 n equal spheres, V in mm^3, SLD in mm

A are antigen-activated macrophages in the tumour (1e9 cells); tumour perfusion g(V) = (V/V_ref)^(2/3) scales their capture: V_ref is the volume at
which it is k_BT, the same for all, while V0 is a patient's own. The in-vitro ceiling of 1.4-2.9 tumour cells a macrophage a day is 1.4-29 mL/d for
each 1e9 cells at 1e8-1e9 tumour cells/mL. At the typical values 1 % of the cells reach the tumour, the upper end of the 0.01-1 % assumed: 5e9 cells
kill 0.7-1.4e8 tumour cells a day against 0.8-8e8 births. As coded that is 0.27 of 0.79 mL/d: not enough to shrink a tumour, and
invisible in SLD at 0.1 %. So the T-cell arm must carry any larger effect, and no parameter of either can be told from the SLD of 14 patients without a
response. E_cap keeps T cells finite while A is above A50.
"""

import math

import jax.numpy as jnp

from pkpd import Component, Observable, Param, Signal, State, gain, loss, total

CELLS = "1e9 cells"
DAY = 24.0

TYPICAL = math.pi / 6 * 60.0**3  # mm^3: one lesion of 60 mm
VMAX = Param("Vmax", 1e6, "mm^3", "volume at which growth stops", source="assumption: one litre")
GROWTHS = {
    "exponential": ((), lambda p, v: p.kg * v),
    "gompertz": ((VMAX,), lambda p, v: p.kg * v * jnp.log(p.Vmax / v)),
    "logistic": ((VMAX,), lambda p, v: p.kg * v * (1.0 - v / p.Vmax)),
}

KILL = (
    Param("c_kill", 6000.0 / DAY, "mm^3/h/(1e9 cells)", "volume killed at most by 1e9 activated cells", source="assumption: 6 mL/d, from the in-vitro ceiling"),
    Param("gam", 1e-4, "1/mm^3", "1/gam: volume at which half of the ceiling is reached", source="assumption: 1/gam = 10 mL"),
    Param("eta", 1.0, "1/(1e9 cells)", "crowding of macrophages", source="assumption: no crowding below 1e9 activated cells"),
    Param("kT", 50.0 / DAY, "mm^3/h", "volume killed at most by baseline T cells", source="assumption: 0.05 mL/d"),
    Param("V50", 1e4, "mm^3", "volume at which T cells kill half of that", source="assumption: 10 mL"),
)  # fmt: skip


def relative(y, p):
    """Volume over that before treatment; a billionth at least, so that roots stay finite where a solver undershoots nothing."""
    return jnp.maximum(y.volume / p.V0, 1e-9)


def tumour(growth: str = "exponential", boosted: bool = False) -> Component:
    """Growth ("exponential", "gompertz" or "logistic") and killing; `boosted` lets a signal `kill_boost` multiply kT."""
    extra, grow = GROWTHS[growth]

    def rates(t, y, p, s):
        v, a = y.volume, s.cells_active
        direct = p.c_kill * a * p.gam * v / (1.0 + p.eta * a + p.gam * v)
        by_t_cells = p.kT * y.effectors * v / (p.V50 + v)
        return total(
            gain("volume", grow(p, v)), loss("volume", direct), loss("volume", by_t_cells * s.kill_boost if boosted else by_t_cells)
        )

    return Component(
        "tumour_size",
        states=State("volume", "mm^3", "tumour volume", initial="V0"),
        params=(
            Param("V0", TYPICAL, "mm^3", "volume before treatment", source="assumption: one lesion of 60 mm"),
            Param("V_ref", TYPICAL, "mm^3", "volume at which capture by the tumour is k_BT: not estimated", source="assumption: one lesion of 60 mm"),
            Param("kg", 0.007 / DAY, "1/h", "growth rate", source="assumption: 0.007/d, doubling in 2-6 months"),
            *extra,
            *KILL,
        ),
        reads=("cells_active", "effectors", *(("kill_boost",) if boosted else ())),
        rates=rates,
        gives=Signal("perfusion", "1", "blood flow of the tumour relative to that at V_ref"),
        signals=lambda t, y, p, s: {"perfusion": jnp.maximum(y.volume / p.V_ref, 1e-9) ** (2.0 / 3.0)},
    )  # fmt: skip


def t_cells(boosted: bool = False) -> Component:
    """T cells recruited by activated macrophages; `boosted` lets a signal `expansion_boost` multiply pE."""

    def rates(t, y, p, s):
        e, a = y.effectors, s.cells_active
        drive = p.pE * a / (p.A50 + a) * e * (1.0 - e / p.E_cap)
        return total(
            gain("effectors", p.dE), loss("effectors", p.dE * e), gain("effectors", drive * s.expansion_boost if boosted else drive)
        )

    return Component(
        "t_cells",
        states=State("effectors", "1", "T-cell effectors relative to baseline", initial=1.0),
        params=(
            Param("pE", 0.2 / DAY, "1/h", "expansion by activated macrophages", source="assumption: 0.2/d"),
            Param("dE", 0.05 / DAY, "1/h", "return to baseline", source="assumption: 0.05/d"),
            Param("A50", 1e-3, CELLS, "activated cells that give half of the expansion", source="assumption"),
            Param("E_cap", 100.0, "1", "largest expansion", source="assumption: keeps the number finite"),
        ),
        reads=("cells_active", *(("expansion_boost",) if boosted else ())),
        rates=rates,
    )


lesions = Component(
    "lesions", params=Param("n_lesions", 1.0, "1", "number of equal target lesions: known, not estimated", source="assumption: one lesion")
)


def diameter(y, p, s):
    """Sum of the diameters of n equal spheres of the volume."""
    return p.n_lesions * (6.0 * p.V0 / (math.pi * p.n_lesions) * relative(y, p)) ** (1.0 / 3.0)


def baseline(y, p, s):
    """The same before treatment; a function of V0 alone."""
    return p.n_lesions * (6.0 * p.V0 / (math.pi * p.n_lesions)) ** (1.0 / 3.0)


sld = Observable("sld", "mm", diameter, "sum of longest diameters")
t_cell_level = Observable("t_cells", "1", lambda y, p, s: y.effectors, "T-cell effectors relative to baseline")
