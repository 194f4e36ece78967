"""Visual predictive check: percentiles of the data over the spread of the same percentiles in simulated studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.rows import NUMBERS, endpoint, is_log, observable_rows, unit_of
from pkpd.diagnostics.vpc import PERCENTILES, vpc_table
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.individual import value_range, with_room
from pkpd.plots.vpc_classes import plot_proportions
from pkpd.plots.vpc_events import plot_events

LINES = {5: (style.TEAL, (0, (4, 2))), 50: (style.BLUE, "-"), 95: (style.TEAL, (0, (4, 2)))}


@style.styled
def plot_vpc(fit: Any, observable: str, by: str | None = None, axes: Any = None) -> Any:
    """The VPC of one observable, with the fraction below the limit in a panel under it where any row is.

    Amounts (concentrations, counts): percentiles, as follows. Yes or no: the proportion of yes in time bins; grades: the proportion at or above each; states:
    the proportion in each. Events: the Kaplan-Meier curve, or the mean cumulative count of recurrent ones. Bands: 90 % of simulated studies of new
    subjects of the same design; lines: the 5th, 50th and 95th percentile of the data in
    time bins. A percentile that falls below the limit of quantification is unknown and not drawn. `by` names a covariate whose values make
    columns; `axes` are panels of your own, the columns' upper ones first. Returns the figure.
    Raises `FitError` for an unknown observable or covariate.
    """
    kind = endpoint(fit, observable)
    if kind not in NUMBERS:
        return (plot_events if "event" in kind else plot_proportions)(fit, observable, by, axes)
    numbers = vpc_table(fit, observable, by)
    table = observable_rows(fit, observable)
    strata = list(dict.fromkeys(numbers["stratum"]))
    censored = bool(numbers["blq_obs"].max() > 0)
    own = axes is None
    figure, upper, lower = _axes(axes, len(strata), censored)
    log = is_log(fit, observable)
    hours = scales.time_axis(lower or upper, table["time"].to_numpy(float))
    for i, stratum in enumerate(strata):
        part = numbers[numbers["stratum"] == stratum]
        _percentiles(upper[i], part, table, hours, log)
        upper[i].set_title("" if stratum == "all" else stratum)
        if lower:
            _below(lower[i], part, hours)
    scales.left_labels(upper, f"{observable} ({unit_of(table)})")
    scales.left_labels(lower, "fraction below limit")
    note = "lines: data; bands: 90 % of simulated studies with new subjects"
    marks.finish(figure, upper, fit, title=f"Visual predictive check: {observable}", note=note, own=own)
    return figure


def _axes(axes: Any, strata: int, censored: bool) -> tuple[Any, list[Any], list[Any]]:
    if axes is not None:
        figure, given = figures.panels(strata * (1 + censored), axes)
        return figure, given[:strata], given[strata:]
    figure = figures.new_figure(7.5 if strata == 1 else 10.0, 5.6 if censored else 4.2)
    if not censored:
        return figure, list(figure.subplots(1, strata, sharey=True, squeeze=False).ravel()), []
    grid = figure.subplots(2, strata, sharex=True, sharey="row", squeeze=False, height_ratios=[2.6, 1])
    return figure, list(grid[0]), list(grid[1])


def _percentiles(ax: Any, part: pd.DataFrame, table: pd.DataFrame, hours: float, log: bool) -> None:
    times = part["time"].to_numpy() / hours
    wanted = 1.1 * np.nanmax(part["sim_95_high"].replace(np.inf, np.nan), initial=0.0)
    low, high = with_room(value_range(table, log), wanted, log)
    for percent in PERCENTILES:
        color, line = LINES[percent]
        name = "median" if percent == 50 else "5th, 95th percentile"
        lowest = part["lloq"].fillna(low).to_numpy()
        bottom, top = (part[f"sim_{percent}_{end}"].to_numpy() for end in ("low", "high"))
        shown = top > lowest  # wholly below the limit: nothing that data could have shown
        highest = part["uloq"].fillna(np.inf).to_numpy()
        bottom, top = (np.clip(edge, lowest, highest) for edge in (bottom, top))
        ax.fill_between(times, bottom, top, where=shown, color=color, alpha=0.2, linewidth=0, label=f"{name}, simulated")
        ax.plot(times, part[f"obs_{percent}"], color=color, linestyle=line, marker="o", markersize=3, label=f"{name}, data")
    seen = table[table["scored"] & (table["cens"] == 0)]
    if part["stratum"].iloc[0] == "all":
        ax.plot(seen["time"] / hours, seen["dv"], ".", color=style.GREY, markersize=3, alpha=0.6, zorder=1.5)
    if part["lloq"].notna().any():
        ax.step(times, part["lloq"], where="mid", color=style.ROSE, linewidth=0.9, linestyle=":", label="limit of quantification")
    _once(ax)
    scales.value_axis(ax.yaxis, low, high, log)
    ax.set_ylim(low, high)


def _once(ax: Any) -> None:
    """Keep each legend entry once."""
    seen: set[str] = set()
    for artist in (*ax.lines, *ax.collections):
        label = artist.get_label()
        if label in seen:
            artist.set_label("_" + label)
        seen.add(label)


def _below(ax: Any, part: pd.DataFrame, hours: float) -> None:
    times = part["time"] / hours
    ax.fill_between(times, part["blq_low"], part["blq_high"], color=style.ROSE, alpha=0.2, linewidth=0)
    ax.plot(times, part["blq_mid"], color=style.ROSE, linewidth=0.9, alpha=0.7)
    ax.plot(times, part["blq_obs"], "v", color=style.ROSE, markersize=4.5)
    ax.set_ylim(-0.05, 1.05)
