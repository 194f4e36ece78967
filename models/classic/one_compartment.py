"""One compartment: a drug given by mouth or into the vein, distributed in one volume, cleared linearly.

    depot   dA/dt = -ka A
    central dC/dt =  ka A - CL/V C          (amounts, mg)        cp = C / V

Source: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982, chapter 1. Typical values: theophylline, R datasets (Boeckmann, Sheiner, Beal 1992).
"""

from pkpd import Component, Dose, Observable, Param, State, compose, flow, loss, total

THEOPHYLLINE = "theophylline, 12 subjects: nlme fit of R's Theoph data (see data/theophylline)"

CL = Param("CL", 2.8, "L/h", "clearance", source=THEOPHYLLINE)
V = Param("V", 32.0, "L", "volume of distribution", source=THEOPHYLLINE)
KA = Param("ka", 1.5, "1/h", "absorption rate constant", source=THEOPHYLLINE)

central = Component(
    "central",
    states=State("central", "mg", "drug in the central compartment"),
    params=(CL, V),
    rates=lambda t, y, p, s: total(loss("central", p.CL / p.V * y.central)),
    doses=Dose("iv", into="central"),
)

absorption = Component(
    "absorption",
    states=State("depot", "mg", "drug waiting to be absorbed"),
    params=KA,
    reads="central",
    rates=lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot)),
    doses=Dose("oral", into="depot"),
)

cp = Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration")

one_compartment_iv = compose("one_compartment_iv", central, observables=[cp], text=__doc__)
one_compartment_oral = compose("one_compartment_oral", absorption, central, observables=[cp], text=__doc__)
