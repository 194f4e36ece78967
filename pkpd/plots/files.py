"""Figures as PNG, in memory and on disk."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from pkpd.plots.style import RC

DPI = 110


def png_bytes(figure: Any, dpi: int = DPI) -> bytes:
    """The figure as a PNG at 110 dots an inch, or `dpi`; a figure drawn afresh from the same fit gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    with rc_context(RC):  # ticks are made when the figure is drawn, and take their size and colour then
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write the figure as PNG to `path`, making its folder; returns the path."""
    return write_whole(path, png_bytes(figure))


def write_whole(path: str | Path, data: bytes) -> Path:
    """Write a file so that a reader sees the old one or the new one, never half of it; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    draft.write_bytes(data)
    return draft.replace(path)
