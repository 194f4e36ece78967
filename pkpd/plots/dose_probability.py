"""The probability of a target against the dose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, scales, style
from pkpd.plots.arms import badge_runs


@style.styled
def plot_dose_probability(
    table: pd.DataFrame, doses: Mapping[str, float], unit: str = "", limits: Any = (), attrs: Any = None, axes: Any = None
) -> Any:
    """P(target) against dose: one line a target with its 90 % band over draws; dotted lines at the probabilities in `limits`.

    `table` is what `target_attainment` gives (a line an arm and target), or several of them joined by a column "target" with their names; `doses` maps each
    arm to its dose in `unit`. `attrs` (runs.attrs) mark simulated data and extrapolation. Returns the figure. Raises `FitError`.
    """
    missing = [str(a) for a in table.get("arm", pd.Series(dtype=str)).unique() if a not in doses]
    if "arm" not in table.columns or missing:
        raise FitError(
            f"doses has no dose of the arm '{missing[0]}'. {choices(missing[0], doses)}" if missing else "This table has no column 'arm'."
        )
    own = axes is None
    figure, (ax,) = figures.panels(1, axes, width=7.0, height=4.2)
    keys = [c for c in ("target", "at_least", "at_most") if c in table.columns]
    parts: Any = table.groupby(keys, sort=False, dropna=False) if keys else [((), table)]
    for i, (key, part) in enumerate(parts):
        x = np.array([doses[a] for a in part["arm"]])
        order, color = np.argsort(x), style.CYCLE[i % len(style.CYCLE)]
        low, middle, high = (part[c].to_numpy(float)[order] for c in ("low", "probability", "high"))
        ax.fill_between(x[order], low, high, color=color, alpha=0.2, linewidth=0)
        ax.plot(x[order], middle, "o-", color=color, markersize=4, label=_words(table, keys, key))
    for limit in np.atleast_1d(np.asarray(limits, float)):
        ax.axhline(limit, color=style.INK, linewidth=0.9, linestyle=":")
        ax.text(1.005, limit, f"{100 * limit:g} %", transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    every = np.array(sorted(set(doses.values())), float)
    scales.value_axis(ax.xaxis, every.min(), every.max(), bool(every.min() > 0 and every.max() >= 20 * every.min()))
    ax.set(xlabel=f"dose ({unit})" if unit else "dose", ylabel="probability", ylim=(-0.02, 1.02))
    if own:
        marks.headline(figure, "Probability of the target by dose", "line: mean over draws; band: 90 % of draws")
        marks.legend(figure, [ax])
    badge_runs(figure, attrs or {})
    return figure


def _words(table: pd.DataFrame, keys: list[str], key: Any) -> str:
    given = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
    if "target" in given:
        return str(given["target"])
    measure, unit = table.attrs.get("measure") or "value", table.attrs.get("unit", "1")
    words = [f"{sign} {given[k]:g}{'' if unit == '1' else f' {unit}'}" for k, sign in (("at_least", "≥"), ("at_most", "≤")) if k in given]
    return f"{measure} {' and '.join(words)}" if words else "target"
