"""Where divergent draws lie: the population parameters and random effects in which they differ from the others."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import xarray as xr

FEWEST = 5
"""Divergent draws needed to say where they lie."""
APART = 0.5
"""Least distance of their mean from that of the others, in sds of the others, to be told: less is no concentration, however certain."""
ALARM = 0.01
"""Probability that anything is named where divergent draws lie as the others do, shared among all that is looked at."""


def located(posterior: xr.Dataset, diverging: xr.DataArray, names: Sequence[str]) -> tuple[str, ...]:
    """Sentences that name the population parameters `names`, and the subjects' random effects (`eta_`), in which divergent draws concentrate.

    z = (mean of the n divergent draws - mean of the others) / sd of the others x sqrt(n), of ln for positive values, compared with the normal quantile at
    0.01 / (2 x number of values looked at); divergent draws count as independent of one another. Empty with fewer than 5 of them.
    """
    flags = diverging.to_numpy().ravel()
    if flags.sum() < FEWEST or flags.all():
        return ()
    values = {n: _read(posterior[n].to_numpy().ravel()) for n in names if n in posterior}
    effects = {}
    for name in (str(n) for n in posterior.data_vars if str(n).startswith("eta_")):
        for i, subject in enumerate(posterior[name]["subject"].values):
            effects[f"{name} of subject {subject}"] = posterior[name].to_numpy()[..., i].ravel()
    limit = NormalDist().inv_cdf(1 - ALARM / (2 * (len(values) + len(effects))))
    far = [_far({k: _distance(v, flags) for k, v in part.items()}, limit / np.sqrt(flags.sum())) for part in (values, effects)]
    if not any(far):
        return ("They lie where the other draws do: no parameter and no subject stands out.",)
    return tuple(f"They concentrate at {_listed(found)}." for found in far if found)


def _read(x: np.ndarray) -> np.ndarray:
    return np.log(x) if (x > 0).all() else x


def _distance(x: np.ndarray, flags: np.ndarray) -> float:
    others = x[~flags]
    sd = float(others.std())
    return float((x[flags].mean() - others.mean()) / sd) if sd > 0 else 0.0


def _far(distances: dict[str, float], limit: float) -> list[tuple[str, float]]:
    far = [(n, d) for n, d in distances.items() if abs(d) > max(limit, APART)]
    return sorted(far, key=lambda x: -abs(x[1]))


def _listed(far: list[tuple[str, float]], most: int = 3) -> str:
    told = [f"{'low' if d < 0 else 'high'} {n} ({abs(d):.1f} sd {'below' if d < 0 else 'above'} the others)" for n, d in far[:most]]
    return ", ".join(told) + (f" and {len(far) - most} more" if len(far) > most else "")
