"""Where descents begin: at prior medians first, then scattered over the prior, never uniformly over the unconstrained line."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpyro.distributions import biject_to

from pkpd.approximate.values import PopulationValues

FARTHEST = 2.0
"""How far a start may lie from the prior median in each unconstrained coordinate: a factor of 7.4 on the log scale."""


def scattered(values: PopulationValues, n: int, key: Any) -> np.ndarray:
    """Starts [n, P]: draws from the prior of the population's values, each coordinate at most `FARTHEST` from that of the prior median."""
    median = np.asarray(values.flat(values.medians))
    starts = []
    for one in jax.random.split(key, n):
        keys = jax.random.split(one, len(values.laws))
        drawn = {m: law.sample(k) for (m, law), k in zip(values.laws.items(), keys, strict=True)}
        z = np.concatenate([np.ravel(biject_to(values.laws[m].support).inv(x)) for m, x in sorted(drawn.items())])
        starts.append(median + np.clip(np.nan_to_num(z - median), -FARTHEST, FARTHEST))
    return np.array(starts)
