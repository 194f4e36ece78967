"""What the data see together: combinations of typical values that they know far better than each of its members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pkpd.inference.identified import MINOR, WHOLE, Quantities, equal, whole_steps

MOST, TOGETHER, BETTER = 3, 0.1, 0.5
"""How many are told, the largest eigenvalue of the posterior correlation (1: nothing is seen together) that makes one, and its largest variance as a share
of that of the best known of its members, both in prior variances."""


@dataclass(frozen=True)
class Combination:
    """A sum of `powers` times ln of `names` (times the values themselves where `logs` is false), its posterior sd over its prior sd, and that of the best known
    of its members alone. `leaves` is "sum" where it is the sum of the values themselves, and "either" where a sum and a product are the same to first order.

    >>> Combination(("S", "f_L", "k_LB"), (1.0, 1.0, 1.0), (True,) * 3, 0.031, 0.5).sentence
    'Seen together: S·f_L·k_LB, 0.031 as wide as its prior (the best known of them alone 0.50).'
    """

    names: tuple[str, ...]
    powers: tuple[float, ...]
    logs: tuple[bool, ...]
    ratio: float
    alone: float
    leaves: str = "products"

    @property
    def text(self) -> str:
        """A product of powers where they are whole numbers and all are of logarithms, the sum of the values where it is that, else a sum of logarithms.

        >>> Combination(("CL", "V"), (1.0, -1.0), (True, True), 0.1, 0.5).text, Combination(("CL", "V"), (1.0, -0.4), (True, True), 0.1, 0.5).text
        ('CL/V', 'ln CL - 0.4 ln V')
        """
        if self.leaves == "sum":
            return " + ".join(self.names)
        if self.leaves == "products" and all(self.logs) and all(p == round(p) for p in self.powers):
            return _product(self.names, [round(p) for p in self.powers])
        told = ""
        for name, power, log in zip(self.names, self.powers, self.logs, strict=True):
            sign = (" - " if power < 0 else " + ") if told else ("-" if power < 0 else "")
            size = f"{abs(power):.2g}"
            told += f"{sign}{'' if size == '1' else size + ' '}{'ln ' if log else ''}{name}"
        return told

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Seen together: {self.text}, {self.ratio:.2g} as wide as its prior (the best known of them alone {self.alone:.2f})."


def combinations(
    names: Sequence[str], logs: Sequence[bool], width: np.ndarray, scaled: np.ndarray, at: Quantities | None = None
) -> tuple[Combination, ...]:
    """The (at most 3) combinations that are known better than their members: eigenvectors of the posterior correlation of least eigenvalue, at most 0.1.

    `width` [D] are prior sds, `scaled` [D, D] the posterior covariance in units of them. Members whose share is small are left out; what is told has at most
    half the variance of the best known of them. Where `at` says where the parameters stand, a sum of like quantities is told as one.

    >>> [c.text for c in combinations(["a", "b"], [True, True], np.ones(2), np.array([[0.505, -0.495], [-0.495, 0.505]]))]
    ['a·b']
    """
    scaled, sds = np.asarray(scaled, float), np.sqrt(np.diag(scaled))
    values, vectors = np.linalg.eigh(scaled / np.outer(sds, sds))
    kept = [vectors[:, i] for i in range(min(MOST, len(values))) if values[i] <= TOGETHER]
    found = (_combination(names, logs, np.asarray(width), scaled, e, at) for e in kept)
    return tuple(c for c in found if c.ratio**2 <= BETTER * c.alone**2)


def _combination(
    names: Sequence[str], logs: Sequence[bool], width: np.ndarray, scaled: np.ndarray, e: np.ndarray, where: Quantities | None
) -> Combination:
    at = np.flatnonzero(e**2 >= MINOR * (e**2).max())
    sds = np.sqrt(np.diag(scaled))[at]
    powers = e[at] / (sds * width[at])
    powers = powers / (np.sign(powers[0]) * np.abs(powers).max())
    several = all(logs[i] for i in at.tolist())
    leaves = _leaves(powers, at, where) if several and where is not None else "products"
    whole = whole_steps(powers) if several and leaves == "products" else None
    powers = np.array(whole, float) if whole else powers
    load, own = powers * width[at], scaled[np.ix_(at, at)]
    ratio = float(np.sqrt(load @ own @ load / (load @ load)))
    told = tuple(names[i] for i in at.tolist()), tuple(powers.tolist()), tuple(bool(logs[i]) for i in at.tolist())
    return Combination(*told, ratio, float(sds.min()), leaves)


def _leaves(powers: np.ndarray, at: np.ndarray, where: Quantities) -> str:
    """Whether powers are as the values of like quantities, as those of ln of their sum are."""
    values = np.asarray(where.values, float)[at]
    share = values / values.max()
    if len(at) < 2 or len({where.units[i] for i in at.tolist()}) > 1 or (np.abs(powers - share) >= WHOLE * share).any():
        return "products"
    return "either" if equal(values) else "sum"


def _product(names: Sequence[str], powers: Sequence[int]) -> str:
    told = lambda n, k: n if k == 1 else f"{n}^{k}"  # noqa: E731
    above = "·".join(told(n, k) for n, k in zip(names, powers, strict=True) if k > 0) or "1"
    below = [told(n, -k) for n, k in zip(names, powers, strict=True) if k < 0]
    return above + ("" if not below else f"/{below[0]}" if len(below) == 1 else f"/({'·'.join(below)})")
