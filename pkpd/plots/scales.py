"""Axes in fitting units: time in hours or days, values linear or logarithmic with few round ticks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

DAYS_FROM = 96.0  # a longer record is read in days
EARLY_PART, EARLY_SHARE = 1 / 30, 0.2  # a fifth of the samples in the first thirtieth of a record in days: square-root time axis
HOUR_TICKS = (0, 1, 2, 4, 8, 12, 16, 24, 36, 48, 72, 96)
DAY_TICKS = (0, 0.25, 1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168, 252, 364)


def time_unit(times: np.ndarray) -> tuple[float, str]:
    """Hours in one unit of the axis, and the unit's name: days from 96 h on, hours below.

    >>> time_unit(np.array([0.0, 312.0]))
    (24.0, 'days')
    """
    return (24.0, "days") if np.nanmax(times) >= DAYS_FROM else (1.0, "h")


def time_axis(axes: list[Any], times: np.ndarray, spread: bool | None = None) -> float:
    """Label and scale the time axes for observation times in hours; returns the hours in one unit of the axis.

    Records with most samples near the start get a square-root axis, so that the early samples do not fall on one line; `spread` says so
    for times that are no samples.
    """
    hours, unit = time_unit(times)
    positive = times[times > 0]
    if spread is None:
        spread = hours > 1 and bool((positive < EARLY_PART * positive.max()).mean() >= EARLY_SHARE)
    end = np.nanmax(times) / hours
    for ax in axes:
        if spread:
            ax.set_xscale("function", functions=(_root, _square))
        _time_ticks(ax, end, DAY_TICKS if hours > 1 else HOUR_TICKS, spread)
    label = f"Time ({unit}{', √ scale' if spread else ''})"
    bottom_labels(axes, label)
    return hours


def _root(x: Any) -> Any:
    return np.sign(x) * np.sqrt(np.abs(x))


def _square(x: Any) -> Any:
    return np.sign(x) * np.square(x)


def _time_ticks(ax: Any, end: float, candidates: tuple[float, ...], spread: bool) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    read = _root if spread else np.asarray
    kept: list[float] = []
    for tick in (t for t in candidates if t <= end * 1.02):
        if not kept or read(float(tick)) - read(kept[-1]) > read(end) / 8:
            kept.append(float(tick))
    ax.xaxis.set_major_locator(FixedLocator(kept) if len(kept) > 2 else MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: plain(x)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(-1e-4 * end if spread else -0.02 * end, end * 1.03)


def bottom_labels(axes: list[Any], label: str) -> None:
    """Put an x label under the lowest panel of each column only."""
    lowest: dict[int, Any] = {}
    for ax in axes:
        lowest[ax.get_subplotspec().colspan.start] = ax
    for ax in axes:
        ax.set_xlabel(label if ax in lowest.values() else "")


def left_labels(axes: list[Any], label: str) -> None:
    """Put a y label at the first panel of each row only."""
    for ax in axes:
        ax.set_ylabel(label if ax.get_subplotspec().colspan.start == 0 else "")


def value_axis(axis: Any, low: float, high: float, log: bool) -> None:
    """Scale one axis; a log axis gets few plain-number ticks, also where it spans less than a decade."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    if not log:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        return
    axis._set_axes_scale("log")
    ticks = log_ticks(low, high)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda x, _: plain(x)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers inside [low, high]: powers of ten, or 1-2-5 or finer steps where the span is short.

    >>> log_ticks(1.0, 1000.0)
    [1.0, 10.0, 100.0, 1000.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(np.arange(1, 10, 0.5)), tuple(np.arange(1, 10, 0.1))):
        ticks = [float(f"{s * 10.0**k:.12g}") for k in range(first, last + 1) for s in steps if low <= s * 10.0**k <= high * (1 + 1e-9)]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / most)]
    return ticks or [low, high]


def plain(value: float) -> str:
    """A number as people write it on an axis: 0.01, 20, 5000, 1e6.

    >>> plain(5000.0), plain(0.05), plain(2e6)
    ('5000', '0.05', '2e6')
    """
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:.10g}"
