"""Many observables at once, as cytokines: fold over baseline by time and arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.arms import badge_runs, profiles


@style.styled
def plot_heat_map(runs: Any, observables: Sequence[str] | None = None, baseline: Any = "first", axes: Any = None) -> Any:
    """The median patient's log2 fold over baseline, one row an observable, one panel an arm, all on one colour scale.

    `runs` is what `what_if` gives; `observables` are those to show (None: all); `baseline` is "first" (each profile's first value) or maps observables to
    values in their unit. Columns are the times of the runs, each as wide as the next. Returns the figure. Raises `FitError`.
    """
    known = profiles(runs)
    names = list(known if observables is None else observables)
    for name in names:
        if name not in known:
            raise FitError(f"These what-if results have no '{name}'. {choices(name, known)}")
    own, arms = axes is None, [str(a) for a in runs["arm"].values]
    folds = np.stack([_fold(runs[n], n, baseline) for n in names], 1)
    figure, axes = figures.panels(len(arms), axes, columns=1, height=0.9 + 0.34 * len(names), width=9.0, sharex=True)
    reach = max(1.0, float(np.nanmax(np.abs(folds))))
    image = None
    for ax, arm, fold in zip(axes, arms, folds, strict=True):
        image = ax.imshow(fold, aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
        ax.set_yticks(range(len(names)), names)
        ax.set_title(arm)
        ax.grid(visible=False)
        ax.tick_params(length=0)
    _times(axes, np.asarray(runs["time"].values, float))
    bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.015)
    bar.set_label("log2 fold over baseline", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    if own:
        marks.headline(figure, "Median patient, fold over baseline", "one row an observable, one column a time of the runs")
    badge_runs(figure, runs.attrs)
    return figure


def _fold(values: Any, name: str, baseline: Any) -> np.ndarray:
    """[arm, time]: over draws and subjects the median of log2 of the value over its baseline."""
    x = np.asarray(values.transpose("arm", "time", "draw", "subject").values, float)
    if baseline != "first" and name not in baseline:
        raise FitError(f"baseline has no value of '{name}'. {choices(name, baseline)}")
    base = x[:, :1] if isinstance(baseline, str) else float(baseline[name])
    if not np.all(np.nan_to_num(base, nan=1.0) > 0):
        raise FitError(f"'{name}' starts at 0, so it has no fold over its first value: leave it out, or give baseline={{'{name}': value}}.")
    with np.errstate(divide="ignore", invalid="ignore"):
        fold = np.log2(np.maximum(x, 1e-3 * base) / base)
    return np.nanmedian(fold, axis=(2, 3))


def _times(axes: list[Any], times: np.ndarray) -> None:
    hours, unit = scales.time_unit(times)
    at = np.unique(np.linspace(0, len(times) - 1, min(12, len(times))).astype(int))
    for ax in axes:
        ax.set_xticks(at, [scales.plain(round(times[i] / hours, 2)) for i in at])
    scales.bottom_labels(axes, f"Time ({unit})")
