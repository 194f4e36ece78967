"""Ranks of simulated truths: how their distribution differs from uniform, with the band that it leaves by chance once in so many right programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.errors import FitError, choices
from pkpd.inference.calibrate_ranks import band
from pkpd.plots import figures, marks, scales, style


@style.styled
def plot_calibration(calibration: Any, names: tuple[str, ...] | None = None, axes: Any = None) -> Any:
    """One panel a ranked quantity: the ECDF of its ranks less that of uniform ranks, and the simultaneous band.

    A curve that stays inside is calibrated. Above 0 on the left: ranks too low, the posterior lies too high; below 0 on the left: the other way;
    a slope up, down, up: posterior too narrow. The band holds all curves of a right program with probability 1 - `false_alarm`, over all panels together.
    `calibration` is a `Calibration`; `names` picks quantities; `axes` are panels of your own. Returns the figure. Raises `FitError` for an unknown name.
    Source: Säilynoja, Bürkner & Vehtari 2022, Stat Comput 32:32.
    """
    chosen = calibration.names if names is None else names
    for name in chosen:
        if name not in calibration.names:
            raise FitError(f"This calibration has not ranked '{name}'. {choices(name, calibration.names)}")
    own = axes is None
    figure, axes = figures.panels(len(chosen), axes, height=1.9, sharex=True, sharey=True)
    tests, n = calibration.tests.set_index("name"), len(calibration.table)
    share = calibration.false_alarm / len(calibration.names)
    low, high = (_less_uniform(x, n) for x in band(n, calibration.thinned, 1 - share))
    for ax, name in zip(axes, chosen, strict=True):
        seen = _less_uniform(_ecdf(calibration.ranks(name), calibration.thinned), n)
        _panel(ax, seen, low, high, bool(tests.loc[name, "wrong"]))
        ax.set_title(f"{name}  p = {tests.loc[name, 'p']:.2g}")
    scales.bottom_labels(axes, "rank of the truth (fraction)")
    note = f"ECDF of {n} ranks less uniform; band: left by {100 * calibration.false_alarm:g} % of right programs, over all panels"
    if own:
        marks.headline(figure, f"Calibration of {calibration.name}", note)
        marks.legend(figure, axes)
    marks.badge(figure, [] if calibration.calibrated else ["NOT CALIBRATED"], style.ROSE)
    return figure


def _less_uniform(counts: np.ndarray, n: int) -> np.ndarray:
    """Numbers of ranks <= k as fractions of n, less the fraction of uniform ranks."""
    return counts / n - np.arange(1, len(counts) + 1) / (len(counts) + 1)


def _ecdf(ranks: np.ndarray, most: int) -> np.ndarray:
    """Number of ranks <= k, for k = 0 ... most - 1."""
    return np.cumsum(np.bincount(ranks, minlength=most + 1))[:-1]


def _panel(ax: Any, seen: np.ndarray, low: np.ndarray, high: np.ndarray, wrong: bool) -> None:
    at = np.arange(len(seen) + 2) / (len(seen) + 1)
    closed = lambda v: np.concatenate([[0.0], v, [0.0]])  # noqa: E731  both ends are 0
    ax.fill_between(at, closed(low), closed(high), color=style.GREY, alpha=0.22, linewidth=0, label="simultaneous band")
    ax.axhline(0, color=style.GREY, linewidth=0.9)
    ax.plot(at, closed(seen), color=style.ROSE if wrong else style.BLUE, label="outside" if wrong else "ranks")
    ax.set_xlim(0, 1)
