"""One compartment with saturable elimination.

    central dA/dt = -Vmax C / (Km + C) ,  C = A / V          (amounts, mg)        depot as in one_compartment

A bolus falls along Lambert's W: C(t) = Km W[(C0/Km) exp((C0 - Vmax t / V)/Km)]. Far below Km elimination is linear with CL = Vmax/Km.
Source: Michaelis & Menten 1913; Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982, chapter 7. Typical values are assumptions.
"""

from pkpd import Component, Dose, Example, Param, State, bolus, compose, loss, total

from .one_compartment import V, absorption, cp
from .two_compartment import TYPICAL

saturable = Component(
    "central",
    states=State("central", "mg", "drug in the central compartment"),
    params=(
        Param("Vmax", 20.0, "mg/h", "largest rate of elimination", source=TYPICAL),
        Param("Km", 2.0, "mg/L", "concentration at half of it", source=TYPICAL),
        V,
    ),
    rates=lambda t, y, p, s: total(loss("central", p.Vmax * (y.central / p.V) / (p.Km + y.central / p.V))),
    doses=Dose("iv", into="central"),
)

SATURATES = "assumption: a peak well above Km, so that elimination saturates"
BY_VEIN = Example(bolus((640, "mg"), into="iv"), (48, "h"), SATURATES)
BY_MOUTH = Example(bolus((640, "mg"), into="oral"), (48, "h"), SATURATES)

michaelis_menten_iv = compose("michaelis_menten_iv", saturable, observables=[cp], text=__doc__, example=BY_VEIN)
michaelis_menten_oral = compose("michaelis_menten_oral", absorption, saturable, observables=[cp], text=__doc__, example=BY_MOUTH)
