"""Two compartments: a central volume exchanging with a peripheral one; elimination from the central.

    depot      dA/dt = -ka A
    central    dC/dt =  ka A - (CL + Q)/V1 C + Q/V2 P        (amounts, mg)        cp = C / V1
    peripheral dP/dt =  Q/V1 C - Q/V2 P

Source: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982, chapter 2. Typical values are assumptions for a small molecule.
"""

from pkpd import Component, Dose, Example, Observable, Param, State, bolus, compose, flow, loss, total

TYPICAL = "assumption: typical small molecule"

disposition = Component(
    "disposition",
    states=(State("central", "mg", "drug in the central compartment"), State("peripheral", "mg", "drug in the peripheral compartment")),
    params=(
        Param("CL", 5.0, "L/h", "clearance", source=TYPICAL),
        Param("V1", 20.0, "L", "central volume", source=TYPICAL),
        Param("Q", 3.0, "L/h", "inter-compartmental clearance", source=TYPICAL),
        Param("V2", 50.0, "L", "peripheral volume", source=TYPICAL),
    ),
    rates=lambda t, y, p, s: total(
        loss("central", p.CL / p.V1 * y.central),
        flow("central", "peripheral", p.Q / p.V1 * y.central),
        flow("peripheral", "central", p.Q / p.V2 * y.peripheral),
    ),
    doses=Dose("iv", into="central"),
)

absorption = Component(
    "absorption",
    states=State("depot", "mg", "drug waiting to be absorbed"),
    params=Param("ka", 1.0, "1/h", "absorption rate constant", source=TYPICAL),
    reads="central",
    rates=lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot)),
    doses=Dose("oral", into="depot"),
)

cp = Observable("cp", "mg/L", lambda y, p, s: y.central / p.V1, "plasma concentration")

AMOUNT = "assumption: a round amount"
BY_VEIN = Example(bolus((100, "mg"), into="iv"), (48, "h"), AMOUNT)
BY_MOUTH = Example(bolus((100, "mg"), into="oral"), (48, "h"), AMOUNT)

two_compartment_iv = compose("two_compartment_iv", disposition, observables=[cp], text=__doc__, example=BY_VEIN)
two_compartment_oral = compose("two_compartment_oral", absorption, disposition, observables=[cp], text=__doc__, example=BY_MOUTH)
