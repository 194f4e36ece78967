"""CAR-T cells and tumour cells as predator and prey, in a dish (CARRGO).

    dT/dt = rho T (1 - T/K) - k1 C T
    dC/dt = k2 C T - theta C                     T(0) = T0;  CAR-T cells are dosed

k2 above 0: killing makes CAR-T cells expand; below 0: it exhausts them. Both live at C = rho (1 - T/K)/k1, T = theta/k2. Without growth (rho = 0), k2
T + k1 C - theta ln T stays constant. Form of Kuznetsov et al. 1994 without saturation; source: the code of CARRGODEX (Brummer), MIT.
"""

from pkpd import Component, Dose, Example, Observable, Param, State, bolus, compose, gain, loss, total

DENSITY = "1e6 cells/mL"
TYPICAL = "assumption: a dish in which a few days decide"
PER = "mL/(1e6 cells)/h"

predation = Component(
    "predation",
    states=(State("tumour_cells", DENSITY, "tumour cells", initial="T0"), State("cart_cells", DENSITY, "CAR-T cells")),
    params=(
        Param("T0", 0.5, DENSITY, "tumour cells at the start", source=TYPICAL),
        Param("rho", 0.03, "1/h", "growth of the tumour cells", source=TYPICAL),
        Param("K", 1.0, DENSITY, "largest density of tumour cells", source=TYPICAL),
        Param("k1", 0.1, PER, "killing", source=TYPICAL),
        Param("k2", 0.05, PER, "expansion (or exhaustion) by killing", source=TYPICAL, support="real"),
        Param("theta", 0.01, "1/h", "death of the CAR-T cells", source=TYPICAL),
    ),
    rates=lambda t, y, p, s: total(
        gain("tumour_cells", p.rho * y.tumour_cells * (1.0 - y.tumour_cells / p.K)),
        loss("tumour_cells", p.k1 * y.cart_cells * y.tumour_cells),
        gain("cart_cells", p.k2 * y.cart_cells * y.tumour_cells),
        loss("cart_cells", p.theta * y.cart_cells),
    ),
    doses=Dose("added", into="cart_cells", unit=DENSITY),
)

carrgo = compose(
    "carrgo",
    predation,
    observables=[
        Observable("burden", DENSITY, lambda y, p, s: y.tumour_cells, "tumour cells"),
        Observable("effectors", DENSITY, lambda y, p, s: y.cart_cells, "CAR-T cells"),
    ],
    text=__doc__,
    example=Example(bolus((0.1, DENSITY), into="added"), (14, "day"), "assumption: one CAR-T cell for five tumour cells"),
)
