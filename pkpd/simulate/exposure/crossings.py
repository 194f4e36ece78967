"""When a profile is above a limit: how long, first and last."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.simulate.exposure.segments import LOG_DOWN, checked, exponential, window


def _above(t: Any, c: Any, limit: Any, method: str) -> tuple[Any, Any]:
    """The shares of each piece at which it begins and ceases to be above the limit [..., T - 1]; both 0 where it never is."""
    x = np.asarray(limit, float)[..., None]
    c1, c2 = c[..., :-1], c[..., 1:]
    crosses = (c1 > x) != (c2 > x)
    log = crosses & exponential(c1, c2, method) & (x > 0)
    straight = (x - c1) / np.where(crosses, c2 - c1, 1.0)
    a, b, y = np.where(log, c1, 2.0), np.where(log, c2, 1.0), np.where(log, x, 1.0)
    u = np.where(log, np.log(y / a) / np.log(b / a), straight)
    enters, leaves = np.where(crosses & (c2 > x), u, 0.0), np.where(crosses & (c1 > x), u, 1.0)
    nothing = (c1 <= x) & (c2 <= x)
    bad = np.isnan(c1 + c2 + x)
    return np.where(bad, np.nan, np.where(nothing, 0.0, enters)), np.where(bad, np.nan, np.where(nothing, 0.0, leaves))


def time_above(times: Any, values: Any, limit: Any, *, start: float | None = None, end: float | None = None, method: str = LOG_DOWN) -> Any:
    """Hours that each profile spends above a limit, the crossings interpolated by the rule of the areas.

    `times` [T] (h), `values` [..., T], `limit` a number or [...]; exact for exponential decline. Returns [...] in h. Raises `FitError`.

    >>> float(time_above([0.0, 4.0], [8.0, 2.0], 4.0))
    2.0
    """
    t, c = window(*checked(times, values, method), start, end, method)
    enters, leaves = _above(t, c, limit, method)
    return (np.diff(t) * (leaves - enters)).sum(-1)


def time_below(times: Any, values: Any, limit: Any, *, start: float | None = None, end: float | None = None, method: str = LOG_DOWN) -> Any:
    """Hours that each profile does not spend above a limit; arguments as of `time_above`.

    >>> float(time_below([0.0, 4.0], [8.0, 2.0], 4.0))
    2.0
    """
    t, _ = window(*checked(times, values, method), start, end, method)
    return (t[-1] - t[0]) - time_above(times, values, limit, start=start, end=end, method=method)


def first_time_above(times: Any, values: Any, limit: Any, *, method: str = LOG_DOWN) -> Any:
    """The first time (h) [...] at which each profile is above a limit, interpolated; NaN for one that never is.

    >>> float(first_time_above([0.0, 4.0], [0.0, 2.0], 1.0))
    2.0
    """
    t, c = checked(times, values, method)
    enters, leaves = _above(t, c, limit, method)
    return _pick(np.where(leaves > enters, t[:-1] + np.diff(t) * enters, np.inf).min(-1))


def last_time_above(times: Any, values: Any, limit: Any, *, method: str = LOG_DOWN) -> Any:
    """The last time (h) [...] at which each profile is above a limit, interpolated; NaN for one that never is.

    The last time of the profile where it still is: look at later times.

    >>> float(last_time_above([0.0, 4.0], [8.0, 2.0], 4.0))
    2.0
    """
    t, c = checked(times, values, method)
    enters, leaves = _above(t, c, limit, method)
    return _pick(np.where(leaves > enters, t[:-1] + np.diff(t) * leaves, -np.inf).max(-1))


def _pick(found: Any) -> Any:
    return np.where(np.isfinite(found), found, np.nan)
