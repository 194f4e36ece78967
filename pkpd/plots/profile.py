"""Profile likelihoods: the rise of the objective beside the parabola that a standard error stands for."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.approximate.profile import LEVEL
from pkpd.plots import figures, marks, scales, style

SHOWN = 7.0


@style.styled
def plot_profile(found: Any, axes: Any = None) -> Any:
    """One panel a value: by how much -2 log likelihood rises as it is moved and all others follow; the line at 3.84 cuts off the 95 % interval.

    The thin curve is the parabola of the standard error. A curve that stays below the line on one side has no bound there. `found` is what `profile` gives;
    `axes` are panels of your own. Returns the figure.

    >>> plot_profile(profile(problem, maximise(problem), ["CL"]))                          # doctest: +SKIP

    Source: Raue et al. 2009, Bioinformatics 25:1923.
    """
    names, own = list(found.intervals.index), axes is None
    figure, axes = figures.panels(len(names), axes, height=2.2)
    for ax, name in zip(axes, names, strict=True):
        looks, line = found.table[found.table["name"] == name], found.intervals.loc[name]
        ax.plot(looks["value"], looks["rise"], marker="o", markersize=3.5, color=style.BLUE, label="profile")
        grid, se = np.linspace(looks["value"].min(), looks["value"].max(), 101), (line["wald_upper"] - line["estimate"]) / 1.96
        if np.isfinite(se) and se > 0:
            ax.plot(grid, ((grid - line["estimate"]) / se) ** 2, color=style.GREY, linewidth=0.9, label="standard error")
        ax.axhline(LEVEL, color=style.ROSE, linewidth=0.9, linestyle="--", label="95 %")
        ax.set_ylim(-0.3, SHOWN)
        ax.set_title(f"{name} ({line['unit']})" if line["unit"] not in ("", "1") else name)
    scales.bottom_labels(axes, "value")
    if own:
        marks.headline(figure, f"Profile likelihood, {found.method}", "rise of -2 log likelihood, all other values at their best")
        marks.legend(figure, axes)
    unbounded = found.intervals[["lower", "upper"]].isna().any(axis=1)
    marks.badge(figure, ["NOT BOUNDED"] if unbounded.any() else [], style.ROSE)
    return figure
