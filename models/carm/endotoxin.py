"""Cytokines of volunteers given a bolus of endotoxin: macrophage activation as a short transit chain, then the turnover of each cytokine.

    dE/dt   = -k_E E                                       endotoxin, dose in ng/kg
    dA_1/dt = k_A (E - A_1)    dA_n/dt = k_A (A_{n-1} - A_n), n = 2..5        activation: a delay of five stages
    dC_j/dt = kout_j (base_j + gain_j A) - kout_j C_j      A = A_3 for TNF, A_5 for IL-6, IL-8, IL-10;  C_j(0) = base_j

A deliberately small description of the 20-volunteer bolus data of Windoloski, Olufsen et al. 2024 (Exp Physiol, doi 10.1113/EP091552), whose own
model has 43 parameters. The chain and which stage drives which cytokine are assumptions: TNF is the first to peak.
With sampling that ends at 6 h elimination (kout) and the decline of the driver cannot be told apart without a prior (flip-flop).
"""

from pkpd import Component, Dose, Example, Param, Signal, State, bolus, compose, gain, loss, total

from .cytokines import cytokine_turnover, serum

DOSE = "ng/kg"
FITTED = "assumption: order of magnitude of the observed peaks"
DRIVEN_BY = {"tnf": ("early", 1000.0), "il6": ("late", 1500.0), "il8": ("late", 1200.0), "il10": ("late", 80.0)}

STAGES = tuple(f"A{n}" for n in range(1, 6))


def rates(t, y, p, s):
    feeds = (y.lps, *(y[name] for name in STAGES))
    chain = [(gain(name, p.k_A * feed), loss(name, p.k_A * y[name])) for name, feed in zip(STAGES, feeds, strict=False)]
    return total(loss("lps", p.k_E * y.lps), chain)


activation = Component(
    "activation",
    states=(State("lps", DOSE, "endotoxin in the circulation"), *(State(name, DOSE, f"activation, stage {name[1:]}") for name in STAGES)),
    params=(
        Param(
            "k_E",
            1.0,
            "1/h",
            "elimination of endotoxin",
            source="published: kE = 1.01 of the macrophage endotoxin model (Windoloski 2024, files), rounded",
        ),
        Param(
            "k_A",
            4.0,
            "1/h",
            "rate of each stage of activation",
            source="assumption: five stages in about 1.25 h, peaks between 1.5 and 3 h",
        ),
    ),
    rates=rates,
    doses=Dose("endotoxin", into="lps", unit=DOSE),
    gives=(Signal("early", DOSE, "activation at the third stage"), Signal("late", DOSE, "activation at the fifth stage")),
    signals=lambda t, y, p, s: {"early": y.A3, "late": y.A5},
)

turnover = [cytokine_turnover(name, drive, DOSE, value, FITTED) for name, (drive, value) in DRIVEN_BY.items()]

VOLUNTEERS = Example(bolus((2, DOSE), into="endotoxin"), (12, "h"), "the dose of the 20 volunteers, Windoloski 2024")

endotoxin_cytokines = compose(
    "endotoxin_cytokines", activation, *turnover, observables=[serum(name) for name in DRIVEN_BY], text=__doc__, example=VOLUNTEERS
)
