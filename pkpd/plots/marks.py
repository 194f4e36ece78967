"""Words on a figure: what is seen, what the signs mean, and what no reader may miss."""

from __future__ import annotations

import math
from typing import Any

from pkpd.diagnostics.layout import attribute, is_converged, is_simulated
from pkpd.plots.style import ROSE, WINE


def finish(figure: Any, axes: list[Any], fit: Any, *, title: str, note: str = "", own: bool = True) -> None:
    """Title, legend and marks of a figure; in panels that the caller gave (`own` False) only the marks are added."""
    if own:
        headline(figure, title, note)
        legend(figure, axes)
    mark(figure, fit)


def headline(figure: Any, title: str, note: str = "") -> None:
    """The title at the left, what is seen in it below in smaller, lighter type."""
    figure.suptitle(title if not note else f"{title}\n", x=0.012, ha="left")
    if note:
        height = figure.get_size_inches()[1]
        figure.text(0.012, 1 - 0.36 / height, note, ha="left", va="top", fontsize=9, color="#5B6670")


def mark(figure: Any, fit: Any) -> None:
    """Write in the upper right corner what no reader may miss: simulated data, and a fit that has not converged."""
    words = ["simulated data"] if is_simulated(fit) else []
    failed = attribute(fit, "verdict") is not None and not is_converged(fit)
    badge(figure, ["NOT CONVERGED: not to be used"] * failed + words, ROSE if failed else WINE)


def badge(figure: Any, words: list[str], color: str = WINE) -> None:
    """Words in a small box in the upper right corner of a figure; nothing when there are none."""
    if words:
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": color, "linewidth": 0.9}
        place = 1 - 0.13 / figure.get_size_inches()[1]
        text = " · ".join(words)
        figure.text(0.99, place, text, ha="right", va="top", fontsize=8.5, fontweight="bold", color=color, bbox=box).set_gid("mark")


def legend(figure: Any, axes: list[Any]) -> None:
    """One legend below the panels with every sign that any of them uses; none when there is nothing to explain."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        inches = sum(0.65 + 0.07 * len(label) for label in found)  # handle and gap, then the text at 8.5 points
        lines = math.ceil(inches / (0.97 * figure.get_size_inches()[0]))
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=math.ceil(len(found) / lines))
