"""Forest plot of covariate effects: what a covariate does to a parameter, at values that the cohort has."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pkpd.diagnostics.effects import BAND, effect_table
from pkpd.errors import FitError
from pkpd.plots import figures, marks, scales, style

ROW, HEAD, FOOT, TOP = 0.25, 0.15, 0.6, 1.05  # inches: a line, what a parameter adds, the axis below a panel, title and legend
TICKS = (0.1, 0.2, 0.3, 0.5, 0.65, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
LEAST = 1.3  # the ratio that the axis shows to each side, whatever the effects


@style.styled
def plot_forest(fit: Any, axes: Any = None) -> Any:
    """Each covariate effect as a ratio to the reference subject (log axis, 0.8 to 1.25 shaded), or as a difference on the parameter's own scale.

    Points: posterior medians with 90 % intervals, at the 5th and 95th percentile of the covariate or at each level; hollow where the
    coefficient is fixed. Parameters on a logit or identity scale have a panel each, below. `axes` are panels of your own.
    Returns the figure. Raises `FitError` for a fit without covariate effects.

    >>> plot_forest(fit)                                                                   # doctest: +SKIP
    """
    table = effect_table(fit)
    if table.empty:
        raise FitError(
            "This fit has no covariate effects to draw (or was stored before they were); add .effect(...) to a parameter and fit again."
        )
    parts = _parts(table)
    own = axes is None
    figure, axes = _panels([_height(p) for p in parts]) if own else figures.panels(len(parts), axes)
    for ax, part in zip(axes, parts, strict=True):
        _panel(ax, part)
    _explain(axes[0], table)
    note = "theta at a value of the covariate against theta at its reference; points and bars: median and 90 % of draws"
    marks.finish(figure, axes, fit, title="Covariate effects", note=note, own=own)
    return figure


def _parts(table: pd.DataFrame) -> list[pd.DataFrame]:
    """All ratios together; the differences of each parameter, which has its own unit."""
    ratios, rest = table[table["measure"] == "ratio"], table[table["measure"] != "ratio"]
    return ([ratios] if len(ratios) else []) + [part for _, part in rest.groupby("parameter", sort=False)]


def _height(part: pd.DataFrame) -> float:
    return ROW * len(part) + (ROW + HEAD) * part["parameter"].nunique()


def _panels(heights: list[float]) -> tuple[Any, list[Any]]:
    figure = figures.new_figure(8.0, sum(heights) + FOOT * len(heights) + TOP)
    grid = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    return figure, list(grid.ravel())


def _panel(ax: Any, part: pd.DataFrame) -> None:
    ratio, place = part["measure"].iloc[0] == "ratio", 0.0
    _axis(ax, part, ratio)
    ticks: dict[float, str] = {}
    for parameter, lines in part.groupby("parameter", sort=False):
        ax.text(0.0, place, f"{parameter}  ", transform=ax.get_yaxis_transform(), ha="right", va="center", fontweight="bold")
        for line in lines.to_dict("records"):
            place += ROW
            ticks[place] = _words(line)
            _line(ax, place, line)
        place += ROW + HEAD
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.set_ylim(place - HEAD - 0.4 * ROW, -0.7 * ROW)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="y", visible=False)


def _axis(ax: Any, part: pd.DataFrame, ratio: bool) -> None:
    low, high = float(part["q5"].min()), float(part["q95"].max())
    unit = part["unit"].iloc[0]
    if ratio:
        low, high = min(low, 1 / LEAST) * 0.96, max(high, LEAST) * 1.04
        ax.axvspan(*BAND, color=style.GREY, alpha=0.15, linewidth=0, label="0.8 to 1.25")
    else:
        low, high = min(low, 0.0), max(high, 0.0)
        room = 0.06 * (high - low) or 1.0
        low, high = low - room, high + room
    scales.value_axis(ax.xaxis, low, high, ratio)
    if ratio:
        ax.set_xticks(_ticks(low, high))
    ax.set_xlim(low, high)
    ax.axvline(1.0 if ratio else 0.0, color=style.GREY, linewidth=0.9)
    ax.set_xlabel("ratio to the reference" if ratio else f"difference from the reference{f' ({unit})' if unit not in ('', '1') else ''}")


def _ticks(low: float, high: float) -> list[float]:
    """Ratios in the band's own numbers where they fit, else round ones."""
    shown = [x for x in TICKS if low <= x <= high]
    return shown if len(shown) <= 8 else scales.log_ticks(low, high)


def _words(line: dict[str, Any]) -> str:
    """WT 52, 5th percentile (reference 70)"""
    at, reference = (x.replace("-", "−") for x in (f"{line['at']:.3g}", f"{line['reference']:.4g}"))
    return f"{line['covariate']} {at}, {line['what']} (reference {reference})"


def _line(ax: Any, place: float, line: dict[str, Any]) -> None:
    low, middle, high = (float(line[q]) for q in ("q5", "q50", "q95"))
    fixed = bool(line["fixed"])
    ax.hlines([place], low, high, color=style.BLUE, linewidth=1.8, alpha=0.6)
    ax.plot([middle], [place], "D" if fixed else "o", color=style.BLUE, markersize=5.5, markerfacecolor="white" if fixed else style.BLUE)
    form = ".2f" if line["measure"] == "ratio" else ".2g"
    spread = f" ({low:{form}} to {high:{form}})" if high > low else ""
    text = f"  {middle:{form}}{spread}{', fixed' if fixed else ''}".replace("-", "−")
    ax.text(1.0, place, text, transform=ax.get_yaxis_transform(), ha="left", va="center", fontsize=8.5)


def _explain(ax: Any, table: pd.DataFrame) -> None:
    """The signs, in the legend: points stand for all panels."""
    for fixed, sign, face, label in ((False, "o", style.BLUE, "estimated coefficient"), (True, "D", "white", "fixed coefficient")):
        if (table["fixed"] == fixed).any():
            ax.plot([], [], sign, color=style.BLUE, markersize=5.5, markerfacecolor=face, label=label)
