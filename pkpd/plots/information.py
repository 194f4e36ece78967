"""Which data inform which parameter: expected posterior over prior sd, a row a parameter, a column an observable."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.plots import figures, marks, style


@style.styled
def plot_information(found: Any, axes: Any = None) -> Any:
    """One cell a parameter and observable: the expected posterior sd over the prior's from that observable alone; the last column from all together,
    after a column for each step where several are added one after another.

    1 (white) is a parameter of which that observable tells nothing; the darker, the more. Parameters are as in the table, grey where the prior has no sd to
    compare with. `found` is what `identify` gives; `axes` is a panel of your own. Returns the figure.

    >>> plot_information(identify(problem))                                                # doctest: +SKIP

    Source: the ratio is that of the table of `identify`.
    """
    names, alone = found.table["name"].tolist(), found.streams["stream"].tolist()[:-1]
    added = found.steps["stream"].tolist() if found.staged else []
    streams = [*alone, *(added or ["all"])]
    together = found.by_step.set_index("name").loc[names, added] if added else found.table[["all"]]
    ratios = np.concatenate([found.table[alone].to_numpy(float), together.to_numpy(float)], 1)
    own = axes is None
    figure, (ax,) = figures.panels(1, axes, columns=1, height=1.1 + 0.27 * len(names), width=2.6 + 1.05 * len(streams))
    ax.set_facecolor(style.GREY)
    image = ax.imshow(ratios, aspect="auto", cmap="Blues_r", vmin=0.0, vmax=1.0, interpolation="nearest")
    for i, j in np.argwhere(np.isfinite(ratios)):
        ax.text(j, i, f"{ratios[i, j]:.2f}", ha="center", va="center", fontsize=8, color="white" if ratios[i, j] < 0.5 else "black")
    ax.set_yticks(range(len(names)), names)
    ax.set_xticks(range(len(streams)), streams)
    ax.axvline(len(alone) - 0.5, color="white", linewidth=2.5)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    bar = figure.colorbar(image, ax=ax, fraction=0.035, pad=0.02)
    bar.set_label("expected posterior sd / prior sd", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    if own:
        marks.headline(
            figure,
            "What each observable tells",
            "alone, and as they are added; 1 is nothing beyond the prior"
            if added
            else "alone, and all together; 1 is nothing beyond the prior",
        )
    marks.badge(figure, ["NOT IDENTIFIED"] if found.not_seen else [], style.ROSE)
    return figure
