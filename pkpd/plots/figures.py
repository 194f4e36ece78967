"""Empty figures to draw in: panels in a balanced grid, or the caller's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pkpd.errors import FitError
from pkpd.plots.files import png_bytes


def panels(
    count: int, given: Any = None, *, columns: int = 4, width: float = 10.0, height: float = 2.3, **shared: Any
) -> tuple[Any, list[Any]]:
    """A figure (inches: `width`, and `height` a row) with `count` panels in reading order; places left over are removed.

    `given` panels are used instead of new ones. Returns the figure and its panels. Raises `FitError` when fewer than `count` are given.
    The figure does not pass through pyplot, so it is freed when no longer used; notebooks show it through its PNG.
    """
    if given is not None:
        own = list(np.ravel(np.asarray(given, dtype=object)))
        if len(own) < count:
            raise FitError(f"This figure needs {count} panels and was given {len(own)}. Make {count}, or leave axes out.")
        return own[0].get_figure(), own[:count]
    columns = balanced(count, columns)
    lines = math.ceil(count / columns)
    figure = new_figure(width, height * lines + 0.75)
    grid = figure.subplots(lines, columns, squeeze=False, **shared).ravel()
    for spare in grid[count:]:
        _hand_ticks_up(spare, columns, grid)
        spare.remove()
    return figure, list(grid[:count])


def balanced(count: int, columns: int) -> int:
    """Columns that leave fewest places empty: `columns` or one more or less where there are several rows.

    >>> balanced(3, 4), balanced(6, 4), balanced(14, 4), balanced(12, 4)
    (3, 3, 5, 4)
    """
    if count <= columns or columns < 4:
        return max(1, min(columns, count))
    return min((columns, columns + 1, columns - 1), key=lambda c: -count % c)


def _hand_ticks_up(spare: Any, columns: int, grid: Any) -> None:
    """The panel above a removed one becomes the lowest of its column and shows the time labels."""
    above = list(grid).index(spare) - columns
    if above >= 0:
        grid[above].tick_params(labelbottom=True)


def new_figure(width: float, height: float) -> Any:
    """An empty figure with constrained layout that shows itself in notebooks."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.03, wspace=0.02)
    figure = Figure(figsize=(width, height), layout=layout)
    setattr(figure, "_repr_png_", lambda: png_bytes(figure))  # noqa: B010
    return figure
