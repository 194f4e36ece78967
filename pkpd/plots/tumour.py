"""Tumour size of simulated patients: waterfall (best change, sorted) and spider (change over time)."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.plots import figures, marks, scales, style
from pkpd.plots.arms import badge_runs, chosen
from pkpd.simulate import best_change, change_from_baseline
from pkpd.simulate.response import PD, PR

CLASSES = ((-np.inf, PR, style.TEAL, "−30 % and less"), (PR, PD, style.GREY, "between"), (PD, np.inf, style.ROSE, "+20 % and more"))
THREADS, TOP = 60, 100.0


@style.styled
def plot_waterfall(runs: Any, observable: str | None = None, baseline: float | None = None, axes: Any = None) -> Any:
    """Best change of tumour size from baseline, sorted, one panel an arm: bars are the patients in rank, whiskers 90 % of draws.

    In each draw the patients are sorted; a bar is the median over draws of its rank, so that the picture is that of a trial of as many patients.
    `runs` is what `what_if` gives, `observable` the size, `baseline` its time (h; None: the first). Changes above +100 % are cut. Returns the figure.
    Raises `FitError`.
    """
    name = chosen(runs, observable)
    change = np.minimum(np.asarray(best_change(runs[name], baseline=baseline).transpose("arm", "draw", "subject").values, float), TOP)
    own, arms = axes is None, [str(a) for a in runs["arm"].values]
    figure, axes = figures.panels(len(arms), axes, columns=_columns(arms), height=3.2, width=_width(arms), sharey=True)
    for ax, arm, values in zip(axes, arms, change, strict=True):
        ranked = -np.sort(-np.where(np.isfinite(values), values, np.nan), axis=1)
        ranked = ranked[:, np.isfinite(ranked).any(0)]  # a rank that no draw fills: somebody was never solved
        low, middle, high = np.nanquantile(ranked, [0.05, 0.5, 0.95], axis=0)
        place = np.arange(len(middle))
        for a, b, color, label in CLASSES:
            here = (middle > a) & (middle <= b) if a != -np.inf else middle <= b
            if here.any():
                ax.bar(place[here], middle[here], width=0.86, color=color, label=label)
        ax.vlines(place, low, high, color=style.INK, linewidth=0.5, alpha=0.6)
        _lines(ax)
        share = np.nanmean(np.where(np.isnan(values), np.nan, values <= PR), axis=1)  # of those whose size is known
        at = np.nanquantile(share, [0.05, 0.5, 0.95])
        ax.set_title(f"{arm}: {100 * at[1]:.0f} % ({100 * at[0]:.0f} to {100 * at[2]:.0f}) shrink by 30 %")
        ax.set_xticks([])
        ax.set_xlabel("patients, sorted in each draw")
    scales.left_labels(axes, f"best change of {name} (%)")
    _finish(
        figure,
        axes,
        runs,
        f"Waterfall: {name}",
        "bars: median over draws of the patient of each rank; whiskers: 90 % of draws; above +100 % cut",
        own,
    )
    return figure


@style.styled
def plot_spider(runs: Any, observable: str | None = None, baseline: float | None = None, draw: int | None = None, axes: Any = None) -> Any:
    """Change of tumour size from baseline over time, one thread a patient (60 at most) and one panel an arm, coloured by the best change.

    `draw` is one draw of the runs (None: the middle one): a thread is a patient, not a mean of patients. Returns the figure. Raises `FitError`.
    """
    from matplotlib.collections import LineCollection

    name = chosen(runs, observable)
    one = runs[name].isel(draw=len(runs["draw"]) // 2 if draw is None else draw)
    change = change_from_baseline(one, baseline=baseline).transpose("arm", "subject", "time")
    best = np.asarray(best_change(one, baseline=baseline).transpose("arm", "subject").values, float)
    own, arms = axes is None, [str(a) for a in runs["arm"].values]
    figure, axes = figures.panels(len(arms), axes, columns=_columns(arms), height=3.2, width=_width(arms), sharey=True)
    times = np.asarray(change["time"].values, float)
    hours = scales.time_axis(axes, times)
    pick = np.unique(np.linspace(0, change.sizes["subject"] - 1, min(THREADS, change.sizes["subject"])).astype(int))
    shown = np.minimum(np.asarray(change.values, float), TOP)
    for ax, arm, values, best_here in zip(axes, arms, shown, best, strict=True):
        for a, b, color, label in CLASSES:
            mine = [i for i in pick if (best_here[i] <= b and (best_here[i] > a or a == -np.inf))]
            threads = [np.column_stack([times / hours, values[i]]) for i in mine]
            ax.add_collection(LineCollection(threads, colors=color, linewidths=1.0, alpha=0.7))
            if mine:
                ax.plot([], [], color=color, label=f"best change {label}")
        _lines(ax)
        low = float(np.nanmin(shown))
        ax.set(title=arm, ylim=(max(-105.0, low - 8), min(TOP, float(np.nanmax(shown))) + 8))
    scales.left_labels(axes, f"change of {name} (%)")
    _finish(
        figure,
        axes,
        runs,
        f"Spider: {name}",
        f"one thread a patient, {len(pick)} of {change.sizes['subject']}, in one draw; above +100 % cut",
        own,
    )
    return figure


def _columns(arms: list[str]) -> int:
    return 3 if len(arms) in (3, 5, 6) else 2


def _width(arms: list[str]) -> float:
    return 4.6 * min(_columns(arms), max(len(arms), 1)) if len(arms) > 1 else 6.5


def _lines(ax: Any) -> None:
    for y in (PR, 0.0, PD):
        ax.axhline(y, color=style.INK, linewidth=0.8, linestyle="-" if y == 0 else ":", zorder=0.5)


def _finish(figure: Any, axes: list[Any], runs: Any, title: str, note: str, own: bool) -> None:
    if own:
        marks.headline(figure, title, note)
        marks.legend(figure, axes)
    badge_runs(figure, runs.attrs)
