"""The front between two aims: expected utility against how often a limit is broken."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pkpd.errors import FitError
from pkpd.plots import figures, marks, style

LONGEST = 42


@style.styled
def plot_pareto(table: pd.DataFrame, axes: Any = None) -> Any:
    """Expected utility against the share outside a limit, one point a regimen; a hollow point allows more than it was asked to.

    `table` is what `pareto_front` gives. The line rises by steps: between two points nothing better was found than the left one. Returns the figure.
    Raises `FitError` for another table, and one without rows.

    >>> plot_pareto(pareto_front(problem, once, "peak", (0.01, 0.05, 0.2), amounts=(10.0, 500.0)))   # doctest: +SKIP
    """
    lacking = next((c for c in ("utility", "outside", "feasible", "regimen") if c not in table.columns), None)
    if lacking is not None or table.empty:
        said = f"has no column '{lacking}'" if lacking else "has no rows"
        raise FitError(f"plot_pareto: this table {said}; give what pareto_front(problem, regimens, limit, levels) returns.")
    own, shown = axes is None, table.sort_values("outside")
    figure, (ax,) = figures.panels(1, axes, width=7.5, height=4.2)
    x, y, good = 100 * shown["outside"].to_numpy(float), shown["utility"].to_numpy(float), shown["feasible"].to_numpy(bool)
    ax.step(x, y, where="post", color=style.BLUE, linewidth=1.4)
    ax.scatter(x[good], y[good], color=style.BLUE, s=30, zorder=3, label="keeps what is allowed")
    if not good.all():
        ax.scatter(x[~good], y[~good], facecolors="white", edgecolors=style.BLUE, s=30, zorder=3, label="breaks what is allowed")
    for i, regimen in enumerate(shown["regimen"]):
        words = repr(regimen).removeprefix("Regimen(").removesuffix(")")
        words = words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
        left = len(x) > 1 and x[i] > 0.5 * (x.min() + x.max())
        at = {"xytext": (-6 if left else 6, 6 if left else -10), "ha": "right" if left else "left"}
        ax.annotate(words, (x[i], y[i]), textcoords="offset points", fontsize=8, color=style.INK, **at)
    ax.margins(y=0.15)
    ax.set_xlim(-0.02 * max(x.max(), 1.0), 1.1 * max(x.max(), 1.0))
    limit, unit = table.attrs.get("limit", "the measure"), table.attrs.get("unit", "")
    ax.set(xlabel=f"{limit} outside its limits (% of subjects)", ylabel=f"expected utility ({unit})" if unit else "expected utility")
    if own:
        marks.headline(figure, "Benefit against harm", "simulated: one point a regimen, its share counted over all virtual subjects")
        if not good.all():
            marks.legend(figure, [ax])
    return figure
