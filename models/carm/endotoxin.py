"""Cytokines of volunteers given a bolus of endotoxin: macrophage activation as a short transit chain, then the turnover of each cytokine.

    dE/dt   = -k_E E                                       endotoxin, dose in ng/kg
    dA_1/dt = k_A (E - A_1)    dA_n/dt = k_A (A_{n-1} - A_n), n = 2..5        activation: a delay of five stages
    D_j     = A_ref (A/A_ref)^n                            A = A_3 for TNF, A_5 for IL-6, IL-8, IL-10;  n = steep, of IL-10 steep_il10
    dC_j/dt = kout_j (base_j + gain_j D_j) - kout_j C_j    C_j(0) = base_j

A deliberately small description of the 20-volunteer bolus data of Windoloski, Olufsen et al. 2024 (Exp Physiol, doi 10.1113/EP091552), whose own
model has 43 parameters. The chain and which stage drives which cytokine are assumptions: TNF is the first to peak. Cytokines rise too fast (IL-6 from
12 to 206 pg/mL between 1 and 1.5 h) for production in proportion to such a chain; with n = 1 the log of the mean is missed by 0.47 on average, with the
steepness above by 0.15, and elimination then agrees with what is known of it. A_ref is held: it sets where the power is 1, near the largest A_5 at 2 ng/kg.
With sampling that ends at 6 h elimination (kout) and the decline of the driver cannot be told apart without a prior (flip-flop). One dose does not tell how
production rises with the dose: a power has no ceiling, so doses far from 2 ng/kg are beyond this model.
"""

import jax.numpy as jnp

from pkpd import Component, Dose, Example, Param, Signal, State, bolus, compose, gain, loss, total

from .cytokines import cytokine_turnover, serum

DOSE = "ng/kg"
STEEP = "assumption: steepness is 3 to 4 in most terms of the macrophage endotoxin model (Windoloski 2024, files)"
FITTED = "assumption: order of magnitude of the observed peaks"
DRIVEN_BY = {"tnf": ("early", 1200.0), "il6": ("late", 7000.0), "il8": ("late", 7500.0), "il10": ("late_il10", 180.0)}

STAGES = tuple(f"A{n}" for n in range(1, 6))


def steeper(activation, p, power):
    """A_ref (A/A_ref)^n, without overflow."""
    return p.A_ref * jnp.exp(power * jnp.log(jnp.maximum(activation / p.A_ref, 1e-30)))


def drives(t, y, p, s):
    return {"early": steeper(y.A3, p, p.steep), "late": steeper(y.A5, p, p.steep), "late_il10": steeper(y.A5, p, p.steep_il10)}


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
        Param("A_ref", 0.4, DOSE, "activation at which the power is 1", source="assumption: near the largest A_5 at 2 ng/kg; held"),
        Param("steep", 3.0, "1", "steepness of production in activation: TNF, IL-6, IL-8", source=STEEP),
        Param("steep_il10", 1.5, "1", "steepness of production in activation: IL-10", source=STEEP),
    ),
    rates=rates,
    doses=Dose("endotoxin", into="lps", unit=DOSE),
    gives=(
        Signal("early", DOSE, "what drives TNF: the third stage, steepened"),
        Signal("late", DOSE, "what drives IL-6 and IL-8: the fifth stage, steepened"),
        Signal("late_il10", DOSE, "what drives IL-10: the fifth stage, less steepened"),
    ),
    signals=drives,
)

turnover = [cytokine_turnover(name, drive, DOSE, value, FITTED) for name, (drive, value) in DRIVEN_BY.items()]

VOLUNTEERS = Example(bolus((2, DOSE), into="endotoxin"), (12, "h"), "the dose of the 20 volunteers, Windoloski 2024")

endotoxin_cytokines = compose(
    "endotoxin_cytokines", activation, *turnover, observables=[serum(name) for name in DRIVEN_BY], text=__doc__, example=VOLUNTEERS
)
