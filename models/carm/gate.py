"""The HER2 gate: how strongly antigen activates CAR-macrophages in the tumour, as a signal that trafficking reads.

    antigen = 1 at HER2 3+ ,  h2 at HER2 2+

A step, not a dose-response: nine patients at 3+ against five at 2+ cannot tell its shape. Another gate (a receptor density, a complex as in
`cart_effector_memory`) takes this one's place by giving the same signal.

The gate acts on activation, not on stay: while resting and activated cells die alike (k_Ad = k_Td, as priors.TIED has it), T + A at a given tumour size
does not depend on HER2. Retention by HER2 needs k_Ad < k_Td: give k_Ad a prior of its own, or `tied("k_Td", 0.5)`, in the place of that tie.
"""

import jax.numpy as jnp

from pkpd import Component, Signal

from .trafficking import HER2, PARAMS

her2_gate = Component(
    "her2_gate",
    params=tuple(p for p in PARAMS if p.name == "h2"),
    gives=Signal("antigen", "1", "activation by antigen relative to HER2 3+"),
    signals=lambda t, y, p, s: {"antigen": jnp.where(s.HER2 >= 3.0, 1.0, p.h2)},
    covariates=HER2,
)
