"""Visual predictive check of events: Kaplan-Meier curve, or mean cumulative count, with the band of simulated studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.rows import endpoint, observable_rows
from pkpd.diagnostics.vpc import strata_of
from pkpd.diagnostics.vpc_events import event_table, follow_up
from pkpd.plots import figures, marks, scales, style


def plot_events(fit: Any, observable: str, by: str | None = None, axes: Any = None) -> Any:
    """One panel a stratum: Kaplan-Meier curve (single events) or mean cumulative count (recurrent) over the 90 % band. Returns the figure."""
    numbers = event_table(fit, observable, by)
    table = observable_rows(fit, observable)
    table = table[table["scored"]]
    strata, groups = strata_of(fit, table, by), list(dict.fromkeys(numbers["stratum"]))
    own, single = axes is None, endpoint(fit, observable) == "event"
    figure, axes = figures.panels(len(groups), axes, columns=4, width=7.5 if len(groups) == 1 else 10.0, height=3.6, sharey=True)
    hours = scales.time_axis(axes, np.append(table["time"].to_numpy(float), 0.0))
    for ax, group in zip(axes, groups, strict=True):
        part = numbers[numbers["stratum"] == group]
        _curves(ax, part, hours)
        if single:
            _losses(ax, follow_up(table[strata == group]), part, hours)
            ax.set_ylim(-0.03, 1.05)
        else:
            ax.set_ylim(bottom=0)
        _at_risk(ax, part, hours)
        ax.set_title("" if group == "all" else group)
    scales.left_labels(axes, f"without {observable}" if single else f"mean count of {observable}")
    note = f"steps: data ({'Kaplan-Meier' if single else 'mean cumulative count'}); bands: 90 % of simulated studies with new subjects"
    marks.finish(figure, axes, fit, title=f"Visual predictive check: {observable}", note=note, own=own)
    return figure


def _curves(ax: Any, part: pd.DataFrame, hours: float) -> None:
    times = part["time"] / hours
    ax.fill_between(times, part["low"], part["high"], step="post", color=style.BLUE, alpha=0.2, linewidth=0, label="simulated, 90 %")
    ax.plot(times, part["mid"], drawstyle="steps-post", color=style.BLUE, linewidth=1.0, alpha=0.8, label="simulated, median")
    ax.plot(times, part["obs"], drawstyle="steps-post", color=style.INK, linewidth=1.4, label="data")


def _losses(ax: Any, seen: pd.DataFrame, part: pd.DataFrame, hours: float) -> None:
    """Ticks where subjects are lost to follow-up without an event."""
    lost = seen.loc[~seen["event"], "time"].to_numpy(float)
    if len(lost):
        place = np.searchsorted(part["time"].to_numpy(), lost, side="right") - 1
        ax.plot(
            lost / hours, part["obs"].to_numpy()[place], "|", color=style.INK, markersize=7, markeredgewidth=1.0, label="lost to follow-up"
        )


def _at_risk(ax: Any, part: pd.DataFrame, hours: float) -> None:
    """How many subjects are still followed, in a line under the axis."""
    end = part["time"].max()
    for time in (t * hours for t in ax.get_xticks() if 0 <= t * hours <= end):
        n = part["at_risk"].to_numpy()[np.searchsorted(part["time"].to_numpy(), time - 1e-9)]
        ax.annotate(
            f"{n}", (time / hours, 0), (0, -34), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center", fontsize=8
        )
    ax.annotate(
        "subjects followed",
        (0, 0),
        (-6, -34),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=style.GREY,
    )
