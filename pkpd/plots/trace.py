"""Trace and rank plots: have the chains mixed?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pkpd.diagnostics.density import chain_ranks
from pkpd.diagnostics.layout import absent, need, population_names
from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, style

PER_PAGE = 8
BINS = 20


def trace_pages(fit: Any) -> int:
    """How many figures of at most 8 parameters hold every population parameter."""
    return math.ceil(len(population_names(fit)) / PER_PAGE)


@style.styled
def plot_trace(fit: Any, names: tuple[str, ...] | None = None, page: int = 1, axes: Any = None) -> Any:
    """Two panels a parameter: draws in order, one line a chain, and how evenly each chain's draws rank among all.

    Mixed chains overlap on the left and stay near the dashed line on the right. Ticks under a trace are divergent draws.
    `names` picks parameters, `page` counts from 1 (8 parameters each), `axes` are two panels a parameter of your own.
    Returns the figure. Raises `FitError` for an unknown name.
    """
    known = population_names(fit)
    chosen = list(names) if names is not None else list(known[(page - 1) * PER_PAGE : page * PER_PAGE])
    for name in chosen:
        if name not in known:
            raise FitError(f"This fit has no population parameter '{name}'. {choices(name, known)}")
    own = axes is None
    figure, axes = figures.panels(2 * len(chosen), axes, columns=2, height=1.25, sharex="col")
    for place, name in enumerate(chosen):
        draws = need(fit, f"posterior/{name}")["posterior"][name].transpose("chain", "draw").values
        _trace(axes[2 * place], draws, _divergent(fit))
        axes[2 * place].set_title(name)
        _ranks(axes[2 * place + 1], draws)
    axes[2 * len(chosen) - 2].set_xlabel("draw")
    axes[2 * len(chosen) - 1].set_xlabel("rank among all draws (fraction)")
    marks.finish(figure, axes, fit, title="Traces and ranks of the chains", own=own)
    return figure


def _divergent(fit: Any) -> np.ndarray | None:
    if absent(fit, "sample_stats/diverging"):
        return None
    return np.asarray(need(fit)["sample_stats"]["diverging"].transpose("chain", "draw").values, dtype=bool)


def _trace(ax: Any, draws: np.ndarray, divergent: np.ndarray | None) -> None:
    for chain, values in enumerate(draws):
        ax.plot(values, color=_color(chain), linewidth=0.5, alpha=0.75, label=f"chain {chain + 1}")
    if divergent is not None and divergent.shape == draws.shape and divergent.any():
        places = np.flatnonzero(divergent.any(axis=0))
        signs = {"color": style.INK, "markersize": 6, "clip_on": False, "linestyle": "none"}
        ax.plot(places, np.zeros(len(places)), marker="|", transform=ax.get_xaxis_transform(), label="divergent", **signs)
    ax.margins(x=0.01)


def _ranks(ax: Any, draws: np.ndarray) -> None:
    counts = chain_ranks(draws, BINS) * BINS / draws.shape[1]
    edges = np.linspace(0, 1, BINS + 1)
    ax.axhline(1, color=style.GREY, linewidth=0.9, linestyle="--")
    for chain, line in enumerate(counts):
        ax.stairs(line, edges, color=_color(chain), linewidth=1.0, baseline=None)
    ax.set_ylim(0, max(2.0, float(counts.max()) * 1.1))
    ax.margins(x=0.01)


def _color(chain: int) -> str:
    return style.CYCLE[chain % len(style.CYCLE)]
