"""Endpoints that are no amounts, as signs in a strip above the curve of what drives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.plots import style

STRIP, ROOM, DECADES = 0.92, 0.22, 4.0
"""Height of the strip in the panel, the share of the panel kept free for it, and the most decades of a log axis below the highest curve."""


def curve_range(axes: list[Any], log: bool) -> tuple[float, float]:
    """Limits of the value axis that hold every curve drawn, with the strip's room above them."""
    values = np.concatenate(
        [np.asarray(line.get_ydata(), float) for ax in axes for line in ax.lines if len(line.get_xdata()) > 2] or [[0.0, 1.0]]
    )
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not len(values):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if log:
        low = max(low, high / 10**DECADES)
        return low / 1.2, high * (high / low * 1.2) ** (ROOM / (1 - ROOM)) * 1.3
    low, high = (min(low, 0.0), high) if low >= 0 else (low, high)
    return low - 0.03 * (high - low), high + (high - low or 1.0) * ROOM / (1 - ROOM)


def draw_signs(ax: Any, table: pd.DataFrame, hours: float, kind: str, limit: float | None = None) -> None:
    """What was seen of one subject: filled and open circles (yes, no), diamonds and ticks (event, none), or the number of the grade or state.

    `limit` is the limit of detection, drawn as a line.
    """
    seen = table[table["scored"]]
    if limit is not None:
        ax.axhline(limit, color=style.ROSE, linewidth=0.9, linestyle=":", label="limit of detection")
    for value, part in reversed(list(seen.groupby("dv"))):
        marker, label, fill = _sign(kind, float(value))
        ax.plot(
            part["time"] / hours,
            np.full(len(part), STRIP),
            marker=marker,
            linestyle="none",
            transform=ax.get_xaxis_transform(),
            color=style.INK,
            markerfacecolor=style.INK if fill else "white",
            markersize=5.0,
            markeredgewidth=0.9 if not marker.startswith("$") else 0.3,
            label=label,
            zorder=4,
        )


def _sign(kind: str, value: float) -> tuple[str, str, bool]:
    if kind == "binary":
        return ("o", "yes", True) if value == 1 else ("o", "no", False)
    if "event" in kind:
        return ("D", "event", True) if value == 1 else ("|", "no event to here", False)
    return f"${value:g}$", "numbers: what was seen", True
