"""The HER2 gate: how strongly antigen activates CAR-macrophages in the tumour, as a signal that trafficking reads.

    antigen = 1 at HER2 3+ ,  h2 at HER2 2+

A step, not a dose-response: nine patients at 3+ against five at 2+ cannot tell its shape. Another gate (a receptor density, a complex as in
`cart_effector_memory`) takes this one's place by giving the same signal.
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
