"""CAR-macrophages killing tumour cells in a dish: saturable in both, the only published ODE of CAR-macrophages that was found.

    dT/dt = rho T (1 - T/beta) - kappa T M / (1 + eta M + gamma T)
    dM/dt = -delta M                                                    T(0) = T0;  macrophages are dosed

Ceilings: kappa/gamma tumour cells a macrophage, kappa/eta a tumour cell. Near 1e6 cells/mL the 1 in the denominator is negligible: only these two
ratios matter. Saturation in both makes two steady burdens possible, one of which, unstable, parts clearance from escape; so a larger first fraction
can do better than equal ones. The code of the source packs and unpacks eta and gamma in different orders: 4.131 and 2.02 mL/cell may be the other way
round, and tests hold both.
Source: Xu & Liu 2025, J Theor Biol, doi 10.1016/j.jtbi.2025.112263; values transcribed from its code (per day there).
"""

from pkpd import Component, Dose, Example, Observable, Param, State, bolus, compose, gain, loss, total

DENSITY = "cells/mL"
CODE = "transcribed: Xu & Liu 2025 (code)"
DAY = 24.0

killing = Component(
    "killing",
    states=(State("tumour_cells", DENSITY, "tumour cells", initial="T0"), State("macrophages", DENSITY, "CAR-macrophages")),
    params=(
        Param("T0", 5e6, DENSITY, "tumour cells at the start", source="assumption: the start of the validation numbers"),
        Param("rho", 0.9032 / DAY, "1/h", "growth of the tumour cells", source=f"{CODE}: 0.9032/d"),
        Param("beta", 7.3156e6, DENSITY, "largest density of tumour cells", source=CODE),
        Param("kappa", 5.793 / DAY, "mL/cells/h", "killing", source=f"{CODE}: 5.793 mL/cell/d"),
        Param("eta", 4.131, "mL/cells", "saturation in macrophages", source=f"{CODE}; order of eta and gamma ambiguous"),
        Param("gamma", 2.02, "mL/cells", "saturation in tumour cells", source=f"{CODE}; order of eta and gamma ambiguous"),
        Param("delta", 0.02 / DAY, "1/h", "death of the macrophages", source=f"{CODE}: 0.02/d"),
    ),
    rates=lambda t, y, p, s: total(
        gain("tumour_cells", p.rho * y.tumour_cells * (1.0 - y.tumour_cells / p.beta)),
        loss("tumour_cells", p.kappa * y.tumour_cells * y.macrophages / (1.0 + p.eta * y.macrophages + p.gamma * y.tumour_cells)),
        loss("macrophages", p.delta * y.macrophages),
    ),
    doses=Dose("added", into="macrophages", unit=DENSITY),
)  # fmt: skip

carm_kill_invitro = compose(
    "carm_kill_invitro",
    killing,
    observables=[Observable("burden", DENSITY, lambda y, p, s: y.tumour_cells, "tumour cells")],
    text=__doc__,
    example=Example(bolus((3e6, DENSITY), into="added"), (14, "day"), "assumption: three macrophages for five tumour cells"),
)
