"""Prior and posterior densities of the population parameters: what the data have added to what was assumed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pkpd.diagnostics.contraction import contraction_table
from pkpd.diagnostics.density import density
from pkpd.diagnostics.layout import SPREADS, pooled, report_facts
from pkpd.errors import FitError, choices
from pkpd.plots import figures, marks, scales, style

PER_PAGE = 20
LONG_NAME = 16


def prior_posterior_pages(fit: Any) -> int:
    """How many figures of at most 20 panels hold every population parameter that has a prior."""
    return math.ceil(len(contraction_table(fit)) / PER_PAGE)


@style.styled
def plot_prior_posterior(fit: Any, names: tuple[str, ...] | None = None, page: int = 1, axes: Any = None) -> Any:
    """One panel a parameter: prior (grey) and posterior (blue), the ratio posterior/prior sd in the title.

    Positive typical values stand on a log axis and their ratio is of log sds; spreads stay linear. A ratio above 0.8 is tagged
    prior-driven. Where the truth is known (`report["truth"]`) a line marks it. `names` picks parameters, `page` counts from 1,
    `axes` are panels of your own. Returns the figure. Raises `FitError` for an unknown name.
    """
    table = contraction_table(fit).set_index("name")
    chosen = list(names) if names is not None else list(table.index)[(page - 1) * PER_PAGE : page * PER_PAGE]
    for name in chosen:
        if name not in table.index:
            raise FitError(f"This fit has no prior draws of '{name}'. {choices(name, table.index)}")
    own = axes is None
    columns = 3 if max((len(name) for name in chosen), default=0) > LONG_NAME else 4
    figure, axes = figures.panels(len(chosen), axes, columns=columns, height=2.1)
    units, truth = _units(fit), report_facts(fit).get("truth", {})
    for ax, name in zip(axes, chosen, strict=False):
        _panel(ax, name, pooled(fit, "prior", name), pooled(fit, "posterior", name), table.loc[name], truth.get(name))
        ax.set_xlabel(units.get(name, ""), fontsize=8)
    note = "in each title: posterior sd / prior sd (of the logarithm where the axis is logarithmic)"
    marks.finish(figure, axes, fit, title="Prior and posterior of the population parameters", note=note, own=own)
    return figure


def _units(fit: Any) -> dict[str, str]:
    return {line["name"]: str(line.get("unit", "")) for line in report_facts(fit).get("parameters", [])}


def _panel(ax: Any, name: str, prior: np.ndarray, posterior: np.ndarray, line: Any, truth: float | None) -> None:
    log = line["scale"] == "log"
    read = np.log if log else np.asarray
    ends = _ends(read(prior), read(posterior), name)
    grid = np.linspace(*ends, 240)
    floor = 0.0 if name.startswith(SPREADS) else None
    shown = np.exp(grid) if log else grid
    for values, color, alpha, label in ((prior, style.GREY, 0.25, "prior"), (posterior, style.BLUE, 0.35, "posterior")):
        height = density(read(values), grid, floor)
        ax.fill_between(shown, 0, height, color=color, alpha=alpha, linewidth=0, label=label)
        ax.plot(shown, height, color=color, linewidth=1.1)
    if truth is not None:
        ax.axvline(truth, color=style.ROSE, linewidth=1.1, linestyle=(0, (4, 2)), label="truth of the simulation")
    driven = bool(line["prior_driven"])
    ax.set_title(f"{name}  {line['ratio']:.2f}", color=style.ROSE if driven else style.INK)
    if driven:
        ax.text(0.99, 0.97, "prior-driven", transform=ax.transAxes, ha="right", va="top", fontsize=8.5, color=style.ROSE)
    scales.value_axis(ax.xaxis, *np.exp(ends), log) if log else ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set(ylim=(0, None), yticks=[], xlim=(shown[0], shown[-1]))
    ax.spines["left"].set_visible(False)
    ax.grid(False)


def _ends(prior: np.ndarray, posterior: np.ndarray, name: str) -> tuple[float, float]:
    """Central 98 % of the prior and all but the outermost of the posterior; spreads begin at zero."""
    low = min(np.quantile(prior, 0.01), np.quantile(posterior, 0.001))
    high = max(np.quantile(prior, 0.99), np.quantile(posterior, 0.999))
    return (0.0 if name.startswith(SPREADS) else float(low)), float(high) + 1e-9
