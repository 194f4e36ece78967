"""Observed against predicted: what the model says of a row against what was measured there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.layout import pooled
from pkpd.diagnostics.residuals import median_over_draws
from pkpd.diagnostics.rows import is_log, need_numeric, numeric, observable_rows, unit_of
from pkpd.plots import figures, marks, scales, style

PREDICTIONS = (("pred", "population prediction"), ("ipred", "individual prediction"))


@style.styled
def plot_observed_predicted(fit: Any, observable: str | None = None, axes: Any = None) -> Any:
    """Two panels an observable: observed against the median population and individual prediction, with the identity line.

    Values below the limit stand at it as triangles pointing down, in another colour; the point they hide lies below.
    `fit` is a fit or its tree, `observable` picks one of several, `axes` are two panels an observable of your own.
    Observables that are no amounts (yes or no, grades, states, events) are left out. Returns the figure. Raises `FitError` for an unknown
    observable, or one that is
    no amount.
    """
    names = numeric(fit) if observable is None else (need_numeric(fit, observable),)
    own, count = axes is None, 2 * len(names)
    wide = count >= 4
    figure, axes = figures.panels(count, axes, columns=4 if wide else 2, height=2.75 if wide else 3.1, width=11.5 if wide else 7.2)
    for place, name in enumerate(names):
        table = observable_rows(fit, name)
        for ax, (variable, label) in zip(axes[2 * place :], PREDICTIONS, strict=False):
            predicted = median_over_draws(pooled(fit, "posterior_predictive", variable, "obs"))[table.index.to_numpy()]
            _panel(ax, table, predicted, is_log(fit, name))
            ax.set_title(name)
            ax.set_xlabel(f"{label} ({unit_of(table)})")
            ax.set_ylabel(f"observed ({unit_of(table)})")
    marks.finish(figure, axes, fit, title="Observed against predicted", own=own)
    return figure


def _panel(ax: Any, table: pd.DataFrame, predicted: np.ndarray, log: bool) -> None:
    keep = table["scored"].to_numpy() & np.isfinite(predicted) & ((predicted > 0) | (not log))
    table, predicted = table[keep], predicted[keep]
    # a prediction far below the limit of a censored row would squeeze everything else: the axis stops at a third of the lowest limit
    floor = table["dv"].min() / 3 if log else min(0.0, table["dv"].min(), predicted.min())
    ends = floor, max(table["dv"].max(), predicted.max()) * (1.6 if log else 1.08)
    shown = np.maximum(predicted, floor * 1.08) if log else predicted
    ax.plot(ends, ends, color=style.GREY, linewidth=1.0, label="identity")
    groups = ((0, "o", style.BLUE, "measured"), (1, "v", style.ROSE, "below the limit"), (-1, "^", style.SAND, "above the limit"))
    for cens, marker, color, label in groups:
        part = (table["cens"] == cens).to_numpy()
        if part.any():
            ax.plot(shown[part], table["dv"][part], marker, color=color, alpha=0.65, markersize=4.2, markeredgewidth=0, label=label)
    for axis in (ax.xaxis, ax.yaxis):
        scales.value_axis(axis, *ends, log)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
