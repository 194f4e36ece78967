"""Random effects of the subjects, with what is known of each: shrinkage made visible."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.diagnostics.bands import draw_band
from pkpd.diagnostics.layout import absent, eta_names, pooled
from pkpd.diagnostics.rows import subject_ids
from pkpd.diagnostics.shrinkage import shrinkage_table
from pkpd.plots import figures, marks, scales, style


@style.styled
def plot_etas(fit: Any, axes: Any = None) -> Any:
    """One panel a parameter with a random effect: each subject's effect (median, 90 % interval), one omega shaded.

    Where all intervals fill the shaded part, the data say little of that effect (high shrinkage, printed in the title).
    `axes` are panels of your own. Returns the figure.
    """
    names = [name for name in eta_names(fit) if not absent(fit, f"posterior/omega_{name}")]
    subjects = subject_ids(fit)
    own = axes is None
    figure, axes = _panels(len(names), len(subjects)) if own else figures.panels(len(names), axes)
    table = shrinkage_table(fit).set_index("name")
    for ax, name in zip(axes, names, strict=False):
        _panel(ax, draw_band(pooled(fit, "posterior", f"eta_{name}", "subject")), table.loc[name, "omega"], subjects)
        ax.set_title(f"{name}  shrinkage {100 * table.loc[name, 'shrinkage']:.0f} %")
    scales.bottom_labels(axes, "random effect (transformed scale)")
    note = "shaded: one omega to each side; bars: 90 % of draws"
    marks.finish(figure, axes, fit, title="Random effects of the subjects", note=note, own=own)
    return figure


def _panels(count: int, subjects: int) -> tuple[Any, list[Any]]:
    return figures.panels(count, columns=3, height=max(1.8, 0.6 + 0.17 * subjects), width=3.3 * min(3, max(2, count)), sharey=True)


def _panel(ax: Any, band: np.ndarray, omega: float, subjects: list[str]) -> None:
    places = np.arange(len(subjects))
    ax.axvspan(-omega, omega, color=style.GREY, alpha=0.15, linewidth=0)
    ax.axvline(0, color=style.GREY, linewidth=0.9)
    ax.hlines(places, band[0], band[2], color=style.BLUE, linewidth=1.4, alpha=0.6)
    ax.plot(band[1], places, "o", color=style.BLUE, markersize=4, markeredgewidth=0)
    ax.set_yticks(places, subjects)
    ax.set_ylim(len(subjects) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.xaxis.get_major_locator().set_params(nbins=5)
