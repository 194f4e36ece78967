"""Normalised residuals: against time, against prediction, and their quantiles against the normal ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.diagnostics.residuals import normal_quantile_band, normal_quantiles, residual_table
from pkpd.diagnostics.rows import is_log, need_numeric, numeric, unit_of
from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, scales, style

LIMIT = 1.96


@style.styled
def plot_residuals(fit: Any, observable: str | None = None, against: str = "individual", axes: Any = None) -> Any:
    """Three panels an observable: randomised quantile residuals against time and prediction, and a normal QQ plot.

    Residuals of a right model scatter evenly around 0, nineteen of twenty between the dotted lines. Censored rows take part: theirs
    are drawn from the part of the distribution that the limit leaves open. `against` is "individual" (each subject's own curve) or
    "population" (new subjects); `axes` are three panels an observable of your own. Returns the figure.
    Observables that are no amounts (yes or no, grades, states, events) are left out. Raises `FitError` for an unknown observable or `against`, or for an
    observable that is no amount.
    """
    table = residual_table(fit, against)
    names = numeric(fit) if observable is None else (need_numeric(fit, observable),)
    unknown = [name for name in names if name not in set(table["observable"])]
    if unknown and observable is not None:
        raise FitError(f"This fit has no scored rows of '{observable}'. {choices(observable, set(table['observable']))}")
    names = tuple(name for name in names if name not in unknown)
    table = table[table["observable"].isin(names)]
    own = axes is None
    figure, axes = figures.panels(3 * len(names), axes, columns=3, height=2.7)
    for place, name in enumerate(names):
        _row(axes[3 * place : 3 * place + 3], table[table["observable"] == name], name, against, is_log(fit, name))
    marks.finish(figure, axes, fit, title=f"Normalised residuals against {against} predictions", note=_note(table), own=own)
    return figure


def _note(table: pd.DataFrame) -> str:
    censored = int((table["cens"] != 0).sum())
    return f"triangles: {censored} censored rows, drawn from the open part of their distribution" if censored else ""


def _row(axes: list[Any], table: pd.DataFrame, name: str, against: str, log: bool) -> None:
    hours = scales.time_axis([axes[0]], table["time"].to_numpy(float))
    _scatter(axes[0], table["time"] / hours, table)
    axes[0].set(title=f"{name}: over time", ylabel="residual (normal score)")
    predicted = table["prediction"]
    if log:
        floor = table["dv"].min() / 10
        predicted = predicted.clip(lower=floor)
        scales.value_axis(axes[1].xaxis, max(floor, predicted.min()), predicted.max(), log)
    _scatter(axes[1], predicted, table)
    axes[1].set(title=f"{name}: over prediction", xlabel=f"{against} prediction ({unit_of(table)})")
    _quantiles(axes[2], table["residual"].to_numpy(), name)


def _scatter(ax: Any, x: pd.Series, table: pd.DataFrame) -> None:
    ax.axhline(0, color=style.GREY, linewidth=1.0)
    for limit in (-LIMIT, LIMIT):
        ax.axhline(limit, color=style.GREY, linewidth=0.9, linestyle=":")
    for marker, color, part in (
        ("o", style.BLUE, table["cens"] == 0),
        ("v", style.ROSE, table["cens"] == 1),
        ("^", style.SAND, table["cens"] == -1),
    ):
        ax.plot(x[part], table["residual"][part], marker, color=color, alpha=0.65, markersize=4, markeredgewidth=0)
    reach = max(3.2, float(table["residual"].abs().max()) * 1.1)
    ax.set_ylim(-reach, reach)


def _quantiles(ax: Any, residuals: np.ndarray, name: str) -> None:
    expected, found = normal_quantiles(residuals)
    low, high = normal_quantile_band(len(found))
    ax.fill_between(expected, low, high, color=style.GREY, alpha=0.22, linewidth=0, label="90 % of standard normal samples")
    ends = [expected[0], expected[-1]]
    ax.plot(ends, ends, color=style.GREY, linewidth=1.0)
    ax.plot(expected, found, "o", color=style.BLUE, markersize=3.4, markeredgewidth=0, alpha=0.8)
    ax.set(title=f"{name}: quantiles", xlabel="expected normal score", ylabel="residual")
    reach = max(3.2, float(np.abs(found).max()) * 1.1)
    ax.set_ylim(-reach, reach)
