"""The terminal slope of a profile: which points, how well they lie on a line, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.errors import FitError
from pkpd.simulate.exposure.segments import LINEAR, checked


@dataclass(frozen=True, eq=False)
class Terminal:
    """The log-linear end of each profile [...]: `lambda_z` (1/h), `half_life` (h), `r2` and `adjusted_r2` of the line, how many `points` it has, from
    `first` to `last` (h), and `predicted`, its value at `last`. NaN (points 0) where no three points after the peak fall.
    """

    lambda_z: Any
    half_life: Any
    r2: Any
    adjusted_r2: Any
    points: Any
    first: Any
    last: Any
    predicted: Any

    @property
    def span(self) -> Any:
        """Half-lives that the points cover; below 2 the half-life is not to be trusted."""
        return (self.last - self.first) / self.half_life


def lambda_z(times: Any, values: Any, *, least: int = 3, tolerance: float = 1e-4, peak: bool = False) -> Terminal:
    """The terminal slope by the best-adjusted-r2 rule: of all lines through the last n points, the one with the largest adjusted r2.

    ln c = a - lambda_z t over the last n >= `least` positive points after the peak (`peak=True`: with it, as after an intravenous bolus), slope negative;
    adjusted r2 = 1 - (1 - r2)(n - 1)/(n - 2). Lines within `tolerance` of the best count as good, and the one with most points is taken.
    `times` [T] (h), `values` [..., T]; values of 0 and NaN are left out. Returns a `Terminal`. Raises `FitError`.
    Source: Phoenix WinNonlin's best-fit rule, as in PKNCA (pk.calc.half.life).

    >>> found = lambda_z([0.0, 1.0, 2.0, 4.0, 8.0], [0.0, 8.0, 4.0, 1.0, 0.0625])
    >>> float(found.half_life.round(9)), int(found.points)
    (1.0, 3)
    """
    t, c = checked(times, values, LINEAR)
    if isinstance(least, bool) or not isinstance(least, int) or least < 3:
        raise FitError(f"least={least!r}: a line whose fit is judged has at least 3 points.")
    at_peak = np.argmax(np.where(np.isnan(c), -np.inf, c), -1)[..., None]
    used = (c > 0) & ((np.arange(len(t)) >= at_peak) if peak else (np.arange(len(t)) > at_peak))
    y = np.log(np.where(used, c, 1.0))
    last = np.where(used.any(-1), len(t) - 1 - np.argmax(used[..., ::-1], -1), len(t) - 1)[..., None]
    x0, y0 = t[last], np.take_along_axis(y, last, -1)
    n, sx, sy, sxx, sxy, syy = _suffixes(used, t - x0, y - y0)
    return _chosen(t, used, _Lines(n, sx, sy, sxx, sxy, syy), (x0, y0), least, tolerance)


@dataclass(frozen=True, eq=False)
class _Lines:
    """Sums over the last points, from each point on [..., T]."""

    n: Any
    sx: Any
    sy: Any
    sxx: Any
    sxy: Any
    syy: Any


def _suffixes(used: Any, x: Any, y: Any) -> list[Any]:
    return [np.cumsum(np.where(used, z, 0.0)[..., ::-1], -1)[..., ::-1] for z in (np.ones_like(y), x, y, x * x, x * y, y * y)]


def _chosen(t: Any, used: Any, s: _Lines, origin: tuple[Any, Any], least: int, tolerance: float) -> Terminal:
    n = np.maximum(s.n, 1.0)
    xx, xy, yy = s.sxx - s.sx**2 / n, s.sxy - s.sx * s.sy / n, s.syy - s.sy**2 / n
    good = used & (s.n >= least) & (xy < 0) & (xx > 0)
    slope = xy / np.where(good, xx, 1.0)
    r2 = np.minimum(xy**2 / np.where(good & (yy > 0), xx * yy, 1.0), 1.0)
    adjusted = np.where(good, 1 - (1 - r2) * (n - 1) / np.maximum(n - 2, 1.0), -np.inf)
    place = np.argmax(good & (adjusted >= adjusted.max(-1, keepdims=True) - tolerance), -1)[..., None]  # the first of them has most points
    some = good.any(-1)

    def of(z: Any) -> Any:
        return np.where(some, np.take_along_axis(np.broadcast_to(z, good.shape), place, -1)[..., 0], np.nan)

    lam = -of(slope)
    level = of(s.sy / n - slope * s.sx / n)  # ln of the line at the last point, which is the origin
    last = np.where(some, origin[0][..., 0], np.nan)
    points = np.where(some, np.nan_to_num(of(s.n)), 0.0).astype(int)
    return Terminal(lam, np.log(2.0) / lam, of(r2), of(adjusted), points, of(t), last, np.exp(level + origin[1][..., 0]))
