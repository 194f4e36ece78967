"""An effect that lags behind the concentration: a hypothetical compartment of no mass drives a sigmoid Emax.

    dCe/dt = ke0 (C - Ce)                      effect = E0 + Emax Ce^gamma / (EC50^gamma + Ce^gamma)

The drug has one compartment (see one_compartment). At a constant concentration Ce reaches it; as ke0 grows the effect follows the concentration at
once.
Source: Sheiner et al. 1979, Clin Pharmacol Ther 25:358. Typical values are assumptions.
"""

import jax
import jax.numpy as jnp

from pkpd import Component, Observable, Param, State, compose, gain, loss, total

from .indirect_response import concentration
from .one_compartment import BY_MOUTH, absorption, central, cp
from .two_compartment import TYPICAL

effect_site = Component(
    "effect_site",
    states=State("ce", "mg/L", "concentration at the effect site"),
    params=Param("ke0", 0.5, "1/h", "equilibration with plasma", source=TYPICAL),
    reads="concentration",
    rates=lambda t, y, p, s: total(gain("ce", p.ke0 * s.concentration), loss("ce", p.ke0 * y.ce)),
)

sigmoid = Component(
    "sigmoid",
    params=(
        Param("E0", 50.0, "1", "effect without drug", source=TYPICAL, support="nonnegative"),
        Param("Emax", 40.0, "1", "largest change", source=TYPICAL, support="real"),
        Param("EC50", 2.0, "mg/L", "concentration at the effect site of half of it", source=TYPICAL),
        Param("gamma", 1.5, "1", "steepness", source=TYPICAL),
    ),
)


def effect(y, p, s):
    """The sigmoid Emax; no drug, no change."""
    return p.E0 + p.Emax * jax.nn.sigmoid(p.gamma * jnp.log(jnp.maximum(y.ce / p.EC50, 1e-100)))


effect_compartment = compose(
    "effect_compartment",
    absorption,
    central,
    concentration,
    effect_site,
    sigmoid,
    observables=[cp, Observable("effect", "1", effect, "the effect")],
    text=__doc__,
    example=BY_MOUTH,
)
