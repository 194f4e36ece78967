"""Absorption through a chain of transit compartments: a dose arrives late and spread out, with one rate constant for every step.

    depot      dA_0/dt = -ktr A_0
    transit n  dA_n/dt =  ktr (A_{n-1} - A_n),  n = 1..3        ktr = 4 / mtt
    central    dC/dt   =  ktr A_3 - CL/V C          (amounts, mg)        cp = C / V

The number of steps is fixed here (three compartments between the depot and the central one, mean transit time `mtt` until the drug arrives); the
form with a number to be estimated replaces the chain by its gamma density.
Source: Savic et al., J Pharmacokinet Pharmacodyn 2007;34:711. Typical values are assumptions for a small molecule.
"""

from itertools import pairwise

from pkpd import Component, Dose, Param, State, compose, flow, total

from .one_compartment import BY_MOUTH, central, cp
from .two_compartment import TYPICAL

STEPS = ("depot", "transit1", "transit2", "transit3", "central")


def rates(t, y, p, s):
    ktr = (len(STEPS) - 1) / p.mtt
    return total([flow(a, b, ktr * y[a]) for a, b in pairwise(STEPS)])


chain = Component(
    "chain",
    states=(State("depot", "mg", "drug as swallowed"), *(State(n, "mg", f"drug on its way, step {n[-1]}") for n in STEPS[1:-1])),
    params=Param("mtt", 1.5, "h", "mean transit time from the dose to the central compartment", source=TYPICAL),
    reads="central",
    rates=rates,
    doses=Dose("oral", into="depot"),
)

one_compartment_transit = compose("one_compartment_transit", chain, central, observables=[cp], text=__doc__, example=BY_MOUTH)
