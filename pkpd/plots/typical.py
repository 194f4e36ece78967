"""The typical profile of a model: small multiples by unit, what is given written above."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd

from pkpd.model import Example, Model
from pkpd.plots import figures, marks, scales, style
from pkpd.simulate.typical import typical_profile

DECADES = 2.0  # values that span more go on a log axis
SHOWN = 1e-4  # of the peak: what lies below is not drawn on a log axis
NOISE = 1e-6  # of the peak: the solver's error
LETTERS = 14.5  # of the note, an inch
EARLY = 1 / 30  # a peak in the first thirtieth of the time: square-root time axis


@style.styled
def plot_typical(model: Model, example: Example | None = None, axes: Any = None) -> Any:
    """Every observable of a typical subject over time, one panel a unit: what `typical_profile` gives. Values over two decades are on a log axis.

    `example` says what is given and for how long (None: the example the model declares); `axes` are panels of your own, one a unit. Returns the
    figure, whose title says the dose. Raises `ModelError` for a model without an example.

    >>> from pkpd.models.classic import one_compartment_iv
    >>> plot_typical(one_compartment_iv).axes[0].get_ylabel()
    'mg/L'
    """
    table = typical_profile(model, example)
    units = table.attrs["units"]
    groups = {unit: [n for n in units if units[n] == unit] for unit in dict.fromkeys(units.values())}
    own = axes is None
    width = 6.4 if len(groups) == 1 else 9.6
    figure, panels = figures.panels(len(groups), axes, columns=2, height=2.7, width=width)
    hours = _time(panels, table)
    for ax, (unit, names) in zip(panels, groups.items(), strict=True):
        _panel(ax, table, names, hours, unit)
    if own:
        lines = textwrap.wrap(f"Typical subject, no variability: {table.attrs['says']}.", round(width * LETTERS))
        marks.headline(figure, model.name + "\n" * (len(lines) - 1), "\n".join(lines))
    return figure


def _time(axes: list[Any], table: pd.DataFrame) -> float:
    """Scale the time axes by where things happen; returns the hours in one unit of the axis."""
    times = table["TIME"].to_numpy()
    early = any(0 < times[table[n].argmax()] < EARLY * times[-1] for n in table.columns[1:])
    return scales.time_axis(axes, times, spread=early and times[-1] >= scales.DAYS_FROM)


def _panel(ax: Any, table: pd.DataFrame, names: list[str], hours: float, unit: str) -> None:
    times, values = table["TIME"].to_numpy(), table[names].to_numpy()
    values = np.where(np.abs(values) < NOISE * np.abs(values).max(), 0.0, values)
    room = _decades(times, values) if unit != "1" else None  # shares and factors are read on a linear axis
    low, high = room or _room(values)
    scales.value_axis(ax.yaxis, low, high, room is not None)
    ax.set_ylim(low, high)
    curves: dict[bytes, list[int]] = {}
    for i, y in enumerate(values.T):  # one line for observables that are the same numbers
        curves.setdefault(np.round(y / np.abs(values).max(), 9).tobytes(), []).append(i)
    for place, same in enumerate(curves.values()):
        y = values[:, same[0]]
        shown = np.where(y > 0, y, np.nan) if room else y
        ax.plot(times / hours, shown, color=style.CYCLE[place % len(style.CYCLE)], label=", ".join(names[i] for i in same))
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.97), ncols=len(curves), handlelength=1.2, columnspacing=1.1, handletextpad=0.5)
    ax.set_ylabel("no unit" if unit == "1" else unit)


def _decades(times: np.ndarray, values: np.ndarray) -> tuple[float, float] | None:
    """The ends of a log axis where the curves span more than two decades for more than a twentieth of the time; else None."""
    top = values.max()
    if top <= 0 or values.min() < 0:
        return None
    even = np.linspace(times[0], times[-1], 400)
    level = [np.interp(even, times, y) for y in values.T]
    lows = [float(np.quantile(y[y > top * SHOWN], 0.05)) for y in level if (y > top * SHOWN).any()]
    lowest = values[values > top * SHOWN].min()
    return (lowest / 1.5, top * 1.8) if top > 10**DECADES * min(lows) else None


def _room(values: np.ndarray) -> tuple[float, float]:
    """From 0, unless the values move little far above it."""
    low, high = float(values.min()), float(values.max())
    spread = high - low or abs(high) or 1.0
    return 0.0 if 0 <= low < 0.75 * high or low == high > 0 else low - 0.08 * spread, high + 0.08 * spread
