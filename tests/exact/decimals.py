"""Divided differences and phi functions in 150 decimal digits: what double precision is compared with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal, localcontext
from math import factorial

DIGITS = 150
APART = Decimal(10) ** -30  # equal nodes are moved apart by this much: an error of 1e-30, far below double precision


def divided(nodes: Sequence[float], tau: float) -> float:
    """f[x0, ..., xk] of f(x) = exp(tau x), by its definition."""
    with localcontext() as context:
        context.prec = DIGITS
        x = [Decimal(v) + i * APART for i, v in enumerate(sorted(nodes))]
        row = [(Decimal(tau) * v).exp() for v in x]
        for k in range(1, len(x)):
            row = [(b - a) / (x[i + k] - x[i]) for i, (a, b) in enumerate(itertools.pairwise(row))]
        return float(row[0])


def phi(k: int, z: float) -> float:
    """phi_k(z) = sum_j z^j / (j + k)!"""
    with localcontext() as context:
        context.prec = 4 * DIGITS  # terms reach exp(|z|) before they fall: 300 digits more than the sum at z = -700
        return float(_phi(k, Decimal(z)))


def phi_slope(k: int, z: float) -> float:
    """phi_k'(z) by a central difference of 1e-25."""
    with localcontext() as context:
        context.prec = 4 * DIGITS
        step = Decimal(10) ** -25
        return float((_phi(k, Decimal(z) + step) - _phi(k, Decimal(z) - step)) / (2 * step))


def _phi(k: int, z: Decimal) -> Decimal:
    term = Decimal(1) / factorial(k)
    total, j = term, 0
    while abs(term) > Decimal(10) ** -DIGITS or j < abs(z):
        j += 1
        term *= z / (j + k)
        total += term
    return total
