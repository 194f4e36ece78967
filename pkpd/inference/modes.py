"""Chains that sit in different places, told as what they are: separate modes, a flip-flop pair among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

FAR = 3.0
"""Gap between the means of two groups of chains, in sds within chains, from which they count as separate: chains that only mix slowly overlap."""
SHOWN = 4


def separate_modes(posterior: xr.Dataset, names: Sequence[str], word: str = "chain") -> str:
    """A sentence on two groups of chains (or what `word` calls them) that no draw connects, with the parameters in which they differ; else empty.

    Chains are sorted by their mean of each parameter (of ln, where positive) and parted at the widest gap; the parameter with the widest of all parts them.

    >>> x = np.random.default_rng(0).normal(size=(2, 100)) + np.array([[0.0], [9.0]])
    >>> separate_modes(xr.Dataset({"b": (("chain", "draw"), x)}), ["b"])
    'Chain 1 and chain 2 sit in separate places: b near 0.073 and 9.'
    """
    values = {n: posterior[n].to_numpy() for n in names if n in posterior}
    read = {n: np.log(x) if (x > 0).all() else x for n, x in values.items()}
    gaps = {n: _widest(x) for n, x in read.items()}
    if not gaps or posterior.sizes["chain"] < 2:
        return ""
    apart = max(gaps, key=lambda n: gaps[n][0])
    if gaps[apart][0] < FAR:
        return ""
    low = gaps[apart][1]
    differ = sorted((n for n in read if _gap(read[n], low) >= FAR), key=lambda n: -_gap(read[n], low))
    told = [f"{n} near {np.median(values[n][low]):.2g} and {np.median(values[n][~low]):.2g}" for n in differ[:SHOWN]]
    more = f" and {len(differ) - SHOWN} more" if len(differ) > SHOWN else ""
    first, second = (_chains(np.flatnonzero(side) + 1, word) for side in (low, ~low))
    return f"{first[0].upper()}{first[1:]} and {second} sit in separate places: {', '.join(told)}{more}."


def _widest(x: np.ndarray) -> tuple[float, np.ndarray]:
    """The widest gap between sorted chain means, in sds within chains, and which chains lie below it."""
    means = x.mean(1)
    order = np.argsort(means)
    steps = np.diff(means[order])
    if not len(steps):
        return 0.0, np.ones(len(means), bool)
    below = np.zeros(len(means), bool)
    below[order[: int(np.argmax(steps)) + 1]] = True
    return _gap(x, below), below


def _gap(x: np.ndarray, low: np.ndarray) -> float:
    """Distance between the nearest chain means of two groups, in the larger sd within a chain; 0 where the groups interleave."""
    means, sd = x.mean(1), float(x.std(1).max())
    one, two = means[low], means[~low]
    if not (len(one) and len(two)) or sd == 0:
        return 0.0
    return float(max(two.min() - one.max(), one.min() - two.max(), 0.0) / sd)


def _chains(numbers: np.ndarray, word: str) -> str:
    told = [str(n) for n in numbers]
    return f"{word} {told[0]}" if len(told) == 1 else f"{word}s {', '.join(told[:-1])} and {told[-1]}"
