"""The limits of the assay behind each row: what cuts the values of a simulated study."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from pkpd.inference.problem import FitProblem


class Limits(NamedTuple):
    """Of each scored row [n], NaN where none is known: below `lod` nothing but that is told, from there to `lloq` the two limits, above `uloq` that one."""

    lod: np.ndarray
    lloq: np.ndarray
    uloq: np.ndarray


class Simulated(NamedTuple):
    """The scored rows of one simulated study: values [n]; `cens` [n]: 1 below the limit that `dv` then holds, -1 above it, else 0; and `lower` [n], the
    limit above which a row with `cens` 1 lies, NaN where there is none."""

    dv: Any
    cens: Any
    lower: Any


def limits(problem: FitProblem) -> Limits:
    """Of a censored row its own value, else the file's LLOQ or ULOQ, else the one limit at which all censored rows of its observable stand.

    An observable with rows between two limits (CENS=1 with LIMIT), at the same two wherever they occur, has them in every row: a row below its LIMIT was
    marked at that limit, and would have been at the other. Observables whose rows cannot be censored have none.
    """
    rows = problem.rows
    table = problem.cohort.observations.reset_index(drop=True).iloc[rows.index]
    lower, upper = (np.where(rows.cens == side, rows.dv, table[word].to_numpy(float)) for side, word in ((1, "lloq"), (-1, "uloq")))
    lod = np.where(rows.cens == 1, rows.lower, np.nan)
    for i, name in enumerate(problem.observed_names):
        here = rows.observable == i
        for found, side in ((lower, 1), (upper, -1)):
            if problem.observations[name].tails:
                found[here] = _filled(found[here], rows.dv[here & (rows.cens == side)])
            else:
                found[here] = np.nan
        lod[here], lower[here] = _two(lod[here], lower[here])
    return Limits(lod, lower, upper)


def _filled(found: np.ndarray, censored: np.ndarray) -> np.ndarray:
    known = np.unique(censored)
    return np.where(np.isnan(found), known[0], found) if len(known) == 1 else found


def _two(lod: np.ndarray, lloq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both limits for every row of an observable, where all its rows between two limits have the same two."""
    pairs = np.unique(np.stack([lod, lloq], -1)[np.isfinite(lod)], axis=0)
    if len(pairs) != 1:
        return lod, lloq
    low, high = pairs[0]
    lloq = np.where(lloq == low, high, lloq)
    return np.where(lloq > low, low, lod), lloq


def cut(y: Any, at: Limits) -> Simulated:
    """Values y [n] as the assay would report them."""
    below, above = y < at.lloq, y > at.uloq
    blind = y < at.lod
    dv = jnp.where(blind, np.nan_to_num(at.lod), jnp.where(below, np.nan_to_num(at.lloq), jnp.where(above, np.nan_to_num(at.uloq), y)))
    return Simulated(dv, below.astype(int) - above.astype(int), jnp.where(below & ~blind, at.lod, np.nan))
