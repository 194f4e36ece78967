"""One compartment: a drug given by mouth or into the vein, distributed in one volume, cleared linearly.

    depot   dA/dt = -ka A
    central dC/dt =  ka A - CL/V C          (amounts, mg)        cp = C / V

With a lag, an oral dose enters the depot `tlag` after it was swallowed, and the fraction `F` of it.

Source: Gibaldi & Perrier, Pharmacokinetics, 2nd ed. 1982, chapter 1. Typical values: theophylline, R datasets (Boeckmann, Sheiner, Beal 1992).
"""

from pkpd import Component, Dose, Example, Observable, Param, State, bolus, compose, flow, loss, total

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

TLAG = Param(
    "tlag",
    0.25,
    "h",
    "lag between swallowing and the start of absorption",
    source="assumption: a quarter of an hour",
    support="nonnegative",
)
F = Param("F", 1.0, "1", "bioavailability", source="assumption: complete; estimable only with intravenous data", support="nonnegative")

late_absorption = Component(
    "absorption",
    states=State("depot", "mg", "drug waiting to be absorbed"),
    params=(KA, TLAG, F),
    reads="central",
    rates=lambda t, y, p, s: total(flow("depot", "central", p.ka * y.depot)),
    doses=Dose("oral", into="depot", lag="tlag", bioavailability="F"),
)

cp = Observable("cp", "mg/L", lambda y, p, s: y.central / p.V, "plasma concentration")

BY_MOUTH = Example(bolus((320, "mg"), into="oral"), (24, "h"), "the dose of subject 1 of R's Theoph data")
BY_VEIN = Example(bolus((320, "mg"), into="iv"), (24, "h"), "assumption: the amount that subject 1 of R's Theoph data took by mouth")

one_compartment_iv = compose("one_compartment_iv", central, observables=[cp], text=__doc__, example=BY_VEIN)
one_compartment_oral = compose("one_compartment_oral", absorption, central, observables=[cp], text=__doc__, example=BY_MOUTH)
one_compartment_oral_lag = compose("one_compartment_oral_lag", late_absorption, central, observables=[cp], text=__doc__, example=BY_MOUTH)
