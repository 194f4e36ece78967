"""The look shared by all figures: calm colours that colour-blind readers tell apart, and type sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

# Paul Tol's "muted" and "high contrast" schemes (SRON technical note 2021-09), which survive the common colour-vision defects.
INK, GREY, FAINT = "#2B3540", "#8A939B", "#E3E7EA"
BLUE, ROSE, TEAL, SAND, WINE, OLIVE = "#4477AA", "#C4576A", "#2F9E8F", "#CC9A2E", "#882255", "#8C8C3C"
CYCLE = (BLUE, ROSE, TEAL, SAND, WINE, OLIVE)

RC: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.titlesize": 11.5,
    "figure.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "lines.linewidth": 1.5,
    "axes.formatter.useoffset": False,
}


def styled(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Run a plotting function under the house style, leaving the reader's own settings as they were."""

    @functools.wraps(draw)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        from matplotlib import rc_context

        with rc_context(RC):
            return draw(*args, **kwargs)

    return wrapper
