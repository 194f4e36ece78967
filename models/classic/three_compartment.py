"""Three compartments: a central volume exchanging with a shallow and a deep peripheral one; elimination from the central.

    depot    dA/dt = -ka A
    central  dC/dt =  ka A - (CL + Q2 + Q3)/V1 C + Q2/V2 P + Q3/V3 D       (amounts, mg)        cp = C / V1
    shallow  dP/dt =  Q2/V1 C - Q2/V2 P
    deep     dD/dt =  Q3/V1 C - Q3/V3 D

Source: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982, chapter 2. Typical values are assumptions for a small molecule.
"""

from pkpd import Component, Dose, Example, Param, State, bolus, compose, flow, loss, total

from .two_compartment import AMOUNT, TYPICAL, absorption, cp

disposition = Component(
    "disposition",
    states=(
        State("central", "mg", "drug in the central compartment"),
        State("shallow", "mg", "drug in the peripheral compartment that fills fast"),
        State("deep", "mg", "drug in the peripheral compartment that fills slowly"),
    ),
    params=(
        Param("CL", 5.0, "L/h", "clearance", source=TYPICAL),
        Param("V1", 20.0, "L", "central volume", source=TYPICAL),
        Param("Q2", 10.0, "L/h", "clearance between central and shallow", source=TYPICAL),
        Param("V2", 30.0, "L", "volume of the shallow compartment", source=TYPICAL),
        Param("Q3", 1.0, "L/h", "clearance between central and deep", source=TYPICAL),
        Param("V3", 100.0, "L", "volume of the deep compartment", source=TYPICAL),
    ),
    rates=lambda t, y, p, s: total(
        loss("central", p.CL / p.V1 * y.central),
        flow("central", "shallow", p.Q2 / p.V1 * y.central),
        flow("shallow", "central", p.Q2 / p.V2 * y.shallow),
        flow("central", "deep", p.Q3 / p.V1 * y.central),
        flow("deep", "central", p.Q3 / p.V3 * y.deep),
    ),
    doses=Dose("iv", into="central"),
)

BY_VEIN = Example(bolus((100, "mg"), into="iv"), (7, "day"), AMOUNT)
BY_MOUTH = Example(bolus((100, "mg"), into="oral"), (7, "day"), AMOUNT)

three_compartment_iv = compose("three_compartment_iv", disposition, observables=[cp], text=__doc__, example=BY_VEIN)
three_compartment_oral = compose("three_compartment_oral", absorption, disposition, observables=[cp], text=__doc__, example=BY_MOUTH)
