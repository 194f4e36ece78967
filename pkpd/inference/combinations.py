"""What the data know best: combinations of typical values whose posterior is far narrower than their prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pkpd.inference.identified import MINOR, NARROW, whole_steps

MOST = 3


@dataclass(frozen=True)
class Combination:
    """A sum of `powers` times ln of `names` (times the values themselves where `logs` is false), and its posterior sd over its prior sd.

    >>> Combination(("S", "f_L", "k_LB"), (1.0, 1.0, 1.0), (True,) * 3, 0.031).sentence
    'Known best: S·f_L·k_LB, 0.031 as wide as its prior.'
    """

    names: tuple[str, ...]
    powers: tuple[float, ...]
    logs: tuple[bool, ...]
    ratio: float

    @property
    def text(self) -> str:
        """A product of powers where they are whole numbers and all are of logarithms, else a sum.

        >>> Combination(("CL", "V"), (1.0, -1.0), (True, True), 0.1).text, Combination(("CL", "V"), (1.0, -0.4), (True, True), 0.1).text
        ('CL/V', 'ln CL - 0.4 ln V')
        """
        if all(self.logs) and all(p == round(p) for p in self.powers):
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
        return f"Known best: {self.text}, {self.ratio:.2g} as wide as its prior."


def combinations(names: Sequence[str], logs: Sequence[bool], width: np.ndarray, scaled: np.ndarray) -> tuple[Combination, ...]:
    """The (at most 3) combinations whose posterior is narrowest beside their prior, each uncorrelated with the others; none wider than half its prior.

    `width` [D] are prior sds, `scaled` [D, D] the posterior covariance in units of them: its eigenvectors of least variance, read in the parameters, without
    those whose share is small.

    >>> [c.text for c in combinations(["a", "b"], [True, True], np.ones(2), np.array([[0.505, -0.495], [-0.495, 0.505]]))]
    ['a·b']
    """
    values, vectors = np.linalg.eigh(np.asarray(scaled, float))
    kept = [vectors[:, i] for i in range(min(MOST, len(values))) if values[i] <= NARROW**2]
    return tuple(_combination(names, logs, np.asarray(width), np.asarray(scaled), b) for b in kept)


def _combination(names: Sequence[str], logs: Sequence[bool], width: np.ndarray, scaled: np.ndarray, b: np.ndarray) -> Combination:
    at = np.flatnonzero(b**2 >= MINOR * (b**2).max())
    powers = b[at] / width[at]
    powers = powers / (np.sign(powers[0]) * np.abs(powers).max())
    whole = whole_steps(powers) if len(at) > 1 and all(logs[i] for i in at.tolist()) else None
    powers = np.array(whole, float) if whole else powers if len(at) > 1 else np.ones(1)
    load = np.zeros(len(b))
    load[at] = powers * width[at]
    ratio = float(np.sqrt(load @ scaled @ load / (load @ load)))
    return Combination(tuple(names[i] for i in at.tolist()), tuple(powers.tolist()), tuple(bool(logs[i]) for i in at.tolist()), ratio)


def _product(names: Sequence[str], powers: Sequence[int]) -> str:
    told = lambda n, k: n if k == 1 else f"{n}^{k}"  # noqa: E731
    above = "·".join(told(n, k) for n, k in zip(names, powers, strict=True) if k > 0) or "1"
    below = [told(n, -k) for n, k in zip(names, powers, strict=True) if k < 0]
    return above + ("" if not below else f"/{below[0]}" if len(below) == 1 else f"/({'·'.join(below)})")
