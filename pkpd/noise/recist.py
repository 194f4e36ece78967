"""Tumour response classes by size and new lesions (RECIST 1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from pkpd.errors import FitError
from pkpd.noise import told
from pkpd.noise.discrete import Classes
from pkpd.noise.law import Observation, ObservedRows
from pkpd.noise.measurement import TINY
from pkpd.noise.tails import log_below, log_between
from pkpd.noise.wrapped import need_prior, refuse_censored, where


@dataclass(frozen=True, eq=False)
class Recist(Observation):
    """Rows of 1 (CR or PR), 2 (SD), 3 (PD); see `recist`."""

    priors: tuple[tuple[str, Any], ...]
    reads: tuple[str, ...] = ()
    kind: str = "recist"
    equation: str = "ln(f / f0) + e, e ~ N(0, sigma sqrt 2), cut at ln 0.7 and ln 1.2; PD too by a new lesion"
    logs: bool = False
    endpoint: str = "states"
    by_design = True

    def told(self, rows: ObservedRows) -> list[str]:
        return told.frequencies(rows, "Classes (1 CR or PR, 2 SD, 3 PD)")

    def check(self, rows: ObservedRows) -> list[str]:
        return [
            f"{where(rows, i)}: '{rows.observable}' is {rows.dv[i]:g}, and recist takes 1 (CR or PR), 2 (SD) or 3 (PD); mend the row."
            for i in np.flatnonzero(~np.isin(rows.dv, (1.0, 2.0, 3.0)))
        ] + refuse_censored(rows, "recist")

    def law(self, f: Any, values: list, rows: ObservedRows, also: Any) -> Classes:
        r = jnp.log(jnp.maximum(f, TINY)) - jnp.log(jnp.maximum(also(self.reads[0]), TINY))
        s, p = values[0] * np.sqrt(2.0), jnp.clip(values[1], TINY, 1 - 1e-15)
        a, b, stay = (np.log(0.7) - r) / s, (np.log(1.2) - r) / s, jnp.log1p(-p)
        worse = jnp.logaddexp(jnp.log(p), stay + log_below(-b))
        return Classes(jnp.stack([stay + log_below(a), stay + log_between(a, b), worse], -1), first=1)


def recist(sigma: Any, new_lesion: Any, baseline: str) -> Recist:
    """Classes of a visit by the sum of longest diameters f against its baseline f0: 1 = CR/PR (-30 %), 2 = SD, 3 = PD (+20 %, or a new lesion).

    r = ln(f / f0) + e, e ~ N(0, sigma sqrt 2). P(3) = p_new + (1 - p_new) P(r >= ln 1.2); the others times (1 - p_new). The reference is the
    baseline, not the nadir. `sigma`: prior of the sd of ln SLD, or a number; `new_lesion`: Beta prior of p_new, or a number; `baseline`: name of
    the observable f0. Raises `FitError`. Source: RECIST 1.1, Eisenhauer et al. 2009, Eur J Cancer 45:228.

    >>> import numpyro.distributions as dist
    >>> recist(0.1, dist.Beta(1, 9), baseline="sld0").sites("response")
    ['p_new_response']
    """
    need_prior("recist", "sigma", sigma)
    need_prior("recist", "new_lesion", new_lesion, 0.0, 1.0, "dist.Beta(1, 9)")
    if not isinstance(baseline, str) or not baseline:
        raise FitError(f"recist(baseline={baseline!r}): accepted is the name of the observable that is the predicted baseline.")
    return Recist((("sigma", sigma), ("p_new", new_lesion)), (baseline,))
