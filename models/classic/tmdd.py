"""Target-mediated disposition: a drug that binds its target, in full and in quasi-steady state.

    full    dL/dt  = -kel L - kon L R + koff RL
            dR/dt  = kdeg (R0 - R) - kon L R + koff RL               R(0) = R0 (production kdeg R0)
            dRL/dt = kon L R - (koff + kint) RL
    QSS     dLt/dt = -kel L - kint Rt L/(Kss + L)                     Lt = L + RL ,  L from Lt, Rt and Kss
            dRt/dt = kdeg (R0 - Rt) - (kint - kdeg) Rt L/(Kss + L)    Rt = R + RL ,  Kss = (koff + kint)/kon
            L = ((Lt - Rt - Kss) + sqrt((Lt - Rt - Kss)^2 + 4 Kss Lt))/2

Concentrations in nmol/L of one volume; doses in nmol. The quasi-steady state holds when binding is fast against everything else; at kint = kdeg total
target is constant.
Source: Mager & Jusko 2001, J Pharmacokinet Pharmacodyn 28:507; Gibiansky et al. 2008, J Pharmacokinet Pharmacodyn 35:573. Typical values are
assumptions for an antibody.
"""

import jax.numpy as jnp

from pkpd import Component, Dose, Example, Observable, Param, State, bolus, compose, gain, loss, total

TYPICAL = "assumption: typical antibody"
NM = "nmol/L"

DISPOSITION = (
    Param("kel", 0.005, "1/h", "elimination of free drug", source=TYPICAL),
    Param("V", 3.0, "L", "volume of distribution", source=TYPICAL),
    Param("R0", 10.0, NM, "target without drug", source=TYPICAL),
    Param("kdeg", 0.02, "1/h", "turnover of free target", source=TYPICAL),
    Param("kint", 0.01, "1/h", "internalisation of the complex", source=TYPICAL),
)


def binding(t, y, p, s):
    free = y.drug / p.V
    bound, freed = p.kon * free * y.target, p.koff * y.complex
    return total(
        loss("drug", p.kel * y.drug),
        loss("drug", p.V * bound),
        gain("drug", p.V * freed),
        gain("target", p.kdeg * p.R0 + freed),
        loss("target", p.kdeg * y.target + bound),
        gain("complex", bound),
        loss("complex", freed + p.kint * y.complex),
    )


full = Component(
    "binding",
    states=(
        State("drug", "nmol", "free drug"),
        State("target", NM, "free target", initial="R0"),
        State("complex", NM, "drug bound to target"),
    ),
    params=(
        *DISPOSITION,
        Param("kon", 0.1, "1/h/(nmol/L)", "association", source=TYPICAL),
        Param("koff", 0.1, "1/h", "dissociation", source=TYPICAL),
    ),
    rates=binding,
    doses=Dose("iv", into="drug"),
)


def free_drug(y, p):
    """Free concentration at quasi-steady state; the root without cancellation whichever of drug and target is in excess."""
    gap, total_drug = y.drug / p.V - y.target - p.Kss, y.drug / p.V
    root = jnp.sqrt(gap**2 + 4.0 * p.Kss * total_drug)
    excess = gap > 0.0
    return jnp.where(excess, (gap + root) / 2.0, 2.0 * p.Kss * total_drug / (root - jnp.where(excess, -root, gap)))


def steady(t, y, p, s):
    free = free_drug(y, p)
    complex_ = y.target * free / (p.Kss + free)
    return total(
        loss("drug", p.kel * free * p.V + p.kint * complex_ * p.V),
        gain("target", p.kdeg * p.R0),
        loss("target", p.kdeg * y.target + (p.kint - p.kdeg) * complex_),
    )


quasi_steady = Component(
    "binding",
    states=(State("drug", "nmol", "total drug"), State("target", NM, "total target", initial="R0")),
    params=(*DISPOSITION, Param("Kss", 1.1, NM, "quasi-steady-state constant (koff + kint)/kon", source=TYPICAL)),
    rates=steady,
    doses=Dose("iv", into="drug"),
)

ANTIBODY = Example(bolus((300, "nmol"), into="iv"), (28, "day"), "assumption: ten times the target, which is then saturated for days")

tmdd_full = compose(
    "tmdd_full",
    full,
    observables=[
        Observable("cp", NM, lambda y, p, s: y.drug / p.V, "free drug"),
        Observable("free_target", NM, lambda y, p, s: y.target, "free target"),
        Observable("bound", NM, lambda y, p, s: y.complex, "drug bound to target"),
    ],
    text=f"Target-mediated disposition in full: drug, target and complex.\n\n{__doc__}",
    example=ANTIBODY,
)
tmdd_qss = compose(
    "tmdd_qss",
    quasi_steady,
    observables=[
        Observable("cp", NM, lambda y, p, s: free_drug(y, p), "free drug"),
        Observable("total_target", NM, lambda y, p, s: y.target, "total target"),
    ],
    text=f"Target-mediated disposition in quasi-steady state: total drug and total target.\n\n{__doc__}",
    example=ANTIBODY,
)
