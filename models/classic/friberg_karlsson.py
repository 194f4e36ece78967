"""Neutropenia: a drug slows the making of neutrophils, which mature through a chain of stages and feed back on their own making.

    d(prol)/dt     = ktr prol (1 - alpha C) (circ0 / circ)^gamma - ktr prol          ktr = 4 / mtt,  C = central / V1
    d(transit n)/dt = ktr (stage before - transit n),  n = 1..3
    d(circ)/dt     = ktr (transit3 - circ)                                            all five at circ0 without drug

The drug has two compartments (see two_compartment). Above C = 1/alpha cells of the first stage are killed. At a constant
C below it the cells settle at circ0 (1 - alpha C)^(1/gamma).

Source: Friberg, Henningsson, Maas, Nguyen & Karlsson, J Clin Oncol 2002;20:4713. Typical values of the cells are the prior medians of Torsten's
simulated example of this model.
"""

from itertools import pairwise

from pkpd import Component, Example, Observable, Param, Signal, State, bolus, compose, flow, gain, loss, total

from .two_compartment import absorption, cp, disposition

EXAMPLE = "assumption: prior median of Torsten's simulated example"
STAGES = ("prol", "transit1", "transit2", "transit3", "circ")
CELLS = "1e9 cells/L"

concentration = Component(
    "concentration",
    params=disposition.params[1],
    reads="central",
    gives=Signal("concentration", "mg/L", "plasma concentration that slows the making of cells"),
    signals=lambda t, y, p, s: {"concentration": y.central / p.V1},
)


def rates(t, y, p, s):
    ktr = (len(STAGES) - 1) / p.mtt
    made = ktr * y.prol * (1.0 - p.alpha * s.concentration) * (p.circ0 / y.circ) ** p.gamma
    return total(gain("prol", made), [flow(a, b, ktr * y[a]) for a, b in pairwise(STAGES)], loss("circ", ktr * y.circ))


neutrophils = Component(
    "neutrophils",
    states=(
        State("prol", CELLS, "proliferating cells", initial="circ0"),
        *(State(n, CELLS, f"maturing cells, stage {n[-1]}", initial="circ0") for n in STAGES[1:-1]),
        State("circ", CELLS, "circulating neutrophils", initial="circ0"),
    ),
    params=(
        Param("mtt", 125.0, "h", "mean time from the first stage to the blood", source=EXAMPLE),
        Param("circ0", 5.0, CELLS, "circulating neutrophils without drug", source=EXAMPLE),
        Param("alpha", 0.2, "L/mg", "relative loss of proliferation per concentration", source=EXAMPLE),
        Param("gamma", 0.17, "1", "strength of the feedback", source=EXAMPLE),
    ),
    reads="concentration",
    rates=rates,
)

anc = Observable("anc", CELLS, lambda y, p, s: y.circ, "absolute neutrophil count")

COURSE = Example(
    bolus((150, "mg"), into="oral").every((1, "day"), times=5), (35, "day"), "assumption: a course of five days with a clear nadir"
)

friberg_karlsson = compose(
    "friberg_karlsson", absorption, disposition, concentration, neutrophils, observables=[cp, anc], text=__doc__, example=COURSE
)
