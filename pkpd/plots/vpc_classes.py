"""Visual predictive check of yes-or-no, graded and state endpoints: proportions over time with the band of simulated studies."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.diagnostics.rows import endpoint, observable_rows
from pkpd.diagnostics.vpc_classes import proportion_table
from pkpd.plots import figures, marks, scales, style

NOTE = "points: data; bands: 90 % of simulated studies with new subjects"


def plot_proportions(fit: Any, observable: str, by: str | None = None, axes: Any = None) -> Any:
    """One panel a stratum and class: proportion of the data in time bins over the 90 % band of simulated studies. Returns the figure."""
    numbers = proportion_table(fit, observable, by)
    pairs = list(dict.fromkeys(zip(numbers["stratum"], numbers["class"], strict=True)))
    own, kind = axes is None, endpoint(fit, observable)
    wide = len(pairs) > 1
    figure, axes = figures.panels(
        len(pairs), axes, columns=4, width=10.0 if wide else 7.5, height=2.9 if wide else 3.4, sharex=True, sharey=True
    )
    hours = scales.time_axis(axes, observable_rows(fit, observable)["time"].to_numpy(float))
    for ax, (stratum, name) in zip(axes, pairs, strict=True):
        part = numbers[(numbers["stratum"] == stratum) & (numbers["class"] == name)]
        _panel(ax, part["time"].to_numpy() / hours, part)
        ax.set_title(_title(observable, kind, stratum, name))
    scales.left_labels(axes, "proportion of rows")
    marks.finish(figure, axes, fit, title=f"Visual predictive check: {observable}", note=NOTE, own=own)
    return figure


def _title(observable: str, kind: str, stratum: str, name: str) -> str:
    said = f"{observable} = 1 (yes)" if kind == "binary" else f"{observable} {name.replace('>=', '≥')}"
    return said if stratum == "all" else f"{said}, {stratum}"


def _panel(ax: Any, times: np.ndarray, part: Any) -> None:
    ax.fill_between(times, part["low"], part["high"], color=style.BLUE, alpha=0.2, linewidth=0, label="simulated, 90 %")
    ax.plot(times, part["mid"], color=style.BLUE, linewidth=1.0, alpha=0.8, label="simulated, median")
    ax.plot(times, part["obs"], color=style.INK, linewidth=0.8, linestyle=(0, (4, 2)), marker="o", markersize=4.2, label="data")
    ax.set_ylim(-0.04, 1.04)
