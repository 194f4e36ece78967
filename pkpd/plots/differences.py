"""Each arm against a reference over time, pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.diagnostics.bands import subject_bands
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.arms import arm_colors, badge_runs, chosen
from pkpd.simulate import arm_differences


@style.styled
def plot_differences(runs: Any, reference: str, observable: str | None = None, by: str = "difference", axes: Any = None) -> Any:
    """The difference (or `by="ratio"`) of each arm to a reference over time, of the same subjects: one panel an arm.

    Line and dark band: the median patient's, 90 % of draws; light band: the middle 90 % of patients. `runs` is what `what_if` gives; `axes` are panels
    of your own. Returns the figure. Raises `FitError` for an arm or observable that is not there.
    """
    name = chosen(runs, observable)
    made = arm_differences(runs[name], reference, by=by).transpose("arm", "draw", "subject", "time")
    arms, own = [str(a) for a in made["arm"].values], axes is None
    figure, axes = figures.panels(len(arms), axes, columns=3, height=3.4, width=4.6 * min(3, max(2, len(arms))), sharey=True)
    times = np.asarray(made["time"].values, float)
    hours, colors = scales.time_axis(axes, times), arm_colors(runs["arm"].values)
    for ax, arm in zip(axes, arms, strict=True):
        lowest, middle, highest = subject_bands(np.asarray(made.sel(arm=arm).values, float))
        ax.axhline(0.0 if by == "difference" else 1.0, color=style.GREY, linewidth=0.9, linestyle="--")
        ax.fill_between(times / hours, lowest[1], highest[1], color=colors[arm], alpha=0.13, linewidth=0)
        ax.fill_between(times / hours, middle[0], middle[2], color=colors[arm], alpha=0.35, linewidth=0)
        ax.plot(times / hours, middle[1], color=colors[arm])
        ax.set_title(f"{arm} against {reference}")
    unit = made.attrs["unit"]
    scales.left_labels(axes, f"{name}, difference ({unit})" if by == "difference" else f"{name}, ratio")
    if own:
        marks.headline(
            figure, f"{name}: against {reference}", "line and dark band: median patient, 90 % of draws; light band: middle 90 % of patients"
        )
    badge_runs(figure, runs.attrs)
    return figure
