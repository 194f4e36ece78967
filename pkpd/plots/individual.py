"""Individual fits: each subject's data with the curve fitted to it, its uncertainty, and the curve of a typical subject."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.bands import draw_band
from pkpd.diagnostics.layout import absent, observation, pooled
from pkpd.diagnostics.residuals import median_over_draws
from pkpd.diagnostics.rows import NUMBERS, endpoint, is_log, observable_rows, subject_ids, unit_of
from pkpd.errors import FitError
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.signs import curve_range, draw_signs

PER_PAGE = 20


def individual_pages(fit: Any, observable: str) -> int:
    """How many figures of at most 20 panels it takes to show every subject that has rows of this observable."""
    return math.ceil(len(_subjects(fit, observable)) / PER_PAGE)


def _subjects(fit: Any, observable: str) -> list[str]:
    having = set(observable_rows(fit, observable)["subject"])
    return [s for s in subject_ids(fit) if s in having]


@style.styled
def plot_individual_fits(fit: Any, observable: str, page: int = 1, axes: Any = None) -> Any:
    """One panel a subject: data, individual curve (median and 90 % band over draws), typical curve (dashed).

    Endpoints that are no amounts (yes or no, grades, states, events) stand as signs above the curve of what drives them. Points are measured values;
    a triangle pointing down stands at the limit of a value below it, with a bar over the interval
    that holds it. `fit` is a fit or its tree, `page` counts from 1 (20 panels each), `axes` are panels of your own instead.
    Returns the figure. Raises `FitError` for an unknown observable or page.
    """
    chosen = _page(_subjects(fit, observable), page)
    table = observable_rows(fit, observable)
    own = axes is None
    figure, axes = figures.panels(len(chosen), axes, sharex=True, sharey=True)
    log, hours = is_log(fit, observable), scales.time_axis(axes, table["time"].to_numpy(float))
    for ax, subject in zip(axes, chosen, strict=True):
        _curves(ax, fit, observable, subject, hours)
    kind = endpoint(fit, observable)
    amount, limit = kind in NUMBERS, observation(fit, observable).get("limit")
    ends = with_room(value_range(table, log), max(ax.get_ylim()[1] for ax in axes), log) if amount else curve_range(axes, log)
    for ax, subject in zip(axes, chosen, strict=True):
        own_rows = table[table["subject"] == subject]
        draw_data(ax, own_rows, hours, ends) if amount else draw_signs(ax, own_rows, hours, kind, limit)
        ax.set_title(subject)
        scales.value_axis(ax.yaxis, *ends, log)
        ax.set_ylim(*ends)
    scales.left_labels(axes, f"{observable} ({unit_of(table)})")
    pages = individual_pages(fit, observable)
    of = f" ({page} of {pages})" if pages > 1 else ""
    marks.finish(figure, axes, fit, title=f"Individual fits: {observable}{of}", own=own)
    return figure


def _page(subjects: list[str], page: int) -> list[str]:
    pages = math.ceil(len(subjects) / PER_PAGE)
    if not 1 <= page <= pages:
        raise FitError(f"There is no page {page} of individual fits: pages go from 1 to {pages}.")
    return subjects[(page - 1) * PER_PAGE : page * PER_PAGE]


def value_range(table: pd.DataFrame, log: bool) -> tuple[float, float]:
    """Limits of the value axis that hold every measured value and limit, with room around."""
    values = table.loc[table["scored"], "dv"]
    if not len(values):
        return (0.1, 1.0) if log else (0.0, 1.0)
    if log:
        return float(values.min()) / 3, float(values.max()) * 2.5
    return min(0.0, float(values.min()) * 1.1), float(values.max()) * 1.2


def with_room(ends: tuple[float, float], wanted: float, log: bool) -> tuple[float, float]:
    """The limits raised towards `wanted`, so that bands are not cut, but not so far that the data shrink to the floor.

    >>> with_room((0.0, 10.0), 12.0, log=False), with_room((0.0, 10.0), 100.0, log=False)
    ((0.0, 12.0), (0.0, 17.0))
    """
    low, high = ends
    return low, float(min(max(high, wanted), high * (4.0 if log else 1.7)))


def _curves(ax: Any, fit: Any, observable: str, subject: str, hours: float) -> None:
    if absent(fit, f"predictions/{observable}"):
        return
    times = np.asarray(fit_times(fit)) / hours
    place = subject_ids(fit).index(subject)
    low, middle, high = draw_band(pooled(fit, "predictions", observable, "subject", "curve_time")[:, place])
    ax.fill_between(times, low, high, color=style.BLUE, alpha=0.22, linewidth=0, label="90 % band")
    ax.plot(times, middle, color=style.BLUE, label="individual curve (median)")
    if not absent(fit, f"predictions/{observable}_pop"):
        typical = median_over_draws(pooled(fit, "predictions", f"{observable}_pop", "subject", "curve_time")[:, place])
        ax.plot(times, typical, color=style.GREY, linestyle=(0, (4, 2)), linewidth=1.1, label="typical subject")


def fit_times(fit: Any) -> np.ndarray:
    """Times (h) of the dense curves."""
    tree = getattr(fit, "tree", fit)
    return np.asarray(tree["predictions"]["curve_time"].values, dtype=float)


def draw_data(ax: Any, table: pd.DataFrame, hours: float, ends: tuple[float, float]) -> None:
    """Data of one panel: measured points; censored ones as triangles at their limit with a bar over the possible interval."""
    seen = table[table["scored"] & (table["cens"] == 0)]
    ax.plot(seen["time"] / hours, seen["dv"], "o", color=style.INK, markersize=3.6, markeredgewidth=0, label="measured", zorder=4)
    for cens, marker, label in ((1, "v", "below the limit"), (-1, "^", "above the limit")):
        part = table[table["scored"] & (table["cens"] == cens)]
        if not len(part):
            continue
        ax.plot(part["time"] / hours, part["dv"], marker, color=style.ROSE, markersize=4.5, markeredgewidth=0, label=label, zorder=4)
        far = part["lower"].fillna(ends[0]) if cens == 1 else np.full(len(part), ends[1])
        ax.vlines(part["time"] / hours, far, part["dv"], color=style.ROSE, linewidth=1.0, alpha=0.55, zorder=3)
