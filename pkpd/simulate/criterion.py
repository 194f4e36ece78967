"""One number for a design: what its expected information is worth, by the criterion of one's question; larger is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.errors import FitError, choices
from pkpd.simulate.sampling_information import ExpectedInformation

KINDS = ("D", "Ds", "A", "c")
Quantity = str | Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Criterion:
    """`kind` "D", "Ds", "A" or "c", and what it is `of`: names of values (Ds, A) or quantities (c)."""

    kind: str
    of: tuple[Quantity, ...] = ()

    def score(self, found: ExpectedInformation, matrices: np.ndarray | None = None) -> Any:
        """Of information matrices [..., D, P, P] (those of `found` itself without them), the mean over draws [...]; -inf where a direction is lost."""
        m = found.matrices if matrices is None else matrices
        return {"D": self._d, "Ds": self._ds, "A": self._variance, "c": self._variance}[self.kind](found, m).mean(-1)

    def efficiency(self, score: float, other: float, size: int) -> float:
        """How many times as many subjects the other design needs for the same precision."""
        if self.kind in ("D", "Ds"):
            return float(np.exp((score - other) / (len(self.of) or size)))
        return float(np.exp(score - other))

    def _d(self, _: ExpectedInformation, m: np.ndarray) -> np.ndarray:
        return _log_det(m)

    def _ds(self, found: ExpectedInformation, m: np.ndarray) -> np.ndarray:
        other = [i for i, n in enumerate(found.names) if n not in self.of]
        return _log_det(m) - _log_det(m[..., other, :][..., other])

    def _variance(self, found: ExpectedInformation, m: np.ndarray) -> np.ndarray:
        """-ln of the sum of variances of quantities, or of squared relative errors of values."""
        slopes = np.stack([found.slopes(q) for q in (self.of or found.names)])  # [Q, D, P]
        if self.kind == "A":
            slopes = slopes / np.abs(np.where(found.values == 0, 1.0, found.values))
        scale = np.sqrt(np.maximum(np.diagonal(m, axis1=-2, axis2=-1), 1e-300))
        safe = m / (scale[..., :, None] * scale[..., None, :])
        good = np.linalg.eigvalsh(safe)[..., 0] > 1e-12
        safe = np.where(good[..., None, None], safe, np.eye(m.shape[-1]))
        rows = np.moveaxis(slopes, 0, -1) / scale[..., None]  # [..., D, P, Q]
        total = np.einsum("...pq,...pq->...", rows, np.linalg.solve(safe, rows))
        return np.where(good, -np.log(total), -np.inf)


def _log_det(m: np.ndarray) -> np.ndarray:
    if not m.shape[-1]:
        return np.zeros(m.shape[:-2])
    sign, value = np.linalg.slogdet(m)
    return np.where(sign > 0, value, -np.inf)


def criterion(kind: str, of: Quantity | Sequence[Quantity] = ()) -> Criterion:
    """What a design is chosen by; larger is better.

        D    ln det I                                 all values together
        Ds   ln det I - ln det I[others]              the values named in `of`, the others unknown too
        A    -ln sum of squared relative errors       of the values named (all, without names)
        c    -ln sum of variances of quantities       of names, or functions of the values, {"CL": ..., ...} -> number

    Over draws of a population (`draws=`) the mean is taken: the ED criterion in its logarithmic form; over several priors as well, which is model-robust.
    Raises `FitError` for a criterion that is not known, or that lacks what it is of. Source: Atkinson, Donev & Tobias 2007, Optimum Experimental Designs.

    >>> criterion("c", lambda v: 0.693 * v["V"] / v["CL"]).kind
    'c'
    """
    if kind not in KINDS:
        raise FitError(f"There is no criterion '{kind}'. {choices(kind, KINDS)}")
    names = (of,) if isinstance(of, str) or callable(of) else tuple(of)
    if kind in ("Ds", "c") and not names:
        raise FitError(f"criterion('{kind}') needs what it is of, as in criterion('{kind}', 'CL').")
    if kind != "c" and any(callable(n) for n in names):
        raise FitError(f"criterion('{kind}', of=...) takes names of values; functions of them go with criterion('c', ...).")
    return Criterion(kind, names)
