"""A profile between its points: straight, or exponential where it falls; everything else here is computed from these pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.errors import FitError, choices

METHODS = ("linear", "linear-up log-down")
LINEAR, LOG_DOWN = METHODS
SMALL, TERMS = 0.5, 18  # below this x the moment is a series: x^18 / 18! is 6e-22


def checked(times: Any, values: Any, method: str) -> tuple[Any, Any]:
    """Times [T] and values [..., T] as numbers. Raises `FitError` for times that do not rise, shapes that do not fit, an unknown method."""
    t, c = np.asarray(times, float), np.asarray(values, float)
    if method not in METHODS:
        raise FitError(f"method={method!r} is no rule for areas. {choices(method, METHODS)}")
    if t.ndim != 1 or len(t) < 2 or not np.isfinite(t).all() or (np.diff(t) <= 0).any():
        raise FitError(f"A profile has at least two times, finite and each later than the one before; got {_short(t)}.")
    if c.ndim < 1 or c.shape[-1] != len(t):
        raise FitError(f"A profile has one value a time along its last axis: {len(t)} times, values of shape {c.shape}.")
    return t, c


def _short(t: Any) -> str:
    shown = ", ".join(f"{x:g}" for x in t.ravel()[:5])
    return f"[{shown}{', ...' if t.size > 5 else ''}]"


def exponential(c1: Any, c2: Any, method: str) -> Any:
    """Where the piece from c1 to c2 is exponential: it falls, and both ends are positive."""
    return (c2 < c1) & (c2 > 0) & (method == LOG_DOWN)


def pieces(t: Any, c: Any, method: str) -> tuple[Any, Any]:
    """Area and first moment (about time 0) of each piece [..., T - 1]."""
    h, c1, c2 = np.diff(t), c[..., :-1], c[..., 1:]
    falls = exponential(c1, c2, method)
    low, high = np.where(falls, c2, 1.0), np.where(falls, c1, 2.0)
    x = np.log1p((high - low) / low)
    area = np.where(falls, h * (high - low) / x, h * (c1 + c2) / 2)
    inner = np.where(falls, h**2 * high * _moment(x), h**2 * (c1 + 2 * c2) / 6)
    return area, t[:-1] * area + inner


def _moment(x: Any) -> Any:
    """Integral of s exp(-x s) over s from 0 to 1: (1 - (1 + x) exp(-x)) / x^2, without cancellation near 0."""
    series, term = np.zeros_like(x), np.ones_like(x)
    for n in range(TERMS):
        series = series + term / (n + 2)
        term = term * -x / (n + 1)
    safe = np.where(x < SMALL, 1.0, x)
    return np.where(x < SMALL, series, (1 - (1 + safe) * np.exp(-safe)) / safe**2)


def value_at(t: Any, c: Any, at: float, method: str) -> Any:
    """The value [...] at a time within the profile."""
    j = int(np.clip(np.searchsorted(t, at, side="right") - 1, 0, len(t) - 2))
    u = (at - t[j]) / (t[j + 1] - t[j])
    c1, c2 = c[..., j], c[..., j + 1]
    falls = exponential(c1, c2, method)
    ratio = np.where(falls, c2, 1.0) / np.where(falls, c1, 1.0)
    return np.where(u <= 0, c1, np.where(u >= 1, c2, np.where(falls, c1 * ratio**u, c1 + u * (c2 - c1))))


def window(t: Any, c: Any, start: float | None, end: float | None, method: str) -> tuple[Any, Any]:
    """The profile from `start` to `end` (None: its own), its ends interpolated. Raises `FitError` for an interval that it does not cover."""
    a, b = float(t[0]) if start is None else float(start), float(t[-1]) if end is None else float(end)
    if not t[0] <= a < b <= t[-1]:
        raise FitError(
            f"The interval {a:g} to {b:g} h is not within the profile, which goes from {t[0]:g} to {t[-1]:g} h; look at more times."
        )
    inside = (t > a) & (t < b)
    edge = [value_at(t, c, x, method)[..., None] for x in (a, b)]
    return np.concatenate([[a], t[inside], [b]]), np.concatenate([edge[0], c[..., inside], edge[1]], -1)
