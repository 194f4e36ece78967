"""Areas under a profile and their first moments, by the linear and the linear-up log-down rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.simulate.exposure.segments import LOG_DOWN, checked, pieces, window


def auc(times: Any, values: Any, *, start: float | None = None, end: float | None = None, method: str = LOG_DOWN) -> Any:
    """The area under each profile, integral of c dt from `start` to `end`.

    `times` [T] (h) rise, `values` [..., T]; `start` and `end` (h, within the times; None: the first and the last) are interpolated by the rule.
    "linear-up log-down": (c1 - c2) h / ln(c1 / c2) where a piece falls between positive values, (c1 + c2) h / 2 elsewhere; exact for exponential
    decline. "linear": the trapezoid throughout. A profile with NaN has the area NaN. Returns [...] in unit x h. Raises `FitError`.
    Source: Gabrielsson and Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis.

    >>> float(auc([0.0, 2.0, 4.0], [8.0, 4.0, 2.0]).round(6))
    17.31234
    """
    t, c = window(*checked(times, values, method), start, end, method)
    return pieces(t, c, method)[0].sum(-1)


def aumc(times: Any, values: Any, *, start: float | None = None, end: float | None = None, method: str = LOG_DOWN) -> Any:
    """The area under the first moment, integral of t c dt, of each profile; arguments as of `auc`, time counts from 0 h. Returns [...] in unit x h^2.

    >>> float(aumc([0.0, 1.0], [1.0, 1.0]))
    0.5
    """
    t, c = window(*checked(times, values, method), start, end, method)
    return pieces(t, c, method)[1].sum(-1)


def area_above(
    times: Any, values: Any, baseline: Any, *, start: float | None = None, end: float | None = None, method: str = LOG_DOWN
) -> Any:
    """The area of each profile above its baseline: integral of max(c - b, 0) dt; what lies below does not count against it.

    `baseline` is a number or [...], in the unit of the values. The rule is applied to c - b, so that an exponential return to the baseline is exact;
    a piece that crosses it is straight. Returns [...] in unit x h. Raises `FitError`.

    >>> float(area_above([0.0, 1.0, 2.0], [0.0, 2.0, 0.0], 1.0, method="linear"))
    0.5
    """
    t, c = window(*checked(times, values, method), start, end, method)
    d = c - np.asarray(baseline, float)[..., None]
    whole, d1, d2 = pieces(t, d, method)[0], d[..., :-1], d[..., 1:]
    up, down = np.maximum(d1, 0.0), np.maximum(d2, 0.0)
    mixed = (d1 > 0) != (d2 > 0)
    span = np.where(mixed, np.abs(d1 - d2), 1.0)
    triangle = np.diff(t) * (up + down) ** 2 / (2 * np.where(span > 0, span, 1.0))
    return np.where(mixed, triangle, np.where(d1 <= 0, np.where(np.isnan(d1 + d2), np.nan, 0.0), whole)).sum(-1)
