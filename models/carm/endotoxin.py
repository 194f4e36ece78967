"""Cytokines of volunteers given endotoxin: activation delayed by a chain of stages, in proportion to the dose, then the turnover of each cytokine.

    dA_1/dt = -k_A A_1    dA_n/dt = k_A (A_{n-1} - A_n), n = 2..21                          activation: a delay of equal stages, dose in ng/kg into A_1
    early = k_A A_12    late = k_A A_18    last = k_A A_21     dS/dt = late - k_S S         S: activation that lasts
    D_tnf = early + tail S    D_il6 = late    D_il8 = late + tail S    D_il10 = last + early_il10 early + tail S
    dC_j/dt = kout_j (base_j + gain_j D_j) - kout_j C_j        C_j(0) = base_j

A deliberately small description of the 20-volunteer bolus data of Windoloski, Olufsen et al. 2024 (Exp Physiol, doi 10.1113/EP091552), whose own
model has 43 parameters. All that is given passes each stage, so `gain_j` is the area under the rise of cytokine j per ng/kg (without what lasts), whatever
the timing. Stages, and what drives which cytokine, are assumptions chosen by the mean curves: TNF peaks first and IL-10 last; TNF, IL-8 and IL-10 fall in
two phases and IL-6 in one; IL-10 begins early. Many stages make the steep rise (IL-6 from 12 to 206 pg/mL between 1 and 1.5 h) that few can only make with
a power of activation, by which a doubled dose would release 13 times as much. In proportion to the dose is an assumption too: one dose tells nothing of
another. There is no tolerance. With sampling that ends at 6 h elimination (kout) and the decline of the driver cannot be told apart without a prior.
"""

from itertools import pairwise

from pkpd import Component, Dose, Example, Param, Signal, State, bolus, compose, flow, gain, loss, total

from .cytokines import cytokine_turnover, serum

DOSE, FLUX = "ng/kg", "ng/kg/h"
ORDER = "assumption: order of magnitude of the observed curves"
DRIVEN_BY = {"tnf": ("for_tnf", 250.0), "il6": ("late", 800.0), "il8": ("for_il8", 750.0), "il10": ("for_il10", 35.0)}

EARLY, LATE, LAST = 12, 18, 21
STAGES = tuple(f"A{n}" for n in range(1, LAST + 1))


def drives(t, y, p, s):
    early, late, last = (p.k_A * y[f"A{n}"] for n in (EARLY, LATE, LAST))
    lasting = p.tail * y.lasting
    return {"for_tnf": early + lasting, "late": late, "for_il8": late + lasting, "for_il10": last + p.early_il10 * early + lasting}


def rates(t, y, p, s):
    passes = [flow(here, following, p.k_A * y[here]) for here, following in pairwise(STAGES)]
    leaves = loss(STAGES[-1], p.k_A * y[STAGES[-1]])
    lasts = (gain("lasting", p.k_A * y[f"A{LATE}"]), loss("lasting", p.k_S * y.lasting))
    return total(passes, leaves, lasts)


activation = Component(
    "activation",
    states=(
        State("A1", DOSE, "endotoxin that has not acted yet: stage 1 of activation"),
        *(State(name, DOSE, f"activation, stage {name[1:]}") for name in STAGES[1:]),
        State("lasting", DOSE, "activation that lasts"),
    ),
    params=(
        Param("k_A", 9.5, "1/h", "rate of each stage of activation", source="assumption: 18 stages in 1.9 h, IL-6 peaks between 2 and 3 h"),
        Param("k_S", 0.1, "1/h", "activation that lasts fades", source="assumption: TNF and IL-8 fall slowly from 4 h on; held"),
        Param(
            "tail",
            0.05,
            "1/h",
            "release by activation that lasts: TNF, IL-8, IL-10",
            source="assumption: order of magnitude of their late decline",
        ),
        Param("early_il10", 0.2, "1", "share of TNF's drive in that of IL-10", source="assumption: IL-10 has doubled by 1 h"),
    ),
    rates=rates,
    doses=Dose("endotoxin", into="A1", unit=DOSE),
    gives=(
        Signal("for_tnf", FLUX, "what drives TNF: stage 12, and what lasts"),
        Signal("late", FLUX, "what drives IL-6: stage 18"),
        Signal("for_il8", FLUX, "what drives IL-8: stage 18, and what lasts"),
        Signal("for_il10", FLUX, "what drives IL-10: stage 21, a share of stage 12, and what lasts"),
    ),
    signals=drives,
)

turnover = [cytokine_turnover(name, drive, FLUX, value, ORDER) for name, (drive, value) in DRIVEN_BY.items()]

VOLUNTEERS = Example(bolus((2, DOSE), into="endotoxin"), (12, "h"), "the dose of the 20 volunteers, Windoloski 2024")

endotoxin_cytokines = compose(
    "endotoxin_cytokines", activation, *turnover, observables=[serum(name) for name in DRIVEN_BY], text=__doc__, example=VOLUNTEERS
)
