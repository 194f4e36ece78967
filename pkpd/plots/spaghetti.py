"""Every subject's values as one thread, as measured: what a file holds before any model has seen it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Cohort
from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, scales, style

MOST = 300
"""More threads than this hide each other: so many subjects are shown, evenly chosen."""


@style.styled
def plot_spaghetti(cohort: Cohort, observable: str, unit: str = "", *, simulated: bool = False, axes: Any = None) -> Any:
    """One thread a subject on a linear and on a logarithmic scale, with the doses as ticks at the foot.

    Points are measured values, triangles stand at the limit of values below or above it; values at or below zero are left out on the
    logarithmic scale. `unit` is the observable's, `axes` are two panels of your own. Returns the figure. Raises `FitError` for an
    observable that the cohort does not have.
    """
    rows = _rows(cohort, observable)
    own = axes is None
    figure, axes = figures.panels(2, axes, columns=2, height=3.9, width=11.0)
    shown = _chosen(rows["subject"].to_numpy())
    mine = rows[rows["subject"].isin(shown)]
    doses = cohort.doses[(cohort.doses["kind"] != "reset").to_numpy() & cohort.doses["subject"].isin(shown).to_numpy()]
    times = mine["time"].to_numpy(float)
    hours = scales.time_axis(axes, times if times.max() > 0 else np.array([0.0, 1.0]))
    for ax, log in zip(axes, (False, True), strict=True):
        _panel(ax, mine, hours, log)
        _rug(ax, np.unique(doses["time"].to_numpy(float)) / hours)
        ax.set_xlim(left=min(ax.get_xlim()[0], 1.05 * times.min() / hours))
    scales.left_labels(axes, f"{observable} ({unit})" if unit else observable)
    if own:
        few = f"; {len(shown)} of {rows['subject'].nunique()} subjects, evenly chosen" if len(shown) < rows["subject"].nunique() else ""
        marks.headline(figure, f"Measured: {observable}", f"one thread a subject{few}; ticks at the foot: times of doses")
        marks.legend(figure, axes)
    marks.badge(figure, ["simulated data"] * simulated)
    return figure


def _rows(cohort: Cohort, observable: str) -> pd.DataFrame:
    rows = cohort.observations
    known = list(pd.unique(rows["observable"]))
    if observable not in known:
        raise FitError(f"The cohort has no observations of '{observable}'. {choices(observable, known)}")
    mine = rows[(rows["observable"] == observable).to_numpy() & rows["dv"].notna().to_numpy() & rows["scored"].to_numpy()]
    if not len(mine):
        raise FitError(f"No observation of '{observable}' is scored, so there is nothing to draw.")
    return mine


def _chosen(subjects: np.ndarray) -> np.ndarray:
    known = np.unique(subjects)
    return known[np.linspace(0, len(known) - 1, min(MOST, len(known))).astype(int)]


def _panel(ax: Any, rows: pd.DataFrame, hours: float, log: bool) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import FuncFormatter

    left = int((rows["dv"] <= 0).sum()) if log else 0
    rows = rows[(rows["dv"] > 0).to_numpy()] if log else rows
    ax.set_title(("log scale" if log else "linear scale") + (f"  ({left} at or below zero left out)" if left else ""))
    if not len(rows):
        ax.text(0.5, 0.5, "no value above zero", transform=ax.transAxes, ha="center", color=style.GREY)
        return
    threads = [mine[["time", "dv"]].to_numpy(float) / (hours, 1.0) for _, mine in rows.groupby("subject")]
    faint = float(np.clip(9 / len(threads), 0.12, 0.6))
    ax.add_collection(LineCollection(threads, colors=style.BLUE, linewidths=0.9, alpha=faint))
    _points(ax, rows, hours, min(1.0, 2 * faint))
    low, high = float(rows["dv"].min()), float(rows["dv"].max())
    room = (low / 1.8, high * 1.8) if log else (min(0.0, low * 1.08), high * 1.08 if high > 0 else 1.0)
    scales.value_axis(ax.yaxis, *room, log)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: scales.plain(value)))
    ax.set_ylim(*room)


def _points(ax: Any, rows: pd.DataFrame, hours: float, alpha: float) -> None:
    kinds = ((0, "o", style.INK, "measured"), (1, "v", style.ROSE, "below the limit"), (-1, "^", style.ROSE, "above the limit"))
    for cens, marker, color, label in kinds:
        part = rows[(rows["cens"] == cens).to_numpy()]
        if len(part):
            size = 2.8 if cens == 0 else 4.2
            ax.plot(part["time"] / hours, part["dv"], marker, color=color, markersize=size, markeredgewidth=0, alpha=alpha, label=label)


def _rug(ax: Any, times: np.ndarray) -> None:
    if len(times):
        foot = ax.get_xaxis_transform()
        ax.vlines(times, 0, 0.045, transform=foot, color=style.SAND, linewidth=1.6, label="dose", zorder=5)
