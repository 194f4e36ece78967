"""CAR-T cells in blood: exponential expansion until Tmax, then two-phase contraction (tisagenlecleucel).

    rho = ln(foldx)/Tmax ,  R0 = Cmax/foldx                                          tau: time since the infusion
    C = R0 exp(rho tau)                                                              tau < Tmax
    C = C(Tmax) [(1 - FB) exp(-alpha (tau - Tmax)) + FB exp(-beta (tau - Tmax))]      tau >= Tmax

The curve does not depend on the number of cells infused: a dose of 1 (one infusion) starts the clock `since`. C(Tmax) is Cmax unless comedication
changed rho: in `cart_stein_comedication` tocilizumab multiplies rho by F_toci from TOCI_H on and corticosteroids by F_ster from STER_H on (hours
after infusion; a time after Tmax stands for never). With foldx = 1 the cells do not proliferate (rho = 0), and two exponentials from R0 = Cmax are
left.
Source: Stein et al. 2019, CPT Pharmacometrics Syst Pharmacol 8:285, doi 10.1002/psp4.12388. Values are transcribed by a third party; per day there.
Two transcriptions disagree whether the published spread (2.4, 0.38, 0.65, 0.91, 0.80, 0.86 in the order below) is the SD or the variance of the
logarithms: check the paper.
"""

import jax.numpy as jnp

from pkpd import Component, Covariate, Dose, Example, Observable, Param, Signal, State, bolus, compose, gain, total

TRANSCRIBED = "transcribed: Stein 2019, third party"
COPIES = "copies/ug"
DAY = 24.0

clock = Component(
    "clock",
    states=(State("infused", "1", "infusions given"), State("since", "h", "time since the infusion")),
    rates=lambda t, y, p, s: total(gain("since", y.infused)),
    doses=Dose("infusion", into="infused", unit="1"),
)

PARAMS = (
    Param("foldx", 3900.0, "1", "fold expansion until Tmax", source=TRANSCRIBED),
    Param("Tmax", 9.3 * DAY, "h", "time of the peak", source=f"{TRANSCRIBED}: 9.3 d"),
    Param("Cmax", 24000.0, COPIES, "peak without comedication", source=TRANSCRIBED),
    Param("alpha", 0.16 / DAY, "1/h", "first decline", source=f"{TRANSCRIBED}: 0.16/d"),
    Param("FB", 0.0079, "1", "share of the peak that persists", source=TRANSCRIBED, support="unit"),
    Param("beta", 0.0032 / DAY, "1/h", "second decline", source=f"{TRANSCRIBED}: 0.0032/d"),
)
FACTORS = (
    Param("F_toci", 1.2, "1", "factor on expansion under tocilizumab", source=TRANSCRIBED),
    Param("F_ster", 1.0, "1", "factor on expansion under corticosteroids", source=TRANSCRIBED),
)


def expansion(tau, p):
    """rho tau, up to Tmax."""
    return jnp.log(p.foldx) * jnp.minimum(tau, p.Tmax) / p.Tmax


def comedicated(tau, p, s):
    """The integral of rho F(t) until tau or Tmax, F = 1, then the factor of what began first, then of both."""
    end = jnp.minimum(tau, p.Tmax)
    first, last = jnp.minimum(s.TOCI_H, s.STER_H), jnp.maximum(s.TOCI_H, s.STER_H)
    one = jnp.where(s.TOCI_H < s.STER_H, p.F_toci, p.F_ster)
    after_first, after_both = jnp.maximum(jnp.minimum(end, last) - first, 0.0), jnp.maximum(end - last, 0.0)
    return jnp.log(p.foldx) / p.Tmax * (jnp.minimum(end, first) + one * after_first + p.F_toci * p.F_ster * after_both)


def curve(y, p, grown):
    """Copies in blood; nothing before the infusion."""
    late = jnp.maximum(y.since - p.Tmax, 0.0)
    left = (1.0 - p.FB) * jnp.exp(-p.alpha * late) + p.FB * jnp.exp(-p.beta * late)
    return y.infused * p.Cmax / p.foldx * jnp.exp(grown) * left


TRANSGENE = Signal("transgene", COPIES, "transgene copies in blood")

kinetics = Component(
    "kinetics",
    params=PARAMS,
    reads=("infused", "since"),
    gives=TRANSGENE,
    signals=lambda t, y, p, s: {"transgene": curve(y, p, expansion(y.since, p))},
)

hour = "hours after the infusion at which it began; after Tmax: not given"
comedication = Component(
    "kinetics",
    params=(*PARAMS, *FACTORS),
    reads=("infused", "since"),
    gives=TRANSGENE,
    signals=lambda t, y, p, s: {"transgene": curve(y, p, comedicated(y.since, p, s))},
    covariates=(Covariate("TOCI_H", "h", f"tocilizumab: {hour}", 1e6), Covariate("STER_H", "h", f"corticosteroids: {hour}", 1e6)),
)

seen = Observable("car_dna", COPIES, lambda y, p, s: s.transgene, "transgene copies in blood")

ONE = bolus((1, "1"), into="infusion")
FORM = "the curve does not depend on the number of cells"

cart_stein = compose("cart_stein", clock, kinetics, observables=[seen], text=__doc__, example=Example(ONE, (365, "day"), FORM))
cart_stein_comedication = compose(
    "cart_stein_comedication",
    clock,
    comedication,
    observables=[seen],
    text=f"CAR-T cells in blood, with tocilizumab and corticosteroids that act on expansion.\n\n{__doc__}",
    example=Example(
        ONE,
        (365, "day"),
        f"{FORM}; assumption: tocilizumab from day 4 and corticosteroids from day 6 on",
        {"TOCI_H": 96.0, "STER_H": 144.0},
    ),
)
