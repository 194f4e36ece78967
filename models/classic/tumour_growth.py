"""Tumour size under treatment: growth, shrinkage that wears off, and cells that die after a delay.

    Claret    dS/dt = KL S - KD exp(-lambda t) C S                                S(0) = S0, t from the start of treatment
    Wang      S = S0 exp(-SR t) + PR t                                            as two states: what shrinks and what grows
    Simeoni   dx1/dt = l0 x1 / (1 + (l0/l1 w)^psi)^(1/psi) - k2 C x1              w = x1 + x2 + x3 + x4, w(0) = w0
              dx2/dt = k2 C x1 - k1 x2 ,  dx3/dt = k1 (x2 - x3) ,  dx4/dt = k1 (x3 - x4)

C is the concentration of a drug of one compartment (see one_compartment). Claret without drug is exponential; at a constant C S = S0 exp(KL t - KD C
(1 - exp(-lambda t))/lambda). Simeoni without drug grows exponentially (l0) while small and linearly (l1) when large; a constant C above l0/k2
eradicates.
Source: Claret et al. 2009, J Clin Oncol 27:4103; Wang et al. 2009, Clin Pharmacol Ther 86:167; Simeoni et al. 2004, Cancer Res 64:1094. Typical
values are assumptions.
"""

from itertools import pairwise

import jax.numpy as jnp

from pkpd import Component, Example, Observable, Param, Signal, State, bolus, compose, day, flow, gain, loss, sum_of, total

from .indirect_response import concentration
from .one_compartment import absorption, central, cp

TYPICAL = "assumption: order of magnitude of a solid tumour"
MOUSE = "assumption: order of magnitude of a xenograft"
DAY = 24.0

claret = Component(
    "claret",
    states=State("size", "mm", "sum of longest diameters", initial="S0"),
    params=(
        Param("S0", 60.0, "mm", "size at the start of treatment", source=TYPICAL),
        Param("KL", 0.003 / DAY, "1/h", "growth", source=f"{TYPICAL}: 0.003/d"),
        Param("KD", 0.002 / DAY, "1/h/(mg/L)", "shrinkage by a concentration", source=f"{TYPICAL}: 0.002/d"),
        Param("lam", 0.01 / DAY, "1/h", "rate at which resistance appears", source=f"{TYPICAL}: 0.01/d"),
    ),
    reads=("concentration", "sensitivity"),
    rates=lambda t, y, p, s: total(gain("size", p.KL * y.size), loss("size", p.KD * s.sensitivity * s.concentration * y.size)),
)

resistance = Component(
    "resistance",
    params=claret.params[-1],
    gives=Signal("sensitivity", "1", "exp(-lambda t): what resistance has left of the effect; t = 0 is the start of treatment"),
    signals=lambda t, y, p, s: {"sensitivity": jnp.exp(-p.lam * jnp.maximum(t, 0.0))},
)

wang = Component(
    "wang",
    states=(State("shrinking", "mm", "part of the size that responds", initial="S0"), State("growing", "mm", "part that does not")),
    params=(
        Param("S0", 60.0, "mm", "size at the first record", source=TYPICAL),
        Param("SR", 0.01 / DAY, "1/h", "shrinkage", source=f"{TYPICAL}: 0.01/d"),
        Param("PR", 0.1 / DAY, "mm/h", "growth", source=f"{TYPICAL}: 0.1 mm/d"),
    ),
    rates=lambda t, y, p, s: total(loss("shrinking", p.SR * y.shrinking), gain("growing", p.PR)),
)

STAGES = ("x1", "x2", "x3", "x4")


def either(r, psi):
    """(1 + r^psi)^(1/psi), with the larger of 1 and r taken out: r^20 of a large tumour is beyond a double, and its growth would silently be 0."""
    larger = jnp.maximum(r, 1.0)
    return larger * (1.0 + (jnp.clip(r, 0.0, 1.0) / larger) ** psi) ** (1.0 / psi)


def simeoni_rates(t, y, p, s):
    weight = y.x1 + y.x2 + y.x3 + y.x4
    slowed = either(p.l0 / p.l1 * weight, p.psi)
    hit = p.k2 * s.concentration * y.x1
    passed = [flow(a, b, p.k1 * y[a]) for a, b in pairwise(STAGES[1:])]
    return total(gain("x1", p.l0 * y.x1 / slowed), flow("x1", "x2", hit), passed, loss("x4", p.k1 * y.x4))


simeoni = Component(
    "simeoni",
    states=(
        State("x1", "g", "cycling cells", initial="w0"),
        *(State(n, "g", f"dying cells, stage {int(n[1]) - 1}") for n in STAGES[1:]),
    ),
    params=(
        Param("w0", 0.1, "g", "weight at the start", source=MOUSE),
        Param("l0", 0.3 / DAY, "1/h", "exponential growth", source=f"{MOUSE}: 0.3/d"),
        Param("l1", 0.7 / DAY, "g/h", "linear growth", source=f"{MOUSE}: 0.7 g/d"),
        Param("psi", 20.0, "1", "sharpness of the change from one to the other", source="assumption: 20, as is usual"),
        Param("k1", 0.7 / DAY, "1/h", "passage through the stages of dying", source=f"{MOUSE}: 0.7/d"),
        Param("k2", 0.1 / DAY, "1/h/(mg/L)", "potency", source=f"{MOUSE}: 0.1/d"),
    ),
    reads="concentration",
    rates=simeoni_rates,
)

WEEKLY = bolus((1500, "mg"), into="oral").every((1, "week"), times=12)
COURSE = bolus((320, "mg"), into="oral").every((1, "day"), times=7).at(day(8))

_drug = (absorption, central, concentration)
tumour_claret = compose(
    "tumour_claret",
    *_drug,
    resistance,
    claret,
    observables=[cp, Observable("sld", "mm", lambda y, p, s: y.size, "tumour size")],
    text=f"Tumour size under a drug whose effect wears off (Claret).\n\n{__doc__}",
    example=Example(WEEKLY, (168, "day"), "assumption: twelve weeks of treatment, as much without"),
)
tumour_wang = compose(
    "tumour_wang",
    wang,
    observables=[Observable("sld", "mm", lambda y, p, s: y.shrinking + y.growing, "tumour size")],
    text=f"Tumour size as shrinkage and linear growth (Wang).\n\n{__doc__}",
    example=Example(sum_of(()), (52, "week"), "the model has no dose: treatment begins at the first record; assumption: a year"),
)
tumour_simeoni = compose(
    "tumour_simeoni",
    *_drug,
    simeoni,
    observables=[cp, Observable("weight", "g", lambda y, p, s: y.x1 + y.x2 + y.x3 + y.x4, "tumour weight")],
    text=f"Tumour weight of a xenograft whose cells die after a delay (Simeoni).\n\n{__doc__}",
    example=Example(COURSE, (35, "day"), "assumption: a week of treatment from day 8 on"),
)
