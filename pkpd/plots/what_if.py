"""What-if bands: what each arm's patients would show, how much they differ, and how well that is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.diagnostics.bands import subject_bands
from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.arms import badge_runs

DECADES = 1e4  # a log axis shows this much below the peak
DIMS = ("arm", "draw", "subject", "time")


@style.styled
def plot_what_if(runs: Any, observable: str | None = None, limits: dict[str, float] | None = None, axes: Any = None) -> Any:
    """One panel an observable, one colour an arm: median patient with its 90 % band over draws, and the middle 90 % of patients.

    `runs` is an `xarray.Dataset` with dims (arm, draw, subject, time), time in hours, one variable an observable (attribute `unit`);
    `limits` draws a line at a value per observable (a threshold); `axes` are panels of your own. Returns the figure.
    Raises `FitError` when a dimension or the observable is missing.
    """
    names = _names(runs, observable)
    own = axes is None
    figure, axes = figures.panels(len(names), axes, columns=2, height=3.6, width=10.4 if len(names) > 1 else 7.5)
    times = np.asarray(runs["time"].values, dtype=float)
    hours = scales.time_axis(axes, times)
    for ax, name in zip(axes, names, strict=False):
        _panel(ax, runs[name].transpose(*DIMS), times / hours, (limits or {}).get(name))
        ax.set(title=name, ylabel=f"{name} ({runs[name].attrs.get('unit', '')})")
    arms = [str(arm) for arm in runs["arm"].values]
    if own:
        note = "line and dark band: median patient, 90 % of draws; light band, thin lines: middle 90 % of patients"
        marks.headline(figure, "What if: " + ", ".join(arms), note)
        marks.legend(figure, axes)
    badge_runs(figure, runs.attrs)
    return figure


def _names(runs: Any, observable: str | None) -> list[str]:
    absent = [dim for dim in DIMS if dim not in runs.dims]
    if absent:
        raise FitError(f"What-if results have dimensions {', '.join(DIMS)}; these lack {', '.join(absent)}. Use what_if(fit, arms, ...).")
    known = [str(name) for name, array in runs.data_vars.items() if set(array.dims) == set(DIMS)]
    if observable is not None and observable not in known:
        raise FitError(f"These what-if results have no '{observable}'. {choices(observable, known)}")
    return known if observable is None else [observable]


def _panel(ax: Any, array: Any, times: np.ndarray, limit: float | None) -> None:
    reach: list[tuple[float, float]] = []
    for place, arm in enumerate(array["arm"].values):
        color = style.CYCLE[place % len(style.CYCLE)]
        lowest, middle, highest = subject_bands(np.asarray(array.isel(arm=place).values, dtype=float))
        ax.fill_between(times, lowest[1], highest[1], color=color, alpha=0.13, linewidth=0)
        ax.fill_between(times, middle[0], middle[2], color=color, alpha=0.35, linewidth=0)
        ax.plot(times, middle[1], color=color, label=str(arm))
        for edge in (lowest[1], highest[1]):
            ax.plot(times, edge, color=color, linewidth=0.6, alpha=0.5)
        reach.append((max(np.nanmax(highest[1]), np.nanmax(middle[2])), np.nanmin(lowest[1])))
    if limit is not None:
        ax.axhline(limit, color=style.INK, linewidth=0.9, linestyle=":")
    top, bottom = max(r[0] for r in reach), min(r[1] for r in reach)
    log = bool(np.nanmin(np.asarray(array.values)) >= 0 and top > 30 * np.nanmedian(np.asarray(array.values)))
    low, high = (max(top / DECADES, bottom * 0.7), top * 1.8) if log else (0.0, top * 1.08)
    scales.value_axis(ax.yaxis, low, high, log)
    ax.set_ylim(low, high)
