"""Sensitivities as bars: a tornado of local ones, and Sobol indices with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError
from pkpd.plots import figures, marks, scales, style

ROW = 0.3


@style.styled
def plot_tornado(table: pd.DataFrame, label: str = "measure", most: int = 15, axes: Any = None) -> Any:
    """One bar a parameter, the widest at the top: the measure from the parameter's low value (one colour) to its high value (another).

    `table` is what `local_sensitivity` gives, `label` names the measure with its unit, `most` parameters are shown. Returns the figure. Raises `FitError`.
    """
    _need(table, ("parameter", "low", "high", "at_low", "at_high", "base"))
    shown = table.head(most).iloc[::-1]
    own, place, base = axes is None, np.arange(len(shown)), float(table["base"].iloc[0])
    figure, (ax,) = figures.panels(1, axes, width=7.5, height=ROW * len(shown) + 1.1)
    for end, color, words in (("at_low", style.SAND, "parameter low"), ("at_high", style.BLUE, "parameter high")):
        ax.barh(place, shown[end] - base, left=base, height=0.62, color=color, label=words)
    ax.axvline(base, color=style.INK, linewidth=0.9)
    ends = [
        f"{p}  {scales.plain(float(f'{a:.3g}'))} to {scales.plain(float(f'{b:.3g}'))}"
        for p, a, b in shown[["parameter", "low", "high"]].itertuples(index=False)
    ]
    ax.set_yticks(place, ends)
    ax.set_xlabel(label)
    ax.grid(axis="y", visible=False)
    if own:
        left = f"; {len(table) - len(shown)} narrower ones left out" if len(table) > len(shown) else ""
        marks.headline(figure, f"Local sensitivities: {label}", f"one parameter moved at a time, all others stay{left}")
        marks.legend(figure, [ax])
    return figure


@style.styled
def plot_sobol(table: pd.DataFrame, label: str = "measure", most: int = 15, axes: Any = None) -> Any:
    """First-order and total Sobol index of each parameter with its bootstrap interval, the largest total at the top.

    `table` is what `sobol_indices` gives. Returns the figure. Raises `FitError`.
    """
    _need(table, ("parameter", "first", "first_low", "first_high", "total", "total_low", "total_high"))
    shown = table.head(most).iloc[::-1]
    own, place = axes is None, np.arange(len(shown))
    figure, (ax,) = figures.panels(1, axes, width=7.0, height=1.4 * ROW * len(shown) + 1.1)
    for kind, color, shift, words in (("total", style.BLUE, 0.15, "total"), ("first", style.SAND, -0.15, "first order: alone")):
        ax.hlines(place + shift, shown[f"{kind}_low"], shown[f"{kind}_high"], color=color, linewidth=1.8, alpha=0.6)
        ax.plot(shown[kind], place + shift, "o", color=color, markersize=5.5, label=words)
    ax.axvline(0.0, color=style.GREY, linewidth=0.9)
    ax.set_yticks(place, shown["parameter"])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.set_xlabel(f"share of the variance of {label}")
    ax.grid(axis="y", visible=False)
    if own:
        level = 100 * float(table.attrs.get("level", 0.9))
        marks.headline(figure, f"Sobol indices: {label}", f"bars: {level:g} % bootstrap intervals; total less first order: with others")
        marks.legend(figure, [ax])
    return figure


def _need(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    absent = [c for c in columns if c not in getattr(table, "columns", ())]
    if absent or not len(table):
        raise FitError(
            f"This table has no column '{(absent or ['parameter'])[0]}' or no rows; take one of local_sensitivity or sobol_indices."
        )
