"""Stiff systems under the contract's arguments: two classics of numerical analysis, a physiological model, target-mediated disposition, neutropenia.

Rates use plain arithmetic only, so that SciPy can integrate the very same functions on floats. Subjects differ by log-normal factors with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pkpd.solve import Events
from tests.benchmarks import pbpk


class Problem(NamedTuple):
    """Arguments of a solve, and the size of each state: absolute tolerances and errors are relative to it."""

    name: str
    rates: Callable[..., list[Any]]
    events: Events
    y0: np.ndarray
    p: np.ndarray
    q: np.ndarray
    times: np.ndarray
    scale: np.ndarray


def robertson(t: Any, y: Any, p: Any, q: Any, r: Any) -> list[Any]:
    """Autocatalysis with rates over nine orders of magnitude (Robertson 1966; Hairer & Wanner, Solving ODEs II, IV.1)."""
    slow, fast, middle = p[0] * y[0], p[1] * y[1] * y[1], p[2] * y[1] * y[2]
    return [middle - slow + r[0], slow - middle - fast + r[1], fast + r[2]]


def van_der_pol(t: Any, y: Any, p: Any, q: Any, r: Any) -> list[Any]:
    """A relaxation oscillation: long slow phases, jumps of 1/mu."""
    return [y[1] + r[0], p[0] * (1.0 - y[0] * y[0]) * y[1] - p[1] * y[0] + r[1]]


def tmdd(t: Any, y: Any, p: Any, q: Any, r: Any) -> list[Any]:
    """Target-mediated drug disposition in full (Mager & Jusko 2001): free drug nM, peripheral, target, complex; binding in minutes, turnover in days."""
    drug, peripheral, target, bound = y
    k_el, k_pt, k_tp, k_on, k_off, k_syn, k_deg, k_int = p
    binding = k_on * drug * target - k_off * bound
    return [
        r[0] - (k_el + k_pt) * drug - binding + k_tp * peripheral,
        k_pt * drug - k_tp * peripheral + r[1],
        k_syn - k_deg * target - binding + r[2],
        binding - k_int * bound + r[3],
    ]


def friberg(t: Any, y: Any, p: Any, q: Any, r: Any) -> list[Any]:
    """Neutropenia (Friberg et al. 2002): two compartments by mouth (ug), five stages of maturation (1e9/L) with feedback from the circulating cells."""
    gut, central, peripheral, made, first, second, third, cells = y
    ka, cl, v1, flow, v2, mean_time, base, gamma, slope = p
    k = 4.0 / mean_time
    birth = k * made * (1.0 - slope * central / v1) * (base / cells) ** gamma
    return [
        r[0] - ka * gut,
        r[1] + ka * gut - (cl + flow) / v1 * central + flow / v2 * peripheral,
        r[2] + flow / v1 * central - flow / v2 * peripheral,
        birth - k * made + r[3],
        k * (made - first) + r[4],
        k * (first - second) + r[5],
        k * (second - third) + r[6],
        k * (third - cells) + r[7],
    ]


def problem(name: str, lanes: int = 8) -> Problem:
    """One of NAMES for so many subjects; all numbers are assumptions in the range of the sources."""
    return _MADE[name](lanes)


def _robertson(lanes: int) -> Problem:
    p, y0 = _subjects([0.04, 3e7, 1e4], lanes), np.repeat([[1.0], [0.0], [0.0]], lanes, 1)
    return _made("Robertson", robertson, p, y0, [0.0], {}, 0.4 * 10.0 ** np.arange(7), [1.0, 3e-5, 1.0])


def _van_der_pol(lanes: int) -> Problem:
    p, y0 = _subjects([1000.0, 1.0], lanes, 0.02), np.repeat([[2.0], [0.0]], lanes, 1)
    return _made("van der Pol", van_der_pol, p, y0, [0.0], {}, [1.0, 100.0, 400.0, 700.0, 1000.0, 1400.0], [2.0, 1e-3])


def _tmdd(lanes: int) -> Problem:
    p = _subjects([0.02, 0.04, 0.03, 5.0, 0.5, 0.11, 0.0089, 0.003], lanes)
    zero = np.zeros(lanes)
    y0 = np.stack([zero, zero, p[5] / p[6], zero])
    looks = [0.1, 0.5, 2.0, 8.0, 24.0, 72.0, 120.0, 168.5, 192.0, 240.0, 336.0, 480.0, 672.0]
    return _made("target-mediated disposition", tmdd, p, y0, [0.0, 168.0], {0: 100.0}, looks, [100.0, 100.0, 12.0, 12.0])


def _friberg(lanes: int) -> Problem:
    p = _subjects([2.0, 10.0, 35.0, 15.0, 105.0, 125.0, 5.0, 0.17, 2e-4], lanes)
    y0 = np.concatenate([np.zeros((3, lanes)), np.repeat(p[6][None], 5, 0)])
    looks = [1.0, 4.0, 24.5, 48.0, 72.5, 96.0, 120.0, 168.0, 240.0, 336.0, 480.0, 672.0]
    return _made("neutropenia", friberg, p, y0, [24.0 * i for i in range(5)], {0: 80000.0}, looks, [8e4, 8e4, 8e4, 5.0, 5.0, 5.0, 5.0, 5.0])


def _pbpk(lanes: int) -> Problem:
    n, looks = len(pbpk.STATES), [0.05, 0.25, 1.0, 2.0, 4.0, 8.0, 12.0, 24.5, 30.0, 48.0, 72.0]
    y0, p = np.zeros((n, lanes)), _subjects(list(pbpk.TYPICAL.values()), lanes)
    return _made("physiology", pbpk.rates, p, y0, [0.0, 24.0], {0: 100.0, n - 1: 20.0}, looks, [100.0] * n)


_MADE = {"robertson": _robertson, "van_der_pol": _van_der_pol, "pbpk": _pbpk, "tmdd": _tmdd, "friberg": _friberg}
NAMES = tuple(_MADE)


def _subjects(typical: Sequence[float], lanes: int, spread: float = 0.2) -> np.ndarray:
    """Parameters [k, lanes]; the first subject is the typical one."""
    factors = np.exp(spread * np.random.default_rng(7).normal(size=(64, len(typical)))[:lanes].T)
    factors[:, 0] = 1.0
    return np.asarray(typical, float)[:, None] * factors


def _made(
    name: str, rates: Any, p: np.ndarray, y0: np.ndarray, starts: Sequence[float], jumps: dict[int, float], looks: Any, scale: list[float]
) -> Problem:
    """The same doses (`jumps` by state) at each of the starts, for every subject."""
    n, lanes = y0.shape
    looks, segments = np.asarray(looks, float), len(starts)
    jump = np.zeros((segments, n, lanes))
    for state, amount in jumps.items():
        jump[:, state] = amount
    edges = np.repeat(np.append(starts, looks[-1])[:, None], lanes, 1)
    segment = np.minimum(np.searchsorted(starts, looks, side="right") - 1, segments - 1)
    wide = lambda x: np.repeat(x[:, None], lanes, 1)  # noqa: E731
    events = Events(edges, jump, np.zeros_like(jump), np.zeros((segments, lanes)), wide(segment), np.zeros((segments, lanes)))
    return Problem(name, rates, events, y0, p, np.zeros((0, segments, lanes)), wide(looks), np.array(scale))
