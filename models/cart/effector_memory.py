"""CAR-T cells as effector and memory cells in blood and tissue, whose expansion and killing follow the CAR-antigen complexes they form.

    blood   dE_b/dt = (K21 Vt E_t - K12 Vb E_b)/Vb - kel_e E_b          dM_b/dt = (K21 Vt M_t - K12 Vb M_b)/Vb - kel_m M_b
    tissue  dE_t/dt = (K12 Vb E_b - K21 Vt E_t)/Vt + (Kexp - Rm) E_t    dM_t/dt = (K12 Vb M_b - K21 Vt M_t)/Vt + Rm E_t
    complex dX/dt   = kon (CAR (E_t + M_t) - X)(TAA N - X) - koff X     Kexp = Kexp_max n/(EC50 + n),  n = X/(E_t + M_t)
    tumour  dN/dt   = Kg N - Kkill_max n_N/(KC50 + n_N) N               n_N = X/N

Cells in 1e9/L, complexes in 1e9 molecules/L, states here are cells (1e9) in either volume. The association constant is quoted in 1/(M s): in 1e9
molecules/L and hours it is 7.1e4 x 3600 x 1e9/6.022e23. Effectors are given into blood. `kel_e` of 113/d, a half-life of 9 minutes, looks implausible
and EC50 has two values (1.15 and 10) in the file it was read from: check both before use.
Source: Singh 2020, mAbs 12:1688616; Singh 2021, PMC8099446; values transcribed by a third party, per day there.
"""

import jax.numpy as jnp

from pkpd import Component, Dose, Example, Observable, Param, State, compose, flow, gain, infusion, loss, total

CELLS, DENSITY, COMPLEXES = "1e9 cells", "1e9 cells/L", "1e9/L"
TRANSCRIBED = "transcribed: Singh 2020, 2021, third party"
DAY = 24.0

PARAMS = (
    Param("K12", 1.71 / DAY, "1/h", "blood to tissue", source=f"{TRANSCRIBED}: 1.71/d"),
    Param("K21", 0.176 / DAY, "1/h", "tissue to blood", source=f"{TRANSCRIBED}: 0.176/d"),
    Param("Vb", 5.0, "L", "volume of blood", source=TRANSCRIBED),
    Param("Vt", 3.65, "L", "volume of tissue", source=TRANSCRIBED),
    Param("kel_e", 113.0 / DAY, "1/h", "loss of effectors from blood", source=f"{TRANSCRIBED}: 113/d; looks implausible"),
    Param("kel_m", 0.219 / DAY, "1/h", "loss of memory cells from blood", source=f"{TRANSCRIBED}: 0.219/d"),
    Param("Kexp_max", 1.73 / DAY, "1/h", "largest expansion", source=f"{TRANSCRIBED}: 1.73/d"),
    Param("EC50", 1.15, "1/cells", "complexes a CAR-T cell that give half of it", source=f"{TRANSCRIBED}: 1.15 or 10"),
    Param("Rm", 2e-5 / DAY, "1/h", "effectors that become memory cells", source=f"{TRANSCRIBED}: 2e-5/d"),
    Param("CAR", 15000.0, "1/cells", "receptors of a CAR-T cell", source=TRANSCRIBED),
    Param("TAA", 12590.0, "1/cells", "antigens of a tumour cell", source=TRANSCRIBED),
    Param("kon", 7.1e4 * 3600 * 1e9 / 6.022e23, "1/(1e9/L)/h", "association", source=f"{TRANSCRIBED}: 7.1e4 /M/s"),
    Param("koff", 2.39e-3 * 3600, "1/h", "dissociation", source=f"{TRANSCRIBED}: 2.39e-3/s"),
    Param("Kkill_max", 0.343 / DAY, "1/h", "largest killing", source=f"{TRANSCRIBED}: 0.343/d"),
    Param("KC50", 2.24, "1/cells", "complexes a tumour cell that give half of it", source=TRANSCRIBED),
    Param("Kg", 0.008 / DAY, "1/h", "growth of the tumour", source=f"{TRANSCRIBED}: 0.008/d"),
    Param("N0", 1.0, DENSITY, "tumour cells at the start", source="assumption: 1e9 a litre"),
)


def rates(t, y, p, s):
    density = (y.effector_t + y.memory_t) / p.Vt
    kept = p.EC50 * density + y.complexes  # Kexp = Kexp_max X/(EC50 (E_t + M_t) + X): also where there are no cells
    expansion = p.Kexp_max * y.complexes / jnp.where(kept > 0.0, kept, jnp.inf)
    bound = p.kon * (p.CAR * density - y.complexes) * (p.TAA * y.tumour_cells - y.complexes)
    kill = p.Kkill_max * y.complexes / (p.KC50 * y.tumour_cells + y.complexes)
    return total(
        flow("effector_b", "effector_t", p.K12 * y.effector_b),
        flow("effector_t", "effector_b", p.K21 * y.effector_t),
        flow("memory_b", "memory_t", p.K12 * y.memory_b),
        flow("memory_t", "memory_b", p.K21 * y.memory_t),
        loss("effector_b", p.kel_e * y.effector_b),
        loss("memory_b", p.kel_m * y.memory_b),
        gain("effector_t", expansion * y.effector_t),
        flow("effector_t", "memory_t", p.Rm * y.effector_t),
        gain("complexes", bound),
        loss("complexes", p.koff * y.complexes),
        gain("tumour_cells", p.Kg * y.tumour_cells),
        loss("tumour_cells", kill * y.tumour_cells),
    )


cells = Component(
    "cells",
    states=(
        State("effector_b", CELLS, "effectors in blood"),
        State("effector_t", CELLS, "effectors in tissue"),
        State("memory_b", CELLS, "memory cells in blood"),
        State("memory_t", CELLS, "memory cells in tissue"),
        State("complexes", COMPLEXES, "CAR-antigen complexes in tissue"),
        State("tumour_cells", DENSITY, "tumour cells in tissue", initial="N0"),
    ),
    params=PARAMS,
    rates=rates,
    doses=Dose("infusion", into="effector_b", unit=CELLS),
)

cart_effector_memory = compose(
    "cart_effector_memory",
    cells,
    observables=[
        Observable("cart_blood", DENSITY, lambda y, p, s: (y.effector_b + y.memory_b) / p.Vb, "CAR-T cells in blood"),
        Observable("burden", DENSITY, lambda y, p, s: y.tumour_cells, "tumour cells in tissue"),
    ],
    text=__doc__,
    example=Example(infusion((0.3, CELLS), over=(30, "min")), (28, "day"), "assumption: 3e8 CAR-positive cells"),
)
