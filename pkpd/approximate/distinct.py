"""Which descents ended in the same mode, in what modes differ, and whether one is another with two rates changed round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

SAME = 1.0
"""Distance between two ends, in sds of the law around the lower one, up to which they are one mode."""
FAR, NEAR = 2.0, 0.2
"""Sds from which a parameter differs between modes; and largest difference of logs of rates that are taken for each other's."""
SHOWN = 6


def grouped(ends: Sequence[np.ndarray], values: Sequence[float], roots: Sequence[np.ndarray]) -> list[list[int]]:
    """Indices of ends by mode, the lowest value first in each, modes by their lowest value; `roots` are roots of each end's covariance.

    >>> one = np.eye(1)
    >>> grouped([np.zeros(1), np.array([5.0]), np.array([0.1])], [2.0, 3.0, 1.0], [one, one, one])
    [[2, 0], [1]]
    """
    modes: list[list[int]] = []
    for i in np.argsort(values, kind="stable"):
        home = next((m for m in modes if np.linalg.norm(np.linalg.solve(roots[m[0]], ends[i] - ends[m[0]])) <= SAME), None)
        if home is None:
            modes.append([int(i)])
        else:
            home.append(int(i))
    return modes


def differing(first: Mapping[str, float], other: Mapping[str, float], sds: Mapping[str, float]) -> list[str]:
    """Names whose values lie `FAR` of the larger sd and more apart, the farthest first; positive values by their logs, sds likewise relative.

    >>> differing({"ka": 2.0, "V": 30.0}, {"ka": 0.1, "V": 29.0}, {"ka": 0.2, "V": 3.0})
    ['ka']
    """
    far = {}
    for name, a in first.items():
        b, sd = other[name], sds.get(name, np.nan)
        logs = a > 0 and b > 0
        far[name] = abs(np.log(a / b)) / (sd / a) if logs else abs(a - b) / sd
    return [n for n in sorted(far, key=lambda n: -far[n]) if far[n] >= FAR]


def symmetry(first: Mapping[str, float], other: Mapping[str, float], units: Mapping[str, str]) -> str:
    """How `other` is `first` with two rates changed round: ka and CL/V of a flip-flop, or two parameters of one unit; empty where it is not.

    >>> symmetry({"ka": 1.6, "CL": 2.8, "V": 32.0}, {"ka": 0.09, "CL": 2.8, "V": 1.75}, {"ka": "1/h", "CL": "L/h", "V": "L"})
    'flip-flop: ka and CL/V change places'
    """
    rates = [(n, first[n], other[n], units.get(n, "")) for n in first]
    for clearance, volume in (("CL", "V"), ("CL", "V1"), ("CL", "Vc")):
        if clearance in first and volume in first:
            k = [values[clearance] / values[volume] for values in (first, other)]
            for absorption in ("ka", "k_a", "KA"):
                if absorption in first and _swapped(first[absorption], k[0], other[absorption], k[1]):
                    return f"flip-flop: {absorption} and {clearance}/{volume} change places"
    for i, (a, a1, a2, unit) in enumerate(rates):
        for b, b1, b2, other_unit in rates[i + 1 :]:
            if unit == other_unit and not a.startswith(("omega_", "gamma_", "sigma_")) and _swapped(a1, b1, a2, b2):
                return f"{a} and {b} change places"
    return ""


def _swapped(a1: float, b1: float, a2: float, b2: float) -> bool:
    """Whether (a2, b2) is (b1, a1), and not (a1, b1)."""
    if min(a1, b1, a2, b2) <= 0 or abs(np.log(a1 / b1)) < 2 * NEAR:
        return False
    return bool(abs(np.log(a2 / b1)) < NEAR and abs(np.log(b2 / a1)) < NEAR)
