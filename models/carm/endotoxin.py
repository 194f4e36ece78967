"""Cytokines of volunteers given a bolus of endotoxin: macrophage activation as a short transit chain, then the turnover of each cytokine.

    dE/dt  = -k_E E                                   endotoxin, dose in ng/kg
    dA1/dt = k_A (E - A1)      dA2/dt = k_A (A1 - A2) activation, early and late
    dC_j/dt = kout_j (base_j + gain_j A) - kout_j C_j A = A1 for TNF, A2 for IL-6, IL-8, IL-10;  C_j(0) = base_j

A deliberately small description of the 20-volunteer bolus data of Windoloski, Olufsen et al. 2024 (Exp Physiol, doi 10.1113/EP091552), whose own
model has 43 parameters. The chain and which stage drives which cytokine are assumptions: TNF is the first to peak.
With sampling that ends at 6 h elimination (kout) and the decline of the driver cannot be told apart without a prior (flip-flop).
"""

from pkpd import Component, Dose, Param, Signal, State, compose, gain, loss, total

from .cytokines import cytokine_turnover, serum

DOSE = "ng/kg"
FITTED = "assumption: order of magnitude of the observed peaks"
DRIVEN_BY = {"tnf": ("early", 1000.0), "il6": ("late", 1500.0), "il8": ("late", 1200.0), "il10": ("late", 80.0)}

activation = Component(
    "activation",
    states=(
        State("lps", DOSE, "endotoxin in the circulation"),
        State("A1", DOSE, "activation, early stage"),
        State("A2", DOSE, "activation, late stage"),
    ),
    params=(
        Param("k_E", 1.0, "1/h", "elimination of endotoxin", source="kE of the macrophage endotoxin model (Windoloski 2024, files)"),
        Param("k_A", 1.0, "1/h", "rate of activation", source="assumption: peaks between 1.5 and 3 h"),
    ),
    rates=lambda t, y, p, s: total(
        loss("lps", p.k_E * y.lps),
        gain("A1", p.k_A * y.lps),
        loss("A1", p.k_A * y.A1),
        gain("A2", p.k_A * y.A1),
        loss("A2", p.k_A * y.A2),
    ),
    doses=Dose("endotoxin", into="lps", unit=DOSE),
    gives=(Signal("early", DOSE, "early activation"), Signal("late", DOSE, "late activation")),
    signals=lambda t, y, p, s: {"early": y.A1, "late": y.A2},
)

turnover = [cytokine_turnover(name, drive, DOSE, value, FITTED) for name, (drive, value) in DRIVEN_BY.items()]

endotoxin_cytokines = compose("endotoxin_cytokines", activation, *turnover, observables=[serum(name) for name in DRIVEN_BY], text=__doc__)
