"""Cells in blood as two exponentials: the baseline that everybody fits first.

    B(t) = A1 exp(-(k_slow + k_more) t) + A2 exp(-k_slow t)  for each 1e9 cells, superposed over doses        y = S B
    A2 = amplitude x slow_share ,  A1 = amplitude x (1 - slow_share)

`fast` and `slow` are what is left of the dose under either rate; k_more > 0 keeps their order. slow_share above 1 makes A1 negative: blood then rises
while the lung releases cells, and the amplitude A1 + A2 stays positive. Only S x amplitude is identified: fix one of the two. S already contains the
volume of blood.
"""

import math

from pkpd import Component, Dose, Observable, Param, State, compose, loss, total

from .trafficking import CELLS, TWO_WEEKS, qpcr

biexponential = Component(
    "biexponential",
    states=(State("fast", CELLS, "the dose as far as it decays fast"), State("slow", CELLS, "the dose as far as it decays slowly")),
    params=(
        Param("k_slow", math.log(2) / 12, "1/h", "decline of the slow phase", source="assumption: half-life 12 h, log sd 1"),
        Param(
            "k_more",
            math.log(2) * (1 - 1 / 12),
            "1/h",
            "decline of the fast phase, less k_slow",
            source="assumption: half-life 1 h, log sd 1",
        ),
    ),
    rates=lambda t, y, p, s: total(loss("fast", (p.k_slow + p.k_more) * y.fast), loss("slow", p.k_slow * y.slow)),
    doses=Dose("infusion", into={"fast": 1.0, "slow": 1.0}, unit=CELLS),
)

amplitudes = Component(
    "amplitudes",
    params=(
        Param("amplitude", 0.5, "1", "A1 + A2: share of the dose seen in blood at once", source="assumption: log sd 1"),
        Param("slow_share", 1 / 11, "1", "A2 / (A1 + A2)", source="assumption: A2/A1 of 0.1, log sd 1.5"),
    ),
)


def seen(y, p, s):
    """S B: vector copies in blood."""
    return p.S * p.amplitude * ((1.0 - p.slow_share) * y.fast + p.slow_share * y.slow)


cell_biexp = compose(
    "cell_biexp",
    biexponential,
    amplitudes,
    qpcr,
    observables=[Observable("car_dna", "copies/ug", seen, "vector DNA in blood")],
    text=__doc__,
    example=TWO_WEEKS,
)
